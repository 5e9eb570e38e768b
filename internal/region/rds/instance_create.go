package rds

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

const (
	maxMembers   = 16 // a writer and 15 readers
	maxInstances = 40 // of an account in a region
	caIdentifier = "rds-ca-rsa2048-g1"
)

// CreateDBInstance adds an instance to a cluster. The first one becomes its
// writer.
func (s *service) CreateDBInstance(ctx context.Context, in *rds.CreateDBInstanceInput) (*rds.CreateDBInstanceOutput, error) {
	c := scopeOf(ctx)
	if err := refuseInstance(in); err != nil {
		return nil, err
	}
	for {
		cluster, err := s.cluster(c, aws.ToString(in.DBClusterIdentifier))
		if err != nil {
			return nil, err
		}
		instance, err := newInstance(c, in, &cluster.Value)
		if err != nil {
			return nil, err
		}
		if err := s.checkQuota(c, cluster.Key); err != nil {
			return nil, err
		}
		// The cluster must not go meanwhile, or the instance would be left behind.
		rev, err := state.DBInstances(s.store).Create(ctx, instance.ResourceID, instance,
			c.name(state.KindDBInstance, instance.Spec.Identifier).Claim(instance.ResourceID),
			state.DBClusters(s.store).CheckOp(cluster.Key, cluster.Revision))
		if errors.Is(err, state.ErrExists) {
			if _, lookup := s.store.Lookup(ctx, c.name(state.KindDBInstance, instance.Spec.Identifier)); lookup == nil {
				return nil, awswire.BadRequestf("DBInstanceAlreadyExists", "DB instance already exists")
			}
			if err := s.refreshCluster(ctx, cluster.Key); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := s.instances.WaitRevision(ctx, rev); err != nil {
			return nil, err
		}
		return &rds.CreateDBInstanceOutput{DBInstance: s.showInstance(c, &instance)}, nil
	}
}

// refreshCluster waits until the mirror has the cluster as it is now.
func (s *service) refreshCluster(ctx context.Context, key string) error {
	item, err := state.DBClusters(s.store).Get(ctx, key)
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.clusters.WaitRevision(ctx, item.Revision)
}

// refuseInstance refuses what is not there, or what a DB instance of Aurora has
// from its cluster.
func refuseInstance(in *rds.CreateDBInstanceInput) error {
	if aws.ToString(in.DBClusterIdentifier) == "" {
		return awswire.InvalidParameterCombination("This region has DB instances of Aurora only: specify DBClusterIdentifier.")
	}
	parameter, asked := unavailable(in, "DBInstanceIdentifier", "DBClusterIdentifier", "DBInstanceClass", "Engine", "EngineVersion",
		"AvailabilityZone", "DBSubnetGroupName", "DBParameterGroupName", "PromotionTier", "PubliclyAccessible", "AutoMinorVersionUpgrade",
		"CopyTagsToSnapshot", "CACertificateIdentifier", "MonitoringInterval", "MonitoringRoleArn", "EnablePerformanceInsights",
		"PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod", "PreferredBackupWindow", "PreferredMaintenanceWindow",
		"StorageType", "LicenseModel", "NetworkType", "Tags")
	if asked {
		return awswire.InvalidParameterCombination("The requested DB Instance will be a member of a DB Cluster. Set %s for the DB Cluster, if it has that parameter.", parameter)
	}
	return first(
		checkEngine(aws.ToString(in.Engine)), checkTier(in.PromotionTier),
		checkParameterGroup(aws.ToString(in.DBParameterGroupName), "DBParameterGroupNotFound"),
		checkMonitoring(int(aws.ToInt32(in.MonitoringInterval)), aws.ToString(in.MonitoringRoleArn)), checkCA(in.CACertificateIdentifier),
		checkInsights(in.PerformanceInsightsRetentionPeriod), checkStorageType(in.StorageType), checkNetworkType(in.NetworkType),
	)
}

func checkCA(id *string) error {
	if id != nil && *id != caIdentifier {
		return awswire.Errorf(404, "CertificateNotFound", "Certificate not found: %s. This region has %s.", *id, caIdentifier)
	}
	return nil
}

func newInstance(c scope, in *rds.CreateDBInstanceInput, cluster *aurora.DBCluster) (aurora.DBInstance, error) {
	var none aurora.DBInstance
	id, err := checkIdentifier("DBInstanceIdentifier", aws.ToString(in.DBInstanceIdentifier))
	if err != nil {
		return none, err
	}
	if cluster.DeleteRequested {
		return none, awswire.BadRequestf("InvalidDBClusterStateFault", "DB cluster %s is not currently in the available state.", cluster.Spec.Identifier)
	}
	if v := aws.ToString(in.EngineVersion); v != "" && v != "15" && v != cluster.Spec.EngineVersion {
		return none, awswire.InvalidParameterCombination("The engine version that you requested for your DB instance (%s) does not match the engine version of your DB cluster (%s).", v, cluster.Spec.EngineVersion)
	}
	tags, err := checkTags(in.Tags)
	if err != nil {
		return none, err
	}
	class := aws.ToString(in.DBInstanceClass)
	if err := checkClass(class, cluster.Spec.ServerlessV2); err != nil {
		return none, err
	}
	zone := aws.ToString(in.AvailabilityZone)
	if zone != "" && !slices.Contains(cluster.Spec.AvailabilityZones, zone) {
		return none, awswire.BadRequestf("InvalidVPCNetworkStateFault", "Availability zone %s is not one of the DB cluster's: %v.", zone, cluster.Spec.AvailabilityZones)
	}
	if g := aws.ToString(in.DBSubnetGroupName); g != "" && lower(g) != cluster.Spec.DBSubnetGroupName {
		return none, awswire.InvalidParameterCombination("The DB subnet group of a DB instance is that of its DB cluster, %s.", cluster.Spec.DBSubnetGroupName)
	}
	if err := checkInstanceBackupWindow(in.PreferredBackupWindow, cluster); err != nil {
		return none, err
	}
	_, maintenance, err := windows(&cluster.Spec.PreferredBackupWindow, in.PreferredMaintenanceWindow)
	if err != nil {
		return none, err
	}
	tier := 1
	setInt(&tier, in.PromotionTier)
	instance := aurora.DBInstance{
		Meta: aurora.Meta{ResourceID: newResourceID("db"), Account: c.account, Region: c.region, Generation: 1, CreateTime: time.Now().UTC(), Tags: tags},
		Spec: aurora.DBInstanceSpec{
			Identifier: id, ClusterResourceID: cluster.ResourceID, ClusterIdentifier: cluster.Spec.Identifier, Engine: engine, Class: class,
			AvailabilityZone: zone, PromotionTier: tier, PubliclyAccessible: aws.ToBool(in.PubliclyAccessible),
			AutoMinorVersionUpgrade: in.AutoMinorVersionUpgrade == nil || *in.AutoMinorVersionUpgrade,
			CopyTagsToSnapshot:      aws.ToBool(in.CopyTagsToSnapshot), ParameterGroupName: defaultParameterGroup, CACertificateIdentifier: caIdentifier,
			MonitoringInterval: int(aws.ToInt32(in.MonitoringInterval)), MonitoringRoleArn: aws.ToString(in.MonitoringRoleArn),
			PreferredBackupWindow: cluster.Spec.PreferredBackupWindow, PreferredMaintenanceWindow: maintenance,
		},
	}
	spec := &instance.Spec
	spec.PerformanceInsightsEnabled, spec.PerformanceInsightsKMSKeyID, spec.PerformanceInsightsRetention =
		c.insights(aws.ToBool(in.EnablePerformanceInsights), aws.ToString(in.PerformanceInsightsKMSKeyId), int(aws.ToInt32(in.PerformanceInsightsRetentionPeriod)))
	return instance, nil
}

func checkInstanceBackupWindow(given *string, cluster *aurora.DBCluster) error {
	if w := aws.ToString(given); w != "" && w != cluster.Spec.PreferredBackupWindow {
		return awswire.InvalidParameterCombination("The backup window of a DB instance is that of its DB cluster, %s.", cluster.Spec.PreferredBackupWindow)
	}
	return nil
}

func (s *service) checkQuota(c scope, clusterID string) error {
	if len(s.members()[clusterID]) >= maxMembers {
		return awswire.BadRequestf("InstanceQuotaExceeded", "A DB cluster has at most %d DB instances.", maxMembers)
	}
	n := 0
	for _, item := range s.instances.All() {
		if c.has(item.Value.Meta) {
			n++
		}
	}
	if n >= maxInstances {
		return awswire.BadRequestf("InstanceQuotaExceeded", "DB Instance quota exceeded: %d.", maxInstances)
	}
	return nil
}
