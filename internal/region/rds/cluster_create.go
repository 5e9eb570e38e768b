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
	"github.com/daybreakdb/daybreak/internal/region/ec2"
	"github.com/daybreakdb/daybreak/internal/state"
)

// CreateDBCluster makes a cluster without instances.
func (s *service) CreateDBCluster(ctx context.Context, in *rds.CreateDBClusterInput) (*rds.CreateDBClusterOutput, error) {
	c := scopeOf(ctx)
	if err := refuseCluster(in); err != nil {
		return nil, err
	}
	cluster, err := newCluster(c, in)
	if err != nil {
		return nil, err
	}
	for {
		rev, err := s.storeCluster(ctx, c, &cluster, in)
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
func (s *service) storeCluster(ctx context.Context, c scope, cluster *aurora.DBCluster, in *rds.CreateDBClusterInput) (int64, error) {
	checks, err := s.place(ctx, c, cluster, in)
	if err != nil {
		return 0, err
	}
	name := c.name(state.KindDBCluster, cluster.Spec.Identifier)
	ops := append(checks, name.Claim(cluster.ResourceID), state.DBClusters(s.store).PutOp(cluster.ResourceID, *cluster, 0))
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
		"MasterUsername", "MasterUserPassword", "Port", "DBSubnetGroupName", "VpcSecurityGroupIds", "AvailabilityZones", "NetworkType",
		"DBClusterParameterGroupName", "StorageEncrypted", "KmsKeyId", "StorageType", "AutoMinorVersionUpgrade",
		"DeletionProtection", "CopyTagsToSnapshot", "EnableCloudwatchLogsExports", "BackupRetentionPeriod", "PreferredBackupWindow",
		"PreferredMaintenanceWindow", "ServerlessV2ScalingConfiguration", "MonitoringInterval", "MonitoringRoleArn",
		"EnablePerformanceInsights", "PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod", "Tags", "PreSignedUrl")
}

// newCluster checks everything that can be checked by the request alone.
func newCluster(c scope, in *rds.CreateDBClusterInput) (aurora.DBCluster, error) {
	var cluster aurora.DBCluster
	id, err := checkIdentifier("DBClusterIdentifier", aws.ToString(in.DBClusterIdentifier))
	if err != nil {
		return cluster, err
	}
	version, err := checkVersion(aws.ToString(in.EngineVersion))
	if err != nil {
		return cluster, err
	}
	tags, err := checkTags(in.Tags)
	if err != nil {
		return cluster, err
	}
	user, password := aws.ToString(in.MasterUsername), aws.ToString(in.MasterUserPassword)
	if user == "" || password == "" {
		return cluster, awswire.InvalidParameterCombination("The parameters MasterUsername and MasterUserPassword must be provided for a new DB cluster.")
	}
	err = first(
		checkEngine(aws.ToString(in.Engine)), checkUsername(user), checkPassword(password), checkPort(in.Port),
		checkRetention(in.BackupRetentionPeriod), checkLogExports(in.EnableCloudwatchLogsExports),
		checkParameterGroup(aws.ToString(in.DBClusterParameterGroupName), "DBClusterParameterGroupNotFound"),
		checkStorageType(in.StorageType), checkNetworkType(in.NetworkType), checkLifecycleSupport(in.EngineLifecycleSupport),
		checkMonitoring(int(aws.ToInt32(in.MonitoringInterval)), aws.ToString(in.MonitoringRoleArn)),
		checkInsights(in.PerformanceInsightsRetentionPeriod),
	)
	if err != nil {
		return cluster, err
	}
	if in.DatabaseName != nil {
		if err := checkDatabase(*in.DatabaseName); err != nil {
			return cluster, err
		}
	}
	backup, maintenance, err := windows(in.PreferredBackupWindow, in.PreferredMaintenanceWindow)
	if err != nil {
		return cluster, err
	}
	verifier, err := newVerifier(password)
	if err != nil {
		return cluster, err
	}
	cluster = aurora.DBCluster{
		Meta: aurora.Meta{ResourceID: newResourceID("cluster"), Account: c.account, Region: c.region, Generation: 1, CreateTime: time.Now().UTC(), Tags: tags},
		Spec: aurora.DBClusterSpec{
			Identifier: id, Engine: engine, EngineMode: "provisioned", EngineVersion: version,
			DatabaseName: aws.ToString(in.DatabaseName), MasterUsername: user, MasterUserVerifier: verifier, MasterPasswordGeneration: 1,
			Port: int(aws.ToInt32(in.Port)), ParameterGroupName: defaultParameterGroup,
			StorageEncrypted: aws.ToBool(in.StorageEncrypted), StorageType: aws.ToString(in.StorageType),
			DeletionProtection: aws.ToBool(in.DeletionProtection), CopyTagsToSnapshot: aws.ToBool(in.CopyTagsToSnapshot),
			CloudwatchLogExports: in.EnableCloudwatchLogsExports, NetworkType: "IPV4",
			BackupRetentionPeriod: int(aws.ToInt32(in.BackupRetentionPeriod)), PreferredBackupWindow: backup, PreferredMaintenanceWindow: maintenance,
			EngineLifecycleSupport: aws.ToString(in.EngineLifecycleSupport),
			MonitoringInterval:     int(aws.ToInt32(in.MonitoringInterval)), MonitoringRoleArn: aws.ToString(in.MonitoringRoleArn),
		},
	}
	spec := &cluster.Spec
	spec.PerformanceInsightsEnabled, spec.PerformanceInsightsKMSKeyID, spec.PerformanceInsightsRetention =
		c.insights(aws.ToBool(in.EnablePerformanceInsights), aws.ToString(in.PerformanceInsightsKMSKeyId), int(aws.ToInt32(in.PerformanceInsightsRetentionPeriod)))
	cluster.Spec.BackupRetentionPeriod = max(1, cluster.Spec.BackupRetentionPeriod)
	if sc := in.ServerlessV2ScalingConfiguration; sc != nil {
		cluster.Spec.ServerlessV2, err = checkScaling(sc.MinCapacity, sc.MaxCapacity, sc.SecondsUntilAutoPause)
	}
	if cluster.Spec.StorageEncrypted {
		cluster.Spec.KmsKeyID = c.kmsKey(aws.ToString(in.KmsKeyId))
	} else if in.KmsKeyId != nil {
		return cluster, awswire.InvalidParameterCombination("KmsKeyId needs StorageEncrypted.")
	}
	return cluster, err
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

const defaultParameterGroup = "default.aurora-postgresql15"

func checkParameterGroup(name, code string) error {
	if name != "" && name != defaultParameterGroup {
		return awswire.Errorf(404, code, "DB parameter group %s does not exist; this region has %s.", name, defaultParameterGroup)
	}
	return nil
}

// windows are those asked for, or defaults that do not overlap them.
func windows(backup, maintenance *string) (string, string, error) {
	b, m := aws.ToString(backup), aws.ToString(maintenance)
	if b == "" {
		b = defaultBackupWindow
	}
	if err := checkBackupWindow(b); err != nil {
		return "", "", err
	}
	if m == "" {
		m = maintenanceBeside(b)
	}
	m = lower(m)
	if err := checkMaintenanceWindow(m); err != nil {
		return "", "", err
	}
	if backup == nil && checkWindows(b, m) != nil {
		for _, other := range []string{"09:00-09:30", "13:00-13:30", "21:00-21:30", "01:00-01:30"} {
			if checkWindows(other, m) == nil {
				b = other
				break
			}
		}
	}
	return b, m, checkWindows(b, m)
}

// place checks and sets what a cluster takes from other resources, and returns
// the conditions under which that stays true.
func (s *service) place(ctx context.Context, c scope, cluster *aurora.DBCluster, in *rds.CreateDBClusterInput) ([]state.Op, error) {
	spec := &cluster.Spec
	spec.DBSubnetGroupName = defaultSubnetGroup
	if in.DBSubnetGroupName != nil {
		spec.DBSubnetGroupName = lower(*in.DBSubnetGroupName)
	}
	group, err := s.subnetGroup(c, spec.DBSubnetGroupName)
	if err != nil {
		return nil, err
	}
	var checks []state.Op
	if item, ok := s.subnetGroups.Get(group.key()); ok {
		checks = append(checks, subnetGroupTable(s.store).CheckOp(item.Key, item.Revision))
	}
	spec.VpcID = group.VpcID
	zones, err := zonesFor(c, in.AvailabilityZones)
	if err != nil {
		return nil, err
	}
	spec.AvailabilityZones = zones
	groups, groupChecks, err := s.securityGroups(ctx, c, in.VpcSecurityGroupIds, group.VpcID)
	spec.VpcSecurityGroupIDs = groups
	return append(checks, groupChecks...), err
}

func zonesFor(c scope, asked []string) ([]string, error) {
	var all []string
	for _, z := range ec2.Zones(c.region) {
		all = append(all, z.Name)
	}
	for _, z := range asked {
		if !slices.Contains(all, z) {
			return nil, awswire.BadRequestf("InvalidVPCNetworkStateFault", "Availability zone %s is not in this region.", z)
		}
	}
	return all, nil
}

// securityGroups checks security groups, the VPC's default one if none are
// given.
func (s *service) securityGroups(ctx context.Context, c scope, ids []string, vpc string) ([]string, []state.Op, error) {
	if err := ec2.EnsureDefaults(ctx, s.store, c.account, c.region); err != nil {
		return nil, nil, err
	}
	if len(ids) == 0 {
		ids = []string{ec2.DefaultNetwork(c.account, c.region).DefaultSecurityGroupID}
	}
	table := state.SecurityGroups(s.store)
	var checks []state.Op
	for _, id := range ids {
		item, err := table.Get(ctx, id)
		if errors.Is(err, state.ErrNotFound) || (err == nil && (item.Value.Account != c.account || item.Value.Region != c.region)) {
			return nil, nil, awswire.InvalidParameterValue("Invalid security group , groupId= %s, groupName=.", id)
		}
		if err != nil {
			return nil, nil, err
		}
		if item.Value.VpcID != vpc {
			return nil, nil, awswire.BadRequestf("InvalidVPCNetworkStateFault", "The security group %s is not in the VPC of the DB subnet group.", id)
		}
		checks = append(checks, table.CheckOp(id, item.Revision))
	}
	return ids, checks, nil
}
