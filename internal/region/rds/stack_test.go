package rds_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2api "github.com/aws/aws-sdk-go-v2/service/ec2"
	api "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/ec2"
)

var tags = []types.Tag{{Key: aws.String("Name"), Value: aws.String("demo")}}

func TestAStackOfAPlanLivesFromCreationToDeletion(t *testing.T) {
	r := start(t)
	r.control(t)
	createSubnetGroup(t, r)
	createCluster(t, r)
	createInstances(t, r)
	describeInstances(t, r)
	deleteStack(t, r)
}

func createSubnetGroup(t *testing.T, r region) {
	made, err := r.CreateDBSubnetGroup(t.Context(), &api.CreateDBSubnetGroupInput{
		DBSubnetGroupName: aws.String("Demo"), DBSubnetGroupDescription: aws.String("of a test"), SubnetIds: r.subnets(), Tags: tags,
	})
	if err != nil {
		t.Fatal(err)
	}
	g := made.DBSubnetGroup
	if *g.DBSubnetGroupName != "demo" || len(g.Subnets) != 3 || *g.SubnetGroupStatus != "Complete" || *g.VpcId == "" ||
		*g.DBSubnetGroupArn != "arn:aws:rds:us-west-2:111122223333:subgrp:demo" {
		t.Errorf("subnet group: %+v", g)
	}
	listed, err := r.ListTagsForResource(t.Context(), &api.ListTagsForResourceInput{ResourceName: g.DBSubnetGroupArn})
	if err != nil || len(listed.TagList) != 1 || *listed.TagList[0].Value != "demo" {
		t.Errorf("tags: %+v, %v", listed, err)
	}
}

func createCluster(t *testing.T, r region) {
	sg, err := ec2api.NewFromConfig(wiretest.Serve(t, ec2.New(r.store))).CreateSecurityGroup(t.Context(),
		&ec2api.CreateSecurityGroupInput{GroupName: aws.String("demo"), Description: aws.String("of a test")})
	if err != nil {
		t.Fatal(err)
	}
	in := clusterInput("Demo")
	in.EngineVersion, in.DatabaseName, in.DBSubnetGroupName = aws.String("15.10"), aws.String("postgres"), aws.String("demo")
	in.VpcSecurityGroupIds, in.Tags = []string{*sg.GroupId}, tags
	in.StorageEncrypted, in.BackupRetentionPeriod = aws.Bool(true), aws.Int32(7)
	in.PreferredBackupWindow, in.PreferredMaintenanceWindow = aws.String("07:00-09:00"), aws.String("Sun:05:00-Sun:07:00")
	in.EnablePerformanceInsights, in.EnableCloudwatchLogsExports = aws.Bool(true), []string{"postgresql"}
	made, err := r.CreateDBCluster(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if *made.DBCluster.Status != aurora.ClusterStatusCreating && *made.DBCluster.Status != aurora.ClusterStatusAvailable {
		t.Errorf("a new cluster is %s", *made.DBCluster.Status)
	}
	wait(t, "an available cluster without instances", func() bool { return *r.cluster(t, "demo").Status == "available" })
	c := r.cluster(t, "arn:aws:rds:us-west-2:111122223333:cluster:demo")
	for what, ok := range map[string]bool{
		"identifier": *c.DBClusterIdentifier == "demo", "version": *c.EngineVersion == "15.10", "mode": *c.EngineMode == "provisioned",
		"zones": len(c.AvailabilityZones) == 3, "endpoint": *c.Endpoint == "demo.cluster.test" && *c.Port == 5432,
		"reader endpoint": *c.ReaderEndpoint == "demo.cluster-ro.test", "database": *c.DatabaseName == "postgres",
		"windows":         *c.PreferredBackupWindow == "07:00-09:00" && *c.PreferredMaintenanceWindow == "sun:05:00-sun:07:00",
		"security groups": len(c.VpcSecurityGroups) == 1 && *c.VpcSecurityGroups[0].VpcSecurityGroupId == *sg.GroupId,
		"key":             (*c.KmsKeyId)[:37] == "arn:aws:kms:us-west-2:111122223333:ke", "subnet group": *c.DBSubnetGroup == "demo",
		"labels":  *c.PerformanceInsightsEnabled && *c.PerformanceInsightsRetentionPeriod == 7 && len(c.EnabledCloudwatchLogsExports) == 1,
		"tags":    len(c.TagList) == 1,
		"nothing": c.PendingModifiedValues == nil && c.ScalingConfigurationInfo == nil && c.ServerlessV2ScalingConfiguration == nil && c.StorageType == nil && c.CertificateDetails == nil,
	} {
		if !ok {
			t.Errorf("%s of %+v", what, c)
		}
	}
	global, err := r.DescribeGlobalClusters(t.Context(), &api.DescribeGlobalClustersInput{
		Filters: []types.Filter{{Name: aws.String("db-cluster-id"), Values: []string{*c.DBClusterArn}}},
	})
	if err != nil || len(global.GlobalClusters) != 0 {
		t.Errorf("global clusters: %+v, %v", global, err)
	}
}

func createInstances(t *testing.T, r region) {
	results := make(chan error, 3)
	for _, id := range []string{"demo-1", "demo-2", "demo-3"} {
		go func() {
			in := instanceInput("demo", id)
			in.EngineVersion, in.PromotionTier, in.PubliclyAccessible = aws.String("15.10"), aws.Int32(0), aws.Bool(true)
			_, err := r.CreateDBInstance(t.Context(), in)
			results <- err
		}()
	}
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	wait(t, "three available members and one writer", func() bool {
		members, writers := r.cluster(t, "demo").DBClusterMembers, 0
		for _, m := range members {
			if *m.IsClusterWriter {
				writers++
			}
			if *r.instance(t, *m.DBInstanceIdentifier).DBInstanceStatus != "available" {
				return false
			}
		}
		return len(members) == 3 && writers == 1
	})
	_, err := r.DeleteDBCluster(t.Context(), &api.DeleteDBClusterInput{DBClusterIdentifier: aws.String("demo"), SkipFinalSnapshot: aws.Bool(true)})
	wantCode(t, "deleting a cluster with instances", err, "InvalidDBClusterStateFault")
	_, err = r.DeleteDBSubnetGroup(t.Context(), &api.DeleteDBSubnetGroupInput{DBSubnetGroupName: aws.String("demo")})
	wantCode(t, "deleting a subnet group in use", err, "InvalidDBSubnetGroupStateFault")
}

func describeInstances(t *testing.T, r region) {
	in := r.instance(t, "demo-1")
	for what, ok := range map[string]bool{
		"cluster": *in.DBClusterIdentifier == "demo", "endpoint": *in.Endpoint.Address == "demo-1.test" && *in.Endpoint.Port == 5432,
		"class": *in.DBInstanceClass == "db.r6g.large", "version": *in.EngineVersion == "15.10", "tier": *in.PromotionTier == 0,
		"zone": *in.AvailabilityZone == "us-west-2a", "public": *in.PubliclyAccessible, "encrypted": *in.StorageEncrypted,
		"subnet group": *in.DBSubnetGroup.DBSubnetGroupName == "demo", "insights": !*in.PerformanceInsightsEnabled,
		"parameters": *in.DBParameterGroups[0].DBParameterGroupName == "default.aurora-postgresql15",
		"backup":     *in.PreferredBackupWindow == "07:00-09:00", "ca": *in.CACertificateIdentifier == "rds-ca-rsa2048-g1",
		"nothing": in.PendingModifiedValues == nil && in.CertificateDetails == nil,
	} {
		if !ok {
			t.Errorf("%s of %+v", what, in)
		}
	}
	found, err := r.DescribeDBInstances(t.Context(), &api.DescribeDBInstancesInput{
		Filters: []types.Filter{{Name: aws.String("db-cluster-id"), Values: []string{"demo"}}},
	})
	if err != nil || len(found.DBInstances) != 3 {
		t.Errorf("instances of the cluster: %+v, %v", found, err)
	}
}

func deleteStack(t *testing.T, r region) {
	for _, id := range []string{"demo-1", "demo-2", "demo-3"} {
		out, err := r.DeleteDBInstance(t.Context(), &api.DeleteDBInstanceInput{DBInstanceIdentifier: &id})
		if err != nil || *out.DBInstance.DBInstanceStatus != "deleting" {
			t.Errorf("%+v, %v", out, err)
		}
		wait(t, id+" gone", func() bool {
			_, err := r.DescribeDBInstances(t.Context(), &api.DescribeDBInstancesInput{DBInstanceIdentifier: &id})
			return code(err) == "DBInstanceNotFound"
		})
	}
	if c := r.cluster(t, "demo"); *c.Status != "available" || len(c.DBClusterMembers) != 0 {
		t.Errorf("a cluster without its instances: %+v", c)
	}
	_, err := r.DeleteDBCluster(t.Context(), &api.DeleteDBClusterInput{DBClusterIdentifier: aws.String("demo"), SkipFinalSnapshot: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	wait(t, "the cluster gone", func() bool {
		_, err := r.DescribeDBClusters(t.Context(), &api.DescribeDBClustersInput{DBClusterIdentifier: aws.String("demo")})
		return code(err) == "DBClusterNotFoundFault"
	})
	if _, err := r.DeleteDBSubnetGroup(t.Context(), &api.DeleteDBSubnetGroupInput{DBSubnetGroupName: aws.String("demo")}); err != nil {
		t.Error(err)
	}
	_, err = r.DescribeDBSubnetGroups(t.Context(), &api.DescribeDBSubnetGroupsInput{DBSubnetGroupName: aws.String("demo")})
	wantCode(t, "a deleted subnet group", err, "DBSubnetGroupNotFoundFault")
}
