// Package sts holds the action of the AWS Security Token Service that tells a
// caller who it is.
package sts

import (
	"context"

	api "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// New returns the service.
func New() *awswire.Service {
	s := awswire.STS()
	awswire.Register(s, getCallerIdentity)
	return s
}

func getCallerIdentity(ctx context.Context, _ *api.GetCallerIdentityInput) (*api.GetCallerIdentityOutput, error) {
	id := awswire.IdentityFrom(ctx)
	return &api.GetCallerIdentityOutput{Account: &id.Account, Arn: &id.ARN, UserId: &id.UserID}, nil
}
