package rds

import (
	"context"
	"errors"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// ModifyDBCluster changes a cluster. There are no maintenance windows yet, so
// changes that AWS would keep for one are made at once, whatever
// ApplyImmediately says.
func (s *service) ModifyDBCluster(ctx context.Context, in *rds.ModifyDBClusterInput) (*rds.ModifyDBClusterOutput, error) {
	c := scopeOf(ctx)
	if err := checkModifyCluster(in); err != nil {
		return nil, err
	}
	item, err := s.cluster(c, aws.ToString(in.DBClusterIdentifier))
	if err != nil {
		return nil, err
	}
	for {
		changed, err := s.tryModify(ctx, c, item, in)
		switch {
		case errors.Is(err, state.ErrConflict):
			continue // the cluster or a security group was changed meanwhile
		case errors.Is(err, state.ErrNotFound):
			return nil, clusterNotFound(aws.ToString(in.DBClusterIdentifier))
		case err != nil:
			return nil, err
		}
		return &rds.ModifyDBClusterOutput{DBCluster: s.showCluster(c, &changed)}, nil
	}
}

func (s *service) tryModify(ctx context.Context, c scope, item state.Item[aurora.DBCluster], in *rds.ModifyDBClusterInput) (aurora.DBCluster, error) {
	var checks []state.Op
	groups := in.VpcSecurityGroupIds
	if groups != nil {
		var err error
		if groups, checks, err = s.securityGroups(ctx, c, groups, item.Value.Spec.VpcID); err != nil {
			return aurora.DBCluster{}, err
		}
	}
	return s.updateCluster(ctx, item.Key, func(v *aurora.DBCluster) error {
		if v.DeleteRequested {
			return awswire.BadRequestf("InvalidDBClusterStateFault", "DB cluster %s is not currently in the available state.", v.Spec.Identifier)
		}
		before := v.Spec
		if err := s.modifyCluster(v, in, groups); err != nil {
			return err
		}
		if reflect.DeepEqual(before, v.Spec) {
			return state.ErrUnchanged
		}
		v.Generation++
		return nil
	}, checks...)
}

// checkModifyCluster refuses what is wrong by itself or not there.
func checkModifyCluster(in *rds.ModifyDBClusterInput) error {
	switch {
	case in.NewDBClusterIdentifier != nil:
		return awswire.InvalidParameterCombination("Renaming a DB cluster is not supported in this region yet.")
	case aws.ToBool(in.ManageMasterUserPassword), aws.ToBool(in.RotateMasterUserPassword):
		return awswire.InvalidParameterCombination("ManageMasterUserPassword is not supported in this region yet.")
	case aws.ToBool(in.EnableIAMDatabaseAuthentication):
		return awswire.InvalidParameterCombination("EnableIAMDatabaseAuthentication is not supported in this region yet.")
	case aws.ToBool(in.EnableHttpEndpoint):
		return awswire.InvalidParameterCombination("EnableHttpEndpoint is not supported in this region yet.")
	}
	if in.MasterUserPassword != nil {
		if err := checkPassword(*in.MasterUserPassword); err != nil {
			return err
		}
	}
	return first(
		checkPort(in.Port), checkRetention(in.BackupRetentionPeriod), checkStorageType(aws.ToString(in.StorageType)),
		checkParameterGroup(aws.ToString(in.DBClusterParameterGroupName), "DBClusterParameterGroupNotFound"),
		checkParameterGroup(aws.ToString(in.DBInstanceParameterGroupName), "DBParameterGroupNotFound"),
	)
}

func (s *service) modifyCluster(v *aurora.DBCluster, in *rds.ModifyDBClusterInput, groups []string) error {
	spec := &v.Spec
	set(&spec.DeletionProtection, in.DeletionProtection)
	set(&spec.CopyTagsToSnapshot, in.CopyTagsToSnapshot)
	set(&spec.StorageType, in.StorageType)
	setInt(&spec.BackupRetentionPeriod, in.BackupRetentionPeriod)
	setInt(&spec.Port, in.Port)
	if groups != nil {
		spec.VpcSecurityGroupIDs = groups
	}
	if in.PreferredBackupWindow != nil || in.PreferredMaintenanceWindow != nil {
		set(&spec.PreferredBackupWindow, in.PreferredBackupWindow)
		set(&spec.PreferredMaintenanceWindow, in.PreferredMaintenanceWindow)
		var err error
		spec.PreferredBackupWindow, spec.PreferredMaintenanceWindow, err = windows(&spec.PreferredBackupWindow, &spec.PreferredMaintenanceWindow)
		if err != nil {
			return err
		}
	}
	if sc := in.ServerlessV2ScalingConfiguration; sc != nil {
		var err error
		if spec.ServerlessV2, err = checkScaling(sc.MinCapacity, sc.MaxCapacity, sc.SecondsUntilAutoPause); err != nil {
			return err
		}
	}
	if err := s.modifyVersion(v, in); err != nil {
		return err
	}
	if err := modifyExports(spec, in); err != nil {
		return err
	}
	if in.MasterUserPassword != nil && !verifies(spec.MasterUserVerifier, *in.MasterUserPassword) {
		verifier, err := newVerifier(*in.MasterUserPassword)
		if err != nil {
			return err
		}
		spec.MasterUserVerifier = verifier
		spec.MasterPasswordGeneration++
	}
	return nil
}

// modifyVersion changes the label of the engine version; the binaries are the
// host's.
func (s *service) modifyVersion(v *aurora.DBCluster, in *rds.ModifyDBClusterInput) error {
	if in.EngineVersion == nil || *in.EngineVersion == v.Spec.EngineVersion {
		return nil
	}
	version, err := checkVersion(*in.EngineVersion)
	if err != nil {
		return err
	}
	if len(s.members(v.ResourceID)) == 0 {
		return awswire.BadRequestf("InvalidDBClusterStateFault", "Cannot modify engine version without a primary instance in DB cluster.")
	}
	if versionNumber(version) < versionNumber(v.Spec.EngineVersion) {
		return awswire.InvalidParameterCombination("Cannot upgrade aurora-postgresql from %s to %s", v.Spec.EngineVersion, version)
	}
	v.Spec.EngineVersion = version
	return nil
}

func modifyExports(spec *aurora.DBClusterSpec, in *rds.ModifyDBClusterInput) error {
	change := in.CloudwatchLogsExportConfiguration
	if change == nil {
		return nil
	}
	if err := checkLogExports(slices.Concat(change.EnableLogTypes, change.DisableLogTypes)); err != nil {
		return err
	}
	exports := slices.DeleteFunc(slices.Clone(spec.CloudwatchLogExports), func(t string) bool { return slices.Contains(change.DisableLogTypes, t) })
	for _, t := range change.EnableLogTypes {
		if !slices.Contains(exports, t) {
			exports = append(exports, t)
		}
	}
	spec.CloudwatchLogExports = exports
	return nil
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

func setInt(field *int, value *int32) {
	if value != nil {
		*field = int(*value)
	}
}
