package rds

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// ModifyDBCluster changes a cluster: at once, or what can wait in its next
// maintenance window unless ApplyImmediately says otherwise.
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
	var parameters string
	if in.DBClusterParameterGroupName != nil {
		group, more, err := s.groupFor(c, clusterGroup, in.DBClusterParameterGroupName)
		if err != nil {
			return aurora.DBCluster{}, err
		}
		parameters, checks = group.Name, append(checks, more...)
	}
	in, secret, more, err := s.changeMasterSecret(ctx, item.Key, in)
	if err != nil {
		return aurora.DBCluster{}, err
	}
	checks = append(checks, more...)
	return s.updateCluster(ctx, item.Key, func(v *aurora.DBCluster) error {
		if v.DeleteRequested {
			return awswire.BadRequestf("InvalidDBClusterStateFault", "DB cluster %s is not currently in the available state.", v.Spec.Identifier)
		}
		if err := refuseStopped(v); err != nil {
			return err
		}
		before := v.Spec
		applyClusterChanges(&v.Spec)
		if parameters != "" {
			v.Spec.ParameterGroupName = parameters
		}
		if err := rename(&v.Spec.Identifier, "NewDBClusterIdentifier", in.NewDBClusterIdentifier); err != nil {
			return err
		}
		if err := secret.take(&v.Spec); err != nil {
			return err
		}
		if err := s.modifyCluster(v, in, groups); err != nil {
			return err
		}
		if !aws.ToBool(in.ApplyImmediately) && len(s.membersOf(v.ResourceID)) > 0 {
			deferClusterChanges(&v.Spec, &before)
		}
		return changedSpec(&v.Generation, before, v.Spec, func(spec *aurora.DBClusterSpec) { spec.Pending, spec.HTTPEndpoint = nil, false })
	}, checks...)
}

// checkModifyCluster refuses what is wrong by itself or not there.
func checkModifyCluster(in *rds.ModifyDBClusterInput) error {
	if mode := aws.ToString(in.EngineMode); mode != "" && mode != "provisioned" {
		return awswire.InvalidParameterValue("The engine mode %s that you specified is currently unavailable.", mode)
	}
	err := refuseOthers(in, "DBClusterIdentifier", "NewDBClusterIdentifier", "ApplyImmediately", "AllowMajorVersionUpgrade", "EngineMode", "EngineVersion", "EngineLifecycleSupport",
		"MasterUserPassword", "ManageMasterUserPassword", "RotateMasterUserPassword", "MasterUserSecretKmsKeyId", "Port", "VpcSecurityGroupIds", "NetworkType", "DBClusterParameterGroupName", "DBInstanceParameterGroupName",
		"StorageType", "AutoMinorVersionUpgrade", "DeletionProtection", "EnableIAMDatabaseAuthentication", "CopyTagsToSnapshot",
		"CloudwatchLogsExportConfiguration", "BackupRetentionPeriod", "PreferredBackupWindow", "PreferredMaintenanceWindow",
		"ServerlessV2ScalingConfiguration", "MonitoringInterval", "MonitoringRoleArn", "EnablePerformanceInsights",
		"PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod", "EnableHttpEndpoint")
	if err != nil {
		return err
	}
	if in.DBInstanceParameterGroupName != nil {
		return awswire.InvalidParameterCombination("db-instance-parameter-group-name can only be specified for a major version upgrade.")
	}
	if in.MasterUserPassword != nil {
		if err := checkPassword(*in.MasterUserPassword); err != nil {
			return err
		}
	}
	return first(
		checkPort(in.Port), checkRetention(in.BackupRetentionPeriod), checkStorageType(in.StorageType),
		checkNetworkType(in.NetworkType), checkLifecycleSupport(in.EngineLifecycleSupport), checkInsights(in.PerformanceInsightsRetentionPeriod),
	)
}

func (s *service) modifyCluster(v *aurora.DBCluster, in *rds.ModifyDBClusterInput, groups []string) error {
	spec := &v.Spec
	set(&spec.HTTPEndpoint, in.EnableHttpEndpoint)
	set(&spec.DeletionProtection, in.DeletionProtection)
	set(&spec.IAMDatabaseAuth, in.EnableIAMDatabaseAuthentication)
	set(&spec.CopyTagsToSnapshot, in.CopyTagsToSnapshot)
	set(&spec.StorageType, in.StorageType)
	setInt(&spec.BackupRetentionPeriod, in.BackupRetentionPeriod)
	setInt(&spec.Port, in.Port)
	set(&spec.EngineLifecycleSupport, in.EngineLifecycleSupport)
	set(&spec.MonitoringRoleArn, in.MonitoringRoleArn)
	setInt(&spec.MonitoringInterval, in.MonitoringInterval)
	if err := checkMonitoring(spec.MonitoringInterval, spec.MonitoringRoleArn); err != nil {
		return err
	}
	set(&spec.PerformanceInsightsEnabled, in.EnablePerformanceInsights)
	set(&spec.PerformanceInsightsKMSKeyID, in.PerformanceInsightsKMSKeyId)
	setInt(&spec.PerformanceInsightsRetention, in.PerformanceInsightsRetentionPeriod)
	spec.PerformanceInsightsEnabled, spec.PerformanceInsightsKMSKeyID, spec.PerformanceInsightsRetention =
		scope{v.Account, v.Region}.insights(spec.PerformanceInsightsEnabled, spec.PerformanceInsightsKMSKeyID, spec.PerformanceInsightsRetention)
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
	if len(s.membersOf(v.ResourceID)) == 0 {
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
