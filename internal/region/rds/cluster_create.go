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

// CreateDBCluster makes a cluster without instances.
func (s *service) CreateDBCluster(ctx context.Context, in *rds.CreateDBClusterInput) (*rds.CreateDBClusterOutput, error) {
	c := scopeOf(ctx)
	if err := refuseCluster(in); err != nil {
		return nil, err
	}
	in, managed, err := s.managedPassword(in)
	if err != nil {
		return nil, err
	}
	cluster, err := newCluster(c, in)
	if err != nil {
		return nil, err
	}
	var secret []state.Op
	if managed {
		cluster.Spec.MasterSecret, secret = s.newMasterSecret(&cluster, *in.MasterUserPassword, aws.ToString(in.MasterUserSecretKmsKeyId))
	}
	for {
		rev, err := s.storeCluster(ctx, c, &cluster, in, secret)
		if errors.Is(err, state.ErrConflict) {
			continue // a subnet group or security group was changed meanwhile
		}
		if err != nil {
			return nil, err
		}
		if err := s.clusters.WaitRevision(ctx, rev); err != nil {
			return nil, err
		}
		return &rds.CreateDBClusterOutput{DBCluster: s.showCluster(c, &cluster)}, nil
	}
}

// storeCluster stores a new cluster together with its name, if what it refers to
// is still there.
func (s *service) storeCluster(ctx context.Context, c scope, cluster *aurora.DBCluster, in *rds.CreateDBClusterInput, secret []state.Op) (int64, error) {
	checks, err := s.place(ctx, c, cluster, in)
	if err != nil {
		return 0, err
	}
	name := c.name(state.KindDBCluster, cluster.Spec.Identifier)
	ops := append(slices.Concat(checks, secret), name.Claim(cluster.ResourceID), state.DBClusters(s.store).PutOp(cluster.ResourceID, *cluster, 0))
	rev, err := s.store.Commit(ctx, ops...)
	if errors.Is(err, state.ErrConflict) {
		if _, lookup := s.store.Lookup(ctx, name); lookup == nil {
			return 0, awswire.BadRequestf("DBClusterAlreadyExistsFault", "DB Cluster already exists: %s", cluster.Spec.Identifier)
		}
	}
	return rev, err
}

// refuseCluster refuses what is not there.
func refuseCluster(in *rds.CreateDBClusterInput) error {
	if id := aws.ToString(in.GlobalClusterIdentifier); id != "" {
		return globalClusterNotFound(id)
	}
	if mode := aws.ToString(in.EngineMode); mode != "" && mode != "provisioned" {
		return awswire.InvalidParameterValue("The engine mode %s that you specified is currently unavailable.", mode)
	}
	return refuseOthers(in, "DBClusterIdentifier", "Engine", "EngineMode", "EngineVersion", "EngineLifecycleSupport", "DatabaseName",
		"MasterUsername", "MasterUserPassword", "ManageMasterUserPassword", "MasterUserSecretKmsKeyId", "Port", "DBSubnetGroupName", "VpcSecurityGroupIds", "AvailabilityZones", "NetworkType",
		"DBClusterParameterGroupName", "StorageEncrypted", "KmsKeyId", "StorageType", "AutoMinorVersionUpgrade",
		"DeletionProtection", "CopyTagsToSnapshot", "EnableIAMDatabaseAuthentication", "EnableCloudwatchLogsExports", "BackupRetentionPeriod", "PreferredBackupWindow",
		"PreferredMaintenanceWindow", "ServerlessV2ScalingConfiguration", "MonitoringInterval", "MonitoringRoleArn",
		"EnablePerformanceInsights", "PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod", "Tags", "PreSignedUrl", "EnableHttpEndpoint")
}

// checkCluster checks everything that can be checked by the request alone.
func checkCluster(in *rds.CreateDBClusterInput) error {
	user, password := aws.ToString(in.MasterUsername), aws.ToString(in.MasterUserPassword)
	if user == "" || password == "" {
		return awswire.InvalidParameterCombination("The parameters MasterUsername and MasterUserPassword must be provided for a new DB cluster.")
	}
	if in.DatabaseName != nil {
		if err := checkDatabase(*in.DatabaseName); err != nil {
			return err
		}
	}
	if aws.ToString(in.KmsKeyId) != "" && !aws.ToBool(in.StorageEncrypted) {
		return awswire.InvalidParameterCombination("KmsKeyId needs StorageEncrypted.")
	}
	return first(
		checkEngine(aws.ToString(in.Engine)), checkUsername(user), checkPassword(password), checkPort(in.Port),
		checkRetention(in.BackupRetentionPeriod), checkLogExports(in.EnableCloudwatchLogsExports),
		checkStorageType(in.StorageType), checkNetworkType(in.NetworkType), checkLifecycleSupport(in.EngineLifecycleSupport),
		checkMonitoring(int(aws.ToInt32(in.MonitoringInterval)), aws.ToString(in.MonitoringRoleArn)),
		checkInsights(in.PerformanceInsightsRetentionPeriod),
	)
}

// newCluster is the cluster that a request describes, without what it takes from
// other resources.
func newCluster(c scope, in *rds.CreateDBClusterInput) (aurora.DBCluster, error) {
	id, err := checkIdentifier("DBClusterIdentifier", aws.ToString(in.DBClusterIdentifier))
	if err != nil {
		return aurora.DBCluster{}, err
	}
	tags, err := checkTags(in.Tags)
	if err != nil {
		return aurora.DBCluster{}, err
	}
	copies, err := logCopies(tags)
	if err != nil {
		return aurora.DBCluster{}, err
	}
	if err := checkCluster(in); err != nil {
		return aurora.DBCluster{}, err
	}
	spec := aurora.DBClusterSpec{
		Identifier: id, Engine: engine, EngineMode: "provisioned", DatabaseName: aws.ToString(in.DatabaseName),
		MasterUsername: aws.ToString(in.MasterUsername), MasterPasswordGeneration: 1,
		Port:             int(aws.ToInt32(in.Port)),
		StorageEncrypted: aws.ToBool(in.StorageEncrypted), StorageType: aws.ToString(in.StorageType),
		IAMDatabaseAuth: aws.ToBool(in.EnableIAMDatabaseAuthentication), DeletionProtection: aws.ToBool(in.DeletionProtection), CopyTagsToSnapshot: aws.ToBool(in.CopyTagsToSnapshot),
		CloudwatchLogExports: in.EnableCloudwatchLogsExports, NetworkType: "IPV4",
		BackupRetentionPeriod:  max(1, int(aws.ToInt32(in.BackupRetentionPeriod))),
		EngineLifecycleSupport: aws.ToString(in.EngineLifecycleSupport),
		MonitoringInterval:     int(aws.ToInt32(in.MonitoringInterval)), MonitoringRoleArn: aws.ToString(in.MonitoringRoleArn),
		LogCopies: copies, HTTPEndpoint: aws.ToBool(in.EnableHttpEndpoint),
	}
	spec.PerformanceInsightsEnabled, spec.PerformanceInsightsKMSKeyID, spec.PerformanceInsightsRetention =
		c.insights(aws.ToBool(in.EnablePerformanceInsights), aws.ToString(in.PerformanceInsightsKMSKeyId), int(aws.ToInt32(in.PerformanceInsightsRetentionPeriod)))
	if spec.StorageEncrypted {
		spec.KmsKeyID = c.kmsKey(aws.ToString(in.KmsKeyId))
	}
	if spec.EngineVersion, err = checkVersion(aws.ToString(in.EngineVersion)); err != nil {
		return aurora.DBCluster{}, err
	}
	if spec.PreferredBackupWindow, spec.PreferredMaintenanceWindow, err = windows(in.PreferredBackupWindow, in.PreferredMaintenanceWindow); err != nil {
		return aurora.DBCluster{}, err
	}
	if sc := in.ServerlessV2ScalingConfiguration; sc != nil {
		if spec.ServerlessV2, err = checkScaling(sc.MinCapacity, sc.MaxCapacity, sc.SecondsUntilAutoPause); err != nil {
			return aurora.DBCluster{}, err
		}
	}
	spec.MasterUserVerifier, err = newVerifier(aws.ToString(in.MasterUserPassword))
	meta := aurora.Meta{ResourceID: newResourceID("cluster"), Account: c.account, Region: c.region, Generation: 1, CreateTime: time.Now().UTC(), Tags: tags}
	return aurora.DBCluster{Meta: meta, Spec: spec}, err
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
