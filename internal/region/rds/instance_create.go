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
	licenseModel = "postgresql-license"
)

// CreateDBInstance adds an instance to a cluster. The first one becomes its
// writer.
func (s *service) CreateDBInstance(ctx context.Context, in *rds.CreateDBInstanceInput) (*rds.CreateDBInstanceOutput, error) {
	c := scopeOf(ctx)
	if err := refuseInstance(in); err != nil {
		return nil, err
	}
	cluster, err := s.cluster(c, aws.ToString(in.DBClusterIdentifier))
	if err != nil {
		return nil, err
	}
	for {
		instance, rev, err := s.storeInstance(ctx, c, cluster.Key, in)
		switch {
		case errors.Is(err, state.ErrConflict):
			continue // the cluster was changed meanwhile
		case errors.Is(err, state.ErrNotFound):
			return nil, clusterNotFound(aws.ToString(in.DBClusterIdentifier))
		case err != nil:
			return nil, err
		}
		if err := s.instances.WaitRevision(ctx, rev); err != nil {
			return nil, err
		}
		return &rds.CreateDBInstanceOutput{DBInstance: s.showInstance(c, &instance)}, nil
	}
}

// storeInstance stores a new instance together with its name. It writes the
// cluster too, as it is: so the cluster does not go meanwhile, and two instances
// that are made at once count each other.
func (s *service) storeInstance(ctx context.Context, c scope, key string, in *rds.CreateDBInstanceInput) (aurora.DBInstance, int64, error) {
	clusters, instances := state.DBClusters(s.store), state.DBInstances(s.store)
	cluster, err := clusters.Get(ctx, key)
	if err != nil {
		return aurora.DBInstance{}, 0, err
	}
	instance, err := newInstance(c, in, &cluster.Value)
	if err != nil {
		return instance, 0, err
	}
	parameters, checks, err := s.groupFor(c, instanceGroup, in.DBParameterGroupName)
	if err != nil {
		return instance, 0, err
	}
	s.startParameters(&cluster.Value, &instance.Spec, parameters)
	present, _, err := instances.List(ctx, "")
	if err != nil {
		return instance, 0, err
	}
	if err := c.checkQuota(present, key); err != nil {
		return instance, 0, err
	}
	name := c.name(state.KindDBInstance, instance.Spec.Identifier)
	rev, err := s.store.Commit(ctx, append(checks, name.Claim(instance.ResourceID),
		instances.PutOp(instance.ResourceID, instance, 0), clusters.PutOp(key, cluster.Value, cluster.Revision))...)
	if errors.Is(err, state.ErrConflict) {
		if _, lookup := s.store.Lookup(ctx, name); lookup == nil {
			err = awswire.BadRequestf("DBInstanceAlreadyExists", "DB instance already exists: %s", instance.Spec.Identifier)
		}
	}
	return instance, rev, err
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
	if err := refuseStopped(cluster); err != nil {
		return none, err
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
			CopyTagsToSnapshot:      aws.ToBool(in.CopyTagsToSnapshot), CACertificateIdentifier: caIdentifier,
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

func (c scope) checkQuota(present []state.Item[aurora.DBInstance], clusterID string) error {
	members, all := 0, 0
	for _, item := range present {
		if item.Value.Spec.ClusterResourceID == clusterID {
			members++
		}
		if c.has(&item.Value.Meta) {
			all++
		}
	}
	if members >= maxMembers {
		return awswire.BadRequestf("InstanceQuotaExceeded", "A DB cluster has at most %d DB instances: a writer and 15 readers.", maxMembers)
	}
	if all >= maxInstances {
		return awswire.BadRequestf("InstanceQuotaExceeded", "DB Instance quota exceeded: %d in this account and region.", maxInstances)
	}
	return nil
}
