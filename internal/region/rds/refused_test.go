package rds_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/state"
)

// refused is a request that must be refused with a code, and a message that holds
// what clients look for.
type refused[I any] struct {
	name    string
	change  func(*I)
	code    string
	message string
}

func str(s string) *string { return &s }

func TestClustersThatAreRefused(t *testing.T) {
	type in = api.CreateDBClusterInput
	r := start(t)
	r.create(t, "taken")
	for _, c := range []refused[in]{
		{"a taken identifier", func(i *in) { i.DBClusterIdentifier = str("TAKEN") }, "DBClusterAlreadyExistsFault", "taken"},
		{"an identifier that ends in a hyphen", func(i *in) { i.DBClusterIdentifier = str("a-") }, "InvalidParameterValue", "DBClusterIdentifier is not a valid identifier"},
		{"an identifier with two hyphens", func(i *in) { i.DBClusterIdentifier = str("a--b") }, "InvalidParameterValue", "valid identifier"},
		{"an identifier of 64 characters", func(i *in) { i.DBClusterIdentifier = str(strings.Repeat("a", 64)) }, "InvalidParameterValue", "valid identifier"},
		{"an identifier that is ASCII in lower case only", func(i *in) { i.DBClusterIdentifier = str("\u212aelvin") }, "InvalidParameterValue", "valid identifier"},
		{"another engine", func(i *in) { i.Engine = str("aurora-mysql") }, "InvalidParameterValue", "aurora-mysql"},
		{"an engine version of another major", func(i *in) { i.EngineVersion = str("17.5") }, "InvalidParameterCombination", "Cannot find version 17.5 for aurora-postgresql"},
		{"an engine version that never was", func(i *in) { i.EngineVersion = str("15.99") }, "InvalidParameterCombination", "Cannot find version 15.99"},
		{"an engine version in another spelling", func(i *in) { i.EngineVersion = str("15.+2") }, "InvalidParameterCombination", "Cannot find version 15.+2"},
		{"an engine version with a leading zero", func(i *in) { i.EngineVersion = str("15.010") }, "InvalidParameterCombination", "Cannot find version 15.010"},
		{"no password", func(i *in) { i.MasterUserPassword = nil }, "InvalidParameterCombination", "MasterUserPassword"},
		{"a short password", func(i *in) { i.MasterUserPassword = str("short") }, "InvalidParameterValue", "MasterUserPassword"},
		{"a password with an at sign", func(i *in) { i.MasterUserPassword = str("abcdefg@h") }, "InvalidParameterValue", "Only printable ASCII characters besides"},
		{"a password with a space", func(i *in) { i.MasterUserPassword = str("abc defgh") }, "InvalidParameterValue", "Only printable ASCII"},
		{"a password outside ASCII", func(i *in) { i.MasterUserPassword = str("pässwörter") }, "InvalidParameterValue", "Only printable ASCII"},
		{"no user", func(i *in) { i.MasterUsername = nil }, "InvalidParameterCombination", "MasterUsername"},
		{"a user of ours", func(i *in) { i.MasterUsername = str("rdsadmin") }, "InvalidParameterValue", "rdsadmin"},
		{"a user of PostgreSQL", func(i *in) { i.MasterUsername = str("pg_monitor") }, "InvalidParameterValue", "pg_monitor"},
		{"a user with a quote", func(i *in) { i.MasterUsername = str(`a"b`) }, "InvalidParameterValue", "MasterUsername"},
		{"a database of ours", func(i *in) { i.DatabaseName = str("rdsadmin") }, "InvalidParameterValue", "rdsadmin"},
		{"a database with a hyphen", func(i *in) { i.DatabaseName = str("a-b") }, "InvalidParameterValue", "DatabaseName"},
		{"a low port", func(i *in) { i.Port = aws.Int32(80) }, "InvalidParameterValue", "1150-65535"},
		{"no backups", func(i *in) { i.BackupRetentionPeriod = aws.Int32(0) }, "InvalidParameterValue", "1 and 35"},
		{"a backup window that is none", func(i *in) { i.PreferredBackupWindow = str("7-9") }, "InvalidParameterValue", "hh24:mi-hh24:mi"},
		{"a short maintenance window", func(i *in) { i.PreferredMaintenanceWindow = str("sun:05:00-sun:05:10") }, "InvalidParameterValue", "30 minutes"},
		{"windows that overlap", func(i *in) {
			i.PreferredBackupWindow, i.PreferredMaintenanceWindow = str("06:00-08:00"), str("sun:05:00-sun:07:00")
		}, "InvalidParameterValue", "The backup window and maintenance window must not overlap."},
		{"a subnet group that is not there", func(i *in) { i.DBSubnetGroupName = str("none") }, "DBSubnetGroupNotFoundFault", "none"},
		{"a security group that is not there", func(i *in) { i.VpcSecurityGroupIds = []string{"sg-00000000"} }, "InvalidParameterValue", "sg-00000000"},
		{"a zone of another region", func(i *in) { i.AvailabilityZones = []string{"eu-central-1a"} }, "InvalidVPCNetworkStateFault", "eu-central-1a"},
		{"a parameter group that is not there", func(i *in) { i.DBClusterParameterGroupName = str("mine") }, "DBClusterParameterGroupNotFound", "mine"},
		{"a global cluster", func(i *in) { i.GlobalClusterIdentifier = str("world") }, "GlobalClusterNotFoundFault", "world"},
		{"serverless v1", func(i *in) { i.EngineMode = str("serverless") }, "InvalidParameterValue", "serverless"},
		{"a managed password", func(i *in) { i.ManageMasterUserPassword = aws.Bool(true) }, "InvalidParameterCombination", "ManageMasterUserPassword"},
		{"an option of other engines", func(i *in) { i.EnableLimitlessDatabase = aws.Bool(true) }, "InvalidParameterCombination", "EnableLimitlessDatabase"},
		{"a storage type of RDS", func(i *in) { i.StorageType = str("gp3") }, "StorageTypeNotSupported", "gp3"},
		{"a key without encryption", func(i *in) { i.KmsKeyId = str("alias/aws/rds") }, "InvalidParameterCombination", "StorageEncrypted"},
		{"monitoring without a role", func(i *in) { i.MonitoringInterval = aws.Int32(60) }, "InvalidParameterCombination", "MonitoringRoleARN"},
		{"a log of MySQL", func(i *in) { i.EnableCloudwatchLogsExports = []string{"slowquery"} }, "InvalidParameterCombination", "slowquery"},
		{"capacity out of steps", func(i *in) {
			i.ServerlessV2ScalingConfiguration = &types.ServerlessV2ScalingConfiguration{MinCapacity: aws.Float64(0.7), MaxCapacity: aws.Float64(4)}
		}, "InvalidParameterValue", "steps of 0.5"},
		{"capacity upside down", func(i *in) {
			i.ServerlessV2ScalingConfiguration = &types.ServerlessV2ScalingConfiguration{MinCapacity: aws.Float64(8), MaxCapacity: aws.Float64(4)}
		}, "InvalidParameterValue", "minimum"},
		{"a tag of AWS", func(i *in) { i.Tags = []types.Tag{{Key: str("aws:x"), Value: str("")}} }, "InvalidParameterValue", "aws:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := clusterInput("demo")
			c.change(in)
			_, err := r.CreateDBCluster(t.Context(), in)
			c.check(t, err)
			if given := aws.ToString(in.MasterUserPassword); len(given) >= 8 && strings.Contains(fmt.Sprint(err), given) {
				t.Errorf("the password is in the error: %v", err)
			}
		})
	}
	if out, err := r.DescribeDBClusters(t.Context(), nil); err != nil || len(out.DBClusters) != 1 {
		t.Errorf("refused requests left something: %+v, %v", out, err)
	}
}

func (c refused[I]) check(t *testing.T, err error) {
	t.Helper()
	wantCode(t, c.name, err, c.code)
	if err != nil && !strings.Contains(err.Error(), c.message) {
		t.Errorf("%v, want %q in it", err, c.message)
	}
}

func TestInstancesThatAreRefused(t *testing.T) {
	type in = api.CreateDBInstanceInput
	r := start(t)
	r.create(t, "demo", "taken")
	for _, c := range []refused[in]{
		{"a taken identifier", func(i *in) { i.DBInstanceIdentifier = str("Taken") }, "DBInstanceAlreadyExists", ""},
		{"a cluster that is not there", func(i *in) { i.DBClusterIdentifier = str("none") }, "DBClusterNotFoundFault", "none"},
		{"no cluster", func(i *in) { i.DBClusterIdentifier = nil }, "InvalidParameterCombination", "DBClusterIdentifier"},
		{"an identifier that begins with a digit", func(i *in) { i.DBInstanceIdentifier = str("1a") }, "InvalidParameterValue", "DBInstanceIdentifier"},
		{"another engine", func(i *in) { i.Engine = str("postgres") }, "InvalidParameterValue", "postgres"},
		{"another version than the cluster's", func(i *in) { i.EngineVersion = str("15.4") }, "InvalidParameterCombination", "15.4"},
		{"a class that is none", func(i *in) { i.DBInstanceClass = str("db.m5.large") }, "InvalidParameterValue", "Invalid DB Instance class: db.m5.large"},
		{"serverless without a capacity", func(i *in) { i.DBInstanceClass = str("db.serverless") }, "InvalidParameterCombination", "Serverless v2"},
		{"a tier of 16", func(i *in) { i.PromotionTier = aws.Int32(16) }, "InvalidParameterValue", "16"},
		{"a zone of another region", func(i *in) { i.AvailabilityZone = str("eu-central-1a") }, "InvalidVPCNetworkStateFault", "eu-central-1a"},
		{"a parameter group that is not there", func(i *in) { i.DBParameterGroupName = str("mine") }, "DBParameterGroupNotFound", "mine"},
		{"another subnet group", func(i *in) { i.DBSubnetGroupName = str("other") }, "InvalidParameterCombination", "default"},
		{"a user of its own", func(i *in) { i.MasterUsername = str("me") }, "InvalidParameterCombination", "will be a member of a DB Cluster"},
		{"storage of its own", func(i *in) { i.AllocatedStorage = aws.Int32(20) }, "InvalidParameterCombination", "AllocatedStorage"},
		{"another backup window", func(i *in) { i.PreferredBackupWindow = str("12:00-13:00") }, "InvalidParameterCombination", "backup window"},
		{"a maintenance window over the backups", func(i *in) { i.PreferredMaintenanceWindow = str("sun:07:00-sun:08:00") }, "InvalidParameterValue", "must not overlap"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := instanceInput("demo", "demo-1")
			c.change(in)
			_, err := r.CreateDBInstance(t.Context(), in)
			c.check(t, err)
		})
	}
	if members := r.cluster(t, "demo").DBClusterMembers; len(members) != 1 {
		t.Errorf("refused requests left something: %+v", members)
	}
}

func TestChangesAndDeletionsThatAreRefused(t *testing.T) {
	r := start(t)
	r.create(t, "demo")
	ctx, id := t.Context(), str("demo")
	modify := func(in api.ModifyDBClusterInput) error {
		in.DBClusterIdentifier = id
		_, err := r.ModifyDBCluster(ctx, &in)
		return err
	}
	drop := func(in api.DeleteDBClusterInput) error {
		in.DBClusterIdentifier = id
		_, err := r.DeleteDBCluster(ctx, &in)
		return err
	}
	wantCode(t, "a short password", modify(api.ModifyDBClusterInput{MasterUserPassword: str("short")}), "InvalidParameterValue")
	wantCode(t, "a version without instances", modify(api.ModifyDBClusterInput{EngineVersion: str("15.10")}), "InvalidDBClusterStateFault")
	wantCode(t, "an unknown version", modify(api.ModifyDBClusterInput{EngineVersion: str("16.1")}), "InvalidParameterCombination")
	wantCode(t, "an unknown security group", modify(api.ModifyDBClusterInput{VpcSecurityGroupIds: []string{"sg-00000000"}}), "InvalidParameterValue")
	if c := r.stored(t, "demo"); c.Generation != 1 {
		t.Errorf("refused changes left something: %+v", c)
	}
	wantCode(t, "deletion without a word on snapshots", drop(api.DeleteDBClusterInput{}), "InvalidParameterCombination")
	wantCode(t, "deletion with a snapshot of no name", drop(api.DeleteDBClusterInput{FinalDBSnapshotIdentifier: str("not_one")}), "InvalidParameterValue")
	wantCode(t, "deletion with a snapshot and without one", drop(api.DeleteDBClusterInput{FinalDBSnapshotIdentifier: str("final"), SkipFinalSnapshot: aws.Bool(true)}), "InvalidParameterCombination")
	if err := drop(api.DeleteDBClusterInput{SkipFinalSnapshot: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	if status := *r.cluster(t, "demo").Status; status != "deleting" {
		t.Errorf("status %s after deletion", status)
	}
	wantCode(t, "deletion twice", drop(api.DeleteDBClusterInput{SkipFinalSnapshot: aws.Bool(true)}), "InvalidDBClusterStateFault")
	_, err := r.CreateDBInstance(ctx, instanceInput("demo", "late"))
	wantCode(t, "an instance of a deleted cluster", err, "InvalidDBClusterStateFault")
	wantCode(t, "a change of a deleted cluster", modify(api.ModifyDBClusterInput{Port: aws.Int32(6000)}), "InvalidDBClusterStateFault")
	_, err = r.CreateDBCluster(ctx, clusterInput("demo"))
	wantCode(t, "the name of a cluster that is being deleted", err, "DBClusterAlreadyExistsFault")
	_, err = r.RebootDBInstance(ctx, &api.RebootDBInstanceInput{DBInstanceIdentifier: str("none")})
	wantCode(t, "a restart of nothing", err, "DBInstanceNotFound")
	_, err = r.ListTagsForResource(ctx, &api.ListTagsForResourceInput{ResourceName: str("arn:aws:rds:us-west-2:999999999999:cluster:demo")})
	wantCode(t, "tags of another account", err, "InvalidParameterValue")
	_, err = r.DescribeDBInstances(ctx, &api.DescribeDBInstancesInput{MaxRecords: aws.Int32(5)})
	wantCode(t, "too small a page", err, "InvalidParameterValue")
	_, err = r.DescribeDBInstances(ctx, &api.DescribeDBInstancesInput{Filters: []types.Filter{{Name: str("colour"), Values: []string{"x"}}}})
	wantCode(t, "a filter that is none", err, "InvalidParameterValue")
	_, err = r.CreateGlobalCluster(ctx, &api.CreateGlobalClusterInput{GlobalClusterIdentifier: id})
	wantCode(t, "an action that is not there", err, "UnsupportedOperation")
}

func TestSubnetGroupsThatAreRefused(t *testing.T) {
	r := start(t)
	create := func(name string, subnets ...string) error {
		_, err := r.CreateDBSubnetGroup(t.Context(), &api.CreateDBSubnetGroupInput{
			DBSubnetGroupName: &name, DBSubnetGroupDescription: str("of a test"), SubnetIds: subnets,
		})
		return err
	}
	wantCode(t, "one zone", create("g", r.subnets()[0]), "DBSubnetGroupDoesNotCoverEnoughAZs")
	wantCode(t, "a subnet that is not there", create("g", r.subnets()[0], "subnet-00000000"), "InvalidSubnet")
	wantCode(t, "the name default", create("Default", r.subnets()...), "InvalidParameterValue")
	wantCode(t, "a name with a slash", create("a/b", r.subnets()...), "InvalidParameterValue")
	if err := create("g", r.subnets()...); err != nil {
		t.Error(err)
	}
	wantCode(t, "a taken name", create("G", r.subnets()...), "DBSubnetGroupAlreadyExists")
	out, err := r.ModifyDBSubnetGroup(t.Context(), &api.ModifyDBSubnetGroupInput{DBSubnetGroupName: str("g"), SubnetIds: r.subnets()[:2]})
	if err != nil || len(out.DBSubnetGroup.Subnets) != 2 {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestAClusterHasSixteenInstancesAndNoMore(t *testing.T) {
	r := start(t)
	r.create(t, "demo")
	results := make(chan error, 20)
	for i := range 20 {
		go func() {
			_, err := r.CreateDBInstance(t.Context(), instanceInput("demo", "demo-"+string(rune('a'+i))))
			results <- err
		}()
	}
	refused := 0
	for range 20 {
		if err := <-results; err != nil {
			wantCode(t, "the 17th instance", err, "InstanceQuotaExceeded")
			refused++
		}
	}
	items, _, err := state.DBInstances(r.store).List(t.Context(), "")
	if err != nil || len(items) != 16 || refused != 4 {
		t.Errorf("%d instances, %d refused, %v", len(items), refused, err)
	}
}
