package rds

import (
	"context"
	"errors"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/iam"
	"github.com/daybreakdb/daybreak/internal/state"
)

const maxRoles = 5

var (
	roleFeatures = []string{"", "s3Import", "s3Export", "Lambda", "SageMaker", "Comprehend"}
	rolePattern  = regexp.MustCompile(`^arn:aws:iam::[0-9]{12}:role/.+$`)
)

// AddRoleToDBCluster gives a cluster a role of IAM. It is kept and shown; none of the
// features that would use it is in this region yet.
func (s *service) AddRoleToDBCluster(ctx context.Context, in *rds.AddRoleToDBClusterInput) (*rds.AddRoleToDBClusterOutput, error) {
	role := aurora.AssociatedRole{ARN: aws.ToString(in.RoleArn), Feature: aws.ToString(in.FeatureName)}
	if !slices.Contains(roleFeatures, role.Feature) {
		return nil, awswire.InvalidParameterValue("The feature-name parameter %s is not valid for aurora-postgresql.", role.Feature)
	}
	exists := false
	if rolePattern.MatchString(role.ARN) {
		var err error
		if exists, err = iam.RoleExists(ctx, s.store, scopeOf(ctx).account, role.ARN); err != nil {
			return nil, err
		}
	}
	if !exists {
		return nil, awswire.InvalidParameterValue("IAM role ARN value is invalid or does not include the required permissions: %s", role.ARN)
	}
	return nil, s.changeRoles(ctx, in.DBClusterIdentifier, func(v *aurora.DBCluster) error {
		switch {
		case slices.Contains(v.Spec.AssociatedRoles, role):
			return awswire.BadRequestf("DBClusterRoleAlreadyExists", "Role ARN %s already exists for DB cluster: %s. Use a new role.", role.ARN, v.Spec.Identifier)
		case slices.ContainsFunc(v.Spec.AssociatedRoles, func(have aurora.AssociatedRole) bool { return role.Feature != "" && have.Feature == role.Feature }):
			return awswire.InvalidParameterCombination("DB cluster %s already has a role for the feature %s.", v.Spec.Identifier, role.Feature)
		case len(v.Spec.AssociatedRoles) >= maxRoles:
			return awswire.BadRequestf("DBClusterRoleQuotaExceeded", "A DB cluster has at most %d roles.", maxRoles)
		}
		v.Spec.AssociatedRoles = append(slices.Clone(v.Spec.AssociatedRoles), role)
		return nil
	})
}

// RemoveRoleFromDBCluster takes a role from a cluster.
func (s *service) RemoveRoleFromDBCluster(ctx context.Context, in *rds.RemoveRoleFromDBClusterInput) (*rds.RemoveRoleFromDBClusterOutput, error) {
	role := aurora.AssociatedRole{ARN: aws.ToString(in.RoleArn), Feature: aws.ToString(in.FeatureName)}
	return nil, s.changeRoles(ctx, in.DBClusterIdentifier, func(v *aurora.DBCluster) error {
		at := slices.Index(v.Spec.AssociatedRoles, role)
		if at < 0 {
			return awswire.Errorf(404, "DBClusterRoleNotFound", "Role ARN %s cannot be found for DB cluster: %s.", role.ARN, v.Spec.Identifier)
		}
		v.Spec.AssociatedRoles = slices.Delete(slices.Clone(v.Spec.AssociatedRoles), at, at+1)
		return nil
	})
}

// changeRoles changes a cluster's roles, which no server depends on.
func (s *service) changeRoles(ctx context.Context, given *string, change func(*aurora.DBCluster) error) error {
	item, err := s.cluster(scopeOf(ctx), aws.ToString(given))
	if err != nil {
		return err
	}
	_, err = s.updateCluster(ctx, item.Key, func(v *aurora.DBCluster) error {
		if v.DeleteRequested {
			return awswire.BadRequestf("InvalidDBClusterStateFault", "DB cluster %s is not currently in the available state.", v.Spec.Identifier)
		}
		if err := refuseStopped(v); err != nil {
			return err
		}
		return change(v)
	})
	if errors.Is(err, state.ErrNotFound) {
		return clusterNotFound(aws.ToString(given))
	}
	return err
}

func showRoles(v *aurora.DBCluster) []types.DBClusterRole {
	var out []types.DBClusterRole
	for _, role := range v.Spec.AssociatedRoles {
		out = append(out, types.DBClusterRole{RoleArn: aws.String(role.ARN), FeatureName: optional(role.Feature), Status: aws.String("ACTIVE")})
	}
	return out
}
