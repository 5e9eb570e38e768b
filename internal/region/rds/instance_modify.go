package rds

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// ModifyDBInstance changes an instance: at once, but another class or name in its
// next maintenance window unless ApplyImmediately says otherwise. One that changes
// nothing is a success.
func (s *service) ModifyDBInstance(ctx context.Context, in *rds.ModifyDBInstanceInput) (*rds.ModifyDBInstanceOutput, error) {
	c := scopeOf(ctx)
	item, err := s.instance(c, aws.ToString(in.DBInstanceIdentifier))
	if err != nil {
		return nil, err
	}
	cluster, ok := s.clusters.Get(item.Value.Spec.ClusterResourceID)
	if !ok {
		return nil, instanceNotFound(aws.ToString(in.DBInstanceIdentifier))
	}
	if err := checkModifyInstance(in, &cluster.Value); err != nil {
		return nil, err
	}
	for {
		changed, err := s.tryModifyInstance(ctx, c, item.Key, &cluster.Value, in)
		switch {
		case errors.Is(err, state.ErrConflict):
			continue // the parameter group was changed meanwhile
		case errors.Is(err, state.ErrNotFound):
			return nil, instanceNotFound(aws.ToString(in.DBInstanceIdentifier))
		case err != nil:
			return nil, err
		}
		return &rds.ModifyDBInstanceOutput{DBInstance: s.showInstance(c, &changed)}, nil
	}
}

func (s *service) tryModifyInstance(ctx context.Context, c scope, key string, cluster *aurora.DBCluster, in *rds.ModifyDBInstanceInput) (aurora.DBInstance, error) {
	var groups *groupPair
	var checks []state.Op
	if in.DBParameterGroupName != nil {
		own, more, err := s.groupFor(c, instanceGroup, in.DBParameterGroupName)
		if err != nil {
			return aurora.DBInstance{}, err
		}
		pair := s.groupsOf(cluster, own.Name)
		groups, checks = &pair, more
	}
	return s.updateInstance(ctx, key, func(v *aurora.DBInstance) error {
		if v.DeleteRequested {
			return awswire.BadRequestf("InvalidDBInstanceState", "Instance %s is not in available state.", v.Spec.Identifier)
		}
		if err := s.refuseStoppedMember(v); err != nil {
			return err
		}
		before := v.Spec
		if groups != nil && v.Spec.ParameterGroupName != groups.own.Name {
			groups.take(&v.Spec, ownGroupChanged)
		}
		applyInstanceChanges(&v.Spec)
		modifyInstance(c, &v.Spec, in)
		if err := rename(&v.Spec.Identifier, "NewDBInstanceIdentifier", in.NewDBInstanceIdentifier); err != nil {
			return err
		}
		if err := checkMonitoring(v.Spec.MonitoringInterval, v.Spec.MonitoringRoleArn); err != nil {
			return err
		}
		if !aws.ToBool(in.ApplyImmediately) {
			deferInstanceChanges(&v.Spec, &before)
		}
		return changedSpec(&v.Generation, before, v.Spec, func(spec *aurora.DBInstanceSpec) { spec.PendingClass, spec.PendingIdentifier = "", "" })
	}, checks...)
}

func checkModifyInstance(in *rds.ModifyDBInstanceInput, cluster *aurora.DBCluster) error {
	parameter, asked := unavailable(in, "DBInstanceIdentifier", "NewDBInstanceIdentifier", "ApplyImmediately", "AllowMajorVersionUpgrade", "CertificateRotationRestart",
		"DBInstanceClass", "EngineVersion", "DBParameterGroupName", "PromotionTier", "PubliclyAccessible", "AutoMinorVersionUpgrade",
		"CopyTagsToSnapshot", "CACertificateIdentifier", "MonitoringInterval", "MonitoringRoleArn", "EnablePerformanceInsights",
		"PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod", "PreferredBackupWindow", "PreferredMaintenanceWindow")
	switch {
	case asked:
		return awswire.InvalidParameterCombination("The DB Instance is a member of a DB Cluster. Modify %s of the DB Cluster, if it has that parameter.", parameter)
	case in.EngineVersion != nil && *in.EngineVersion != "15" && *in.EngineVersion != cluster.Spec.EngineVersion:
		return awswire.InvalidParameterCombination("The engine version of a DB instance is that of its DB cluster, %s.", cluster.Spec.EngineVersion)
	}
	if in.DBInstanceClass != nil {
		if err := checkClass(*in.DBInstanceClass, cluster.Spec.ServerlessV2); err != nil {
			return err
		}
	}
	if in.PreferredMaintenanceWindow != nil {
		if _, _, err := windows(&cluster.Spec.PreferredBackupWindow, in.PreferredMaintenanceWindow); err != nil {
			return err
		}
	}
	return first(
		checkInstanceBackupWindow(in.PreferredBackupWindow, cluster), checkTier(in.PromotionTier), checkCA(in.CACertificateIdentifier),
		checkInsights(in.PerformanceInsightsRetentionPeriod),
	)
}

func modifyInstance(c scope, spec *aurora.DBInstanceSpec, in *rds.ModifyDBInstanceInput) {
	set(&spec.Class, in.DBInstanceClass)
	set(&spec.PubliclyAccessible, in.PubliclyAccessible)
	set(&spec.AutoMinorVersionUpgrade, in.AutoMinorVersionUpgrade)
	set(&spec.CopyTagsToSnapshot, in.CopyTagsToSnapshot)
	set(&spec.MonitoringRoleArn, in.MonitoringRoleArn)
	set(&spec.PerformanceInsightsEnabled, in.EnablePerformanceInsights)
	setInt(&spec.PromotionTier, in.PromotionTier)
	setInt(&spec.MonitoringInterval, in.MonitoringInterval)
	setInt(&spec.PerformanceInsightsRetention, in.PerformanceInsightsRetentionPeriod)
	if in.PreferredMaintenanceWindow != nil {
		spec.PreferredMaintenanceWindow = lower(*in.PreferredMaintenanceWindow)
	}
	set(&spec.PerformanceInsightsKMSKeyID, in.PerformanceInsightsKMSKeyId)
	spec.PerformanceInsightsEnabled, spec.PerformanceInsightsKMSKeyID, spec.PerformanceInsightsRetention =
		c.insights(spec.PerformanceInsightsEnabled, spec.PerformanceInsightsKMSKeyID, spec.PerformanceInsightsRetention)
}

// RebootDBInstance restarts an instance's server.
func (s *service) RebootDBInstance(ctx context.Context, in *rds.RebootDBInstanceInput) (*rds.RebootDBInstanceOutput, error) {
	c := scopeOf(ctx)
	if aws.ToBool(in.ForceFailover) {
		return nil, awswire.InvalidParameterCombination("ForceFailover is not supported for Aurora DB instances; use FailoverDBCluster.")
	}
	item, err := s.instance(c, aws.ToString(in.DBInstanceIdentifier))
	if err != nil {
		return nil, err
	}
	changed, err := s.reboot(ctx, item.Key, anyway)
	if errors.Is(err, state.ErrNotFound) {
		return nil, instanceNotFound(aws.ToString(in.DBInstanceIdentifier))
	}
	if err != nil {
		return nil, err
	}
	out := s.showInstance(c, &changed)
	out.DBInstanceStatus = aws.String(aurora.InstanceStatusRebooting)
	return &rds.RebootDBInstanceOutput{DBInstance: out}, nil
}

// DeleteDBInstance asks for the end of an instance. The cluster and its data
// stay.
func (s *service) DeleteDBInstance(ctx context.Context, in *rds.DeleteDBInstanceInput) (*rds.DeleteDBInstanceOutput, error) {
	c := scopeOf(ctx)
	item, err := s.instance(c, aws.ToString(in.DBInstanceIdentifier))
	if err != nil {
		return nil, err
	}
	if in.FinalDBSnapshotIdentifier != nil {
		return nil, awswire.InvalidParameterCombination("A final snapshot is taken of a DB cluster, not of its DB instances.")
	}
	changed, err := s.updateInstance(ctx, item.Key, func(v *aurora.DBInstance) error {
		if v.DeleteRequested {
			return awswire.BadRequestf("InvalidDBInstanceState", "Instance %s is already being deleted.", v.Spec.Identifier)
		}
		if err := s.refuseStoppedMember(v); err != nil {
			return err
		}
		v.DeleteRequested, v.Spec.PendingIdentifier = true, ""
		v.Generation++
		return nil
	})
	if errors.Is(err, state.ErrNotFound) {
		return nil, instanceNotFound(aws.ToString(in.DBInstanceIdentifier))
	}
	if err != nil {
		return nil, err
	}
	return &rds.DeleteDBInstanceOutput{DBInstance: s.showInstance(c, &changed)}, nil
}
