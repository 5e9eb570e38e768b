package rds

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// EnableHttpEndpoint lets the Data API be used with a cluster.
func (s *service) EnableHttpEndpoint(ctx context.Context, in *rds.EnableHttpEndpointInput) (*rds.EnableHttpEndpointOutput, error) {
	if err := s.setHTTPEndpoint(ctx, in.ResourceArn, true); err != nil {
		return nil, err
	}
	return &rds.EnableHttpEndpointOutput{ResourceArn: in.ResourceArn, HttpEndpointEnabled: aws.Bool(true)}, nil
}

// DisableHttpEndpoint ends the use of the Data API with a cluster.
func (s *service) DisableHttpEndpoint(ctx context.Context, in *rds.DisableHttpEndpointInput) (*rds.DisableHttpEndpointOutput, error) {
	if err := s.setHTTPEndpoint(ctx, in.ResourceArn, false); err != nil {
		return nil, err
	}
	return &rds.DisableHttpEndpointOutput{ResourceArn: in.ResourceArn, HttpEndpointEnabled: aws.Bool(false)}, nil
}

func (s *service) setHTTPEndpoint(ctx context.Context, arn *string, enabled bool) error {
	if !strings.HasPrefix(aws.ToString(arn), "arn:") {
		return awswire.InvalidParameterValue("Invalid resource name: %.100s. It must be the ARN of a DB cluster.", aws.ToString(arn))
	}
	item, err := s.cluster(scopeOf(ctx), *arn)
	if err != nil {
		return awswire.Errorf(404, "ResourceNotFoundFault", "The specified resource %.200s could not be found.", *arn)
	}
	for {
		_, err = s.updateCluster(ctx, item.Key, func(v *aurora.DBCluster) error {
			if v.DeleteRequested {
				return awswire.BadRequestf("InvalidResourceStateFault", "DB cluster %s is not currently in the available state.", v.Spec.Identifier)
			}
			before := v.Spec
			v.Spec.HTTPEndpoint = enabled
			return changedSpec(&v.Generation, before, v.Spec, func(spec *aurora.DBClusterSpec) { spec.Pending, spec.HTTPEndpoint = nil, false })
		})
		if !errors.Is(err, state.ErrConflict) {
			return err
		}
	}
}
