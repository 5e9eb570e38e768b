// Package sts holds the actions of the AWS Security Token Service: who a caller
// is, and temporary credentials. It must not know what users and roles may do.
package sts

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/iam"
)

// API holds the actions.
type API struct {
	directory *iam.Directory
}

// New returns the service for the users and roles of a directory.
func New(d *iam.Directory) *awswire.Service {
	a := &API{d}
	s := awswire.STS()
	awswire.Register(s, a.GetCallerIdentity)
	awswire.Register(s, a.GetSessionToken)
	awswire.Register(s, a.AssumeRole)
	s.NameResources(func(_ context.Context, in any) []string {
		if assume, ok := in.(*api.AssumeRoleInput); ok {
			return []string{aws.ToString(assume.RoleArn)}
		}
		return nil
	})
	s.Lack("AssumeRole", "MinimumSessionTokenSize")
	s.Lack("GetSessionToken", "MinimumSessionTokenSize")
	return s
}

// GetCallerIdentity tells a caller who it is.
func (a *API) GetCallerIdentity(ctx context.Context, _ *api.GetCallerIdentityInput) (*api.GetCallerIdentityOutput, error) {
	id := awswire.IdentityFrom(ctx)
	return &api.GetCallerIdentityOutput{Account: &id.Account, Arn: &id.ARN, UserId: &id.UserID}, nil
}

// Limits of GetSessionToken.
const (
	shortest     = 15 * time.Minute
	longest      = 36 * time.Hour
	longestRoot  = time.Hour
	defaultLasts = 12 * time.Hour
)

// GetSessionToken makes temporary credentials of the caller's own.
func (a *API) GetSessionToken(ctx context.Context, in *api.GetSessionTokenInput) (*api.GetSessionTokenOutput, error) {
	id := awswire.IdentityFrom(ctx)
	if in.SerialNumber != nil || in.TokenCode != nil {
		return nil, awswire.Errorf(403, "AccessDenied", "MultiFactorAuthentication failed: this region has no MFA devices.")
	}
	limit := longest
	if id.UserID == id.Account {
		limit = longestRoot
	}
	lasts := min(defaultLasts, limit)
	if in.DurationSeconds != nil {
		lasts = time.Duration(*in.DurationSeconds) * time.Second
		if lasts < shortest || lasts > longest {
			return nil, awswire.BadRequestf("ValidationError", "1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy "+
				"constraint: Member must have value between %d and %d", *in.DurationSeconds, shortest/time.Second, longest/time.Second)
		}
		lasts = min(lasts, limit)
	}
	session, err := a.directory.OwnSession(id, lasts)
	if err != nil {
		return nil, err
	}
	return &api.GetSessionTokenOutput{Credentials: wire(session)}, nil
}

// AssumeRole makes temporary credentials of a role.
func (a *API) AssumeRole(ctx context.Context, in *api.AssumeRoleInput) (*api.AssumeRoleOutput, error) {
	if len(in.Tags)+len(in.TransitiveTagKeys)+len(in.ProvidedContexts) > 0 || in.SerialNumber != nil || in.TokenCode != nil {
		return nil, awswire.BadRequestf("ValidationError", "Session tags, contexts and MFA are not available in this region yet. Leave them out.")
	}
	assumption := iam.Assumption{
		RoleARN: aws.ToString(in.RoleArn), SessionName: aws.ToString(in.RoleSessionName), ExternalID: in.ExternalId,
		Lasts: time.Duration(aws.ToInt32(in.DurationSeconds)) * time.Second,
	}
	if in.Policy != nil {
		assumption.Policies = []string{*in.Policy}
	}
	for _, p := range in.PolicyArns {
		assumption.PolicyARNs = append(assumption.PolicyARNs, aws.ToString(p.Arn))
	}
	session, err := a.directory.Assume(awswire.IdentityFrom(ctx), assumption)
	if err != nil {
		return nil, err
	}
	return &api.AssumeRoleOutput{
		Credentials:     wire(session),
		AssumedRoleUser: &types.AssumedRoleUser{Arn: &session.ARN, AssumedRoleId: &session.UserID},
		SourceIdentity:  in.SourceIdentity,
	}, nil
}

func wire(s iam.Session) *types.Credentials {
	return &types.Credentials{AccessKeyId: &s.AccessKeyID, SecretAccessKey: &s.SecretAccessKey, SessionToken: &s.Token, Expiration: &s.Expires}
}
