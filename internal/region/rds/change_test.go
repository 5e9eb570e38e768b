package rds_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

func TestAChangeIsShownAsModifyingUntilItIsTrue(t *testing.T) {
	r := start(t)
	r.create(t, "demo", "demo-1")
	id := aws.String("demo")
	if status := *r.cluster(t, "demo").Status; status != "creating" {
		t.Errorf("status %s before there is a data plane", status)
	}
	r.control(t)
	wait(t, "available", func() bool { return *r.cluster(t, "demo").Status == "available" })
	out, err := r.ModifyDBCluster(t.Context(), &api.ModifyDBClusterInput{
		DBClusterIdentifier: id, ApplyImmediately: aws.Bool(true), BackupRetentionPeriod: aws.Int32(9), EngineVersion: aws.String("15.18"), DeletionProtection: aws.Bool(true),
		PreferredBackupWindow: aws.String("01:00-02:00"), Port: aws.Int32(6000),
		CloudwatchLogsExportConfiguration: &types.CloudwatchLogsExportConfiguration{EnableLogTypes: []string{"postgresql"}},
		ServerlessV2ScalingConfiguration:  &types.ServerlessV2ScalingConfiguration{MinCapacity: aws.Float64(0.5), MaxCapacity: aws.Float64(4)},
	})
	if err != nil || *out.DBCluster.Status != "modifying" {
		t.Fatalf("%+v, %v", out, err)
	}
	wait(t, "available again", func() bool { return *r.cluster(t, "demo").Status == "available" })
	c := r.cluster(t, "demo")
	if *c.BackupRetentionPeriod != 9 || *c.EngineVersion != "15.18" || !*c.DeletionProtection || *c.PreferredBackupWindow != "01:00-02:00" ||
		!slices.Equal(c.EnabledCloudwatchLogsExports, []string{"postgresql"}) || *c.ServerlessV2ScalingConfiguration.MaxCapacity != 4 {
		t.Errorf("%+v", c)
	}
	if r.stored(t, "demo").Spec.Port != 6000 {
		t.Errorf("port %d", r.stored(t, "demo").Spec.Port)
	}
	if window := *r.instance(t, "demo-1").PreferredBackupWindow; window != "01:00-02:00" {
		t.Errorf("backup window of the instance: %s", window)
	}
	_, err = r.DeleteDBCluster(t.Context(), &api.DeleteDBClusterInput{DBClusterIdentifier: id, SkipFinalSnapshot: aws.Bool(true)})
	wantCode(t, "deleting a protected cluster", err, "InvalidParameterCombination")
	if err == nil || !strings.Contains(err.Error(), "disable deletion pro") {
		t.Error(err)
	}
}

func TestAnInstanceIsChangedAndRestarted(t *testing.T) {
	r := start(t)
	r.control(t)
	r.create(t, "demo", "demo-1")
	id := aws.String("demo-1")
	available := func() bool { return *r.instance(t, "demo-1").DBInstanceStatus == "available" }
	wait(t, "available", available)
	stored := func() aurora.DBInstance {
		item, err := state.DBInstances(r.store).Get(t.Context(), *r.instance(t, "demo-1").DbiResourceId)
		if err != nil {
			t.Fatal(err)
		}
		return item.Value
	}
	out, err := r.ModifyDBInstance(t.Context(), &api.ModifyDBInstanceInput{DBInstanceIdentifier: id, ApplyImmediately: aws.Bool(false)})
	if err != nil || *out.DBInstance.DBInstanceStatus != "available" || stored().Generation != 1 {
		t.Errorf("a change of nothing: %+v, %v", out, err)
	}
	out, err = r.ModifyDBInstance(t.Context(), &api.ModifyDBInstanceInput{
		DBInstanceIdentifier: id, ApplyImmediately: aws.Bool(true), DBInstanceClass: aws.String("db.r6g.xlarge"), PromotionTier: aws.Int32(3), EnablePerformanceInsights: aws.Bool(true),
		MonitoringInterval: aws.Int32(60), MonitoringRoleArn: aws.String("arn:aws:iam::1:role/r"),
	})
	if err != nil || *out.DBInstance.DBInstanceStatus != "modifying" {
		t.Errorf("%+v, %v", out, err)
	}
	wait(t, "available after a change", available)
	if in := r.instance(t, "demo-1"); *in.DBInstanceClass != "db.r6g.xlarge" || *in.PromotionTier != 3 || !*in.PerformanceInsightsEnabled ||
		*in.PerformanceInsightsRetentionPeriod != 7 || in.PerformanceInsightsKMSKeyId == nil || *in.MonitoringInterval != 60 {
		t.Errorf("%+v", in)
	}
	if _, err := r.ModifyDBInstance(t.Context(), &api.ModifyDBInstanceInput{DBInstanceIdentifier: id, MonitoringInterval: aws.Int32(30)}); err != nil {
		t.Errorf("another interval with the role that is there: %v", err)
	}
	wait(t, "available after another change", available)
	reboot, err := r.RebootDBInstance(t.Context(), &api.RebootDBInstanceInput{DBInstanceIdentifier: id})
	if err != nil || *reboot.DBInstance.DBInstanceStatus != "rebooting" {
		t.Errorf("%+v, %v", reboot, err)
	}
	wait(t, "available after a restart", available)
	if stored().Spec.RestartGeneration != 1 {
		t.Errorf("%+v", stored().Spec)
	}
}

func TestOnlyAVerifierOfThePasswordIsStored(t *testing.T) {
	r := start(t)
	r.create(t, "demo")
	before := r.stored(t, "demo")
	if v := before.Spec.MasterUserVerifier; !strings.HasPrefix(v, "SCRAM-SHA-256$4096:") || strings.Contains(fmt.Sprintf("%+v", before), password) {
		t.Errorf("verifier %s in %+v", v, before)
	}
	change := func(password string) aurora.DBCluster {
		t.Helper()
		_, err := r.ModifyDBCluster(t.Context(), &api.ModifyDBClusterInput{DBClusterIdentifier: aws.String("demo"), MasterUserPassword: &password})
		if err != nil {
			t.Fatal(err)
		}
		return r.stored(t, "demo")
	}
	if same := change(password); same.Generation != before.Generation || same.Spec.MasterUserVerifier != before.Spec.MasterUserVerifier {
		t.Errorf("the same password again: %+v", same.Spec)
	}
	other := change("another-password")
	if other.Spec.MasterPasswordGeneration != before.Spec.MasterPasswordGeneration+1 || other.Generation != before.Generation+1 ||
		other.Spec.MasterUserVerifier == before.Spec.MasterUserVerifier {
		t.Errorf("another password: %+v", other.Spec)
	}
}

func TestTagsAreAddedAndRemovedWithoutAChangeOfSpec(t *testing.T) {
	r := start(t)
	r.create(t, "demo", "demo-1")
	arn := r.instance(t, "demo-1").DBInstanceArn
	_, err := r.AddTagsToResource(t.Context(), &api.AddTagsToResourceInput{ResourceName: arn, Tags: []types.Tag{
		{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("b"), Value: aws.String("")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.RemoveTagsFromResource(t.Context(), &api.RemoveTagsFromResourceInput{ResourceName: arn, TagKeys: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	in := r.instance(t, "demo-1")
	if len(in.TagList) != 1 || *in.TagList[0].Key != "b" || *in.DBInstanceStatus != "creating" {
		t.Errorf("%+v", in.TagList)
	}
	item, err := state.DBInstances(r.store).Get(t.Context(), *in.DbiResourceId)
	if err != nil || item.Value.Generation != 1 {
		t.Errorf("%+v, %v", item.Value.Meta, err)
	}
}

func TestRegionsAreApartAndPagesComplete(t *testing.T) {
	r := start(t)
	for i := range 25 {
		r.create(t, fmt.Sprintf("demo-%02d", i))
	}
	there := r.in("eu-central-1")
	if _, err := there.CreateDBCluster(t.Context(), clusterInput("demo-00")); err != nil {
		t.Errorf("the same name in another region: %v", err)
	}
	_, err := there.DescribeDBClusters(t.Context(), &api.DescribeDBClustersInput{DBClusterIdentifier: aws.String("demo-01")})
	wantCode(t, "a cluster of another region", err, "DBClusterNotFoundFault")
	var ids []string
	pages := api.NewDescribeDBClustersPaginator(r, &api.DescribeDBClustersInput{MaxRecords: aws.Int32(20)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page.DBClusters {
			ids = append(ids, *c.DBClusterIdentifier)
		}
	}
	if len(ids) != 25 || !slices.IsSorted(ids) {
		t.Errorf("%d clusters: %v", len(ids), ids)
	}
	found, err := r.DescribeDBClusters(t.Context(), &api.DescribeDBClustersInput{
		Filters: []types.Filter{{Name: aws.String("db-cluster-id"), Values: []string{"demo-03", *r.cluster(t, "demo-04").DBClusterArn}}},
	})
	if err != nil || len(found.DBClusters) != 2 {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestEngineVersionsAndClassesAreListed(t *testing.T) {
	r := start(t)
	one, err := r.DescribeDBEngineVersions(t.Context(), &api.DescribeDBEngineVersionsInput{Engine: aws.String("aurora-postgresql"), DefaultOnly: aws.Bool(true)})
	if err != nil || len(one.DBEngineVersions) != 1 {
		t.Fatalf("the default version: %+v, %v", one, err)
	}
	all, err := r.DescribeDBEngineVersions(t.Context(), &api.DescribeDBEngineVersionsInput{Engine: aws.String("aurora-postgresql")})
	if err != nil || len(all.DBEngineVersions) < 10 || *all.DBEngineVersions[0].EngineVersion != "15.2" {
		t.Errorf("%+v, %v", all, err)
	}
	classes, err := r.DescribeOrderableDBInstanceOptions(t.Context(), &api.DescribeOrderableDBInstanceOptionsInput{
		Engine: aws.String("aurora-postgresql"), EngineVersion: one.DBEngineVersions[0].EngineVersion,
	})
	if err != nil || !slices.ContainsFunc(classes.OrderableDBInstanceOptions, func(o types.OrderableDBInstanceOption) bool {
		return *o.DBInstanceClass == "db.r6g.large"
	}) {
		t.Errorf("%+v, %v", classes, err)
	}
}
