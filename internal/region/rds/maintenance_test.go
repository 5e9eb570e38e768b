package rds_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

// window is a maintenance window of four hours that begins some hours from now.
func window(hours int) *string {
	at := func(hours int) string {
		return strings.ToLower(time.Now().UTC().Add(time.Duration(hours) * time.Hour).Format("Mon:15:04"))
	}
	return aws.String(at(hours) + "-" + at(hours+4))
}

// far is a backup window that overlaps neither window(-2) nor window(20).
func far() *string {
	at := func(hours int) string { return time.Now().UTC().Add(time.Duration(hours) * time.Hour).Format("15:04") }
	return aws.String(at(8) + "-" + at(9))
}

// available is a region with a cluster "demo" and its writer "w", whose maintenance
// windows come tomorrow.
func available(t *testing.T) region {
	r := start(t)
	r.control(t)
	in := clusterInput("demo")
	in.EngineVersion, in.PreferredMaintenanceWindow, in.PreferredBackupWindow = aws.String("15.10"), window(20), far()
	if _, err := r.CreateDBCluster(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	writer := instanceInput("demo", "w")
	writer.PreferredMaintenanceWindow = window(20)
	if _, err := r.CreateDBInstance(t.Context(), writer); err != nil {
		t.Fatal(err)
	}
	wait(t, "all is available", func() bool {
		return *r.instance(t, "w").DBInstanceStatus == "available" && *r.cluster(t, "demo").Status == "available"
	})
	return r
}

func TestChangesOfAClusterWaitForItsWindow(t *testing.T) {
	r := available(t)
	id, generation := aws.String("demo"), r.stored(t, "demo").Generation
	modify := func(in *api.ModifyDBClusterInput) *types.ClusterPendingModifiedValues {
		t.Helper()
		in.DBClusterIdentifier = id
		out, err := r.ModifyDBCluster(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return out.DBCluster.PendingModifiedValues
	}
	p := modify(&api.ModifyDBClusterInput{EngineVersion: aws.String("15.12"), BackupRetentionPeriod: aws.Int32(5), StorageType: aws.String("aurora-iopt1"),
		CloudwatchLogsExportConfiguration: &types.CloudwatchLogsExportConfiguration{EnableLogTypes: []string{"postgresql"}}})
	if p == nil || *p.EngineVersion != "15.12" || *p.BackupRetentionPeriod != 5 || *p.StorageType != "aurora-iopt1" || len(p.PendingCloudwatchLogsExports.LogTypesToEnable) != 1 {
		t.Fatalf("%+v", p)
	}
	if c := r.cluster(t, "demo"); *c.EngineVersion != "15.10" || *c.BackupRetentionPeriod != 1 || *c.Status != "available" || len(c.EnabledCloudwatchLogsExports) != 0 {
		t.Errorf("before its window: %+v", c)
	}
	if now := r.stored(t, "demo").Generation; now != generation {
		t.Errorf("what waits is no change: generation %d, was %d", now, generation)
	}
	if p := modify(&api.ModifyDBClusterInput{BackupRetentionPeriod: aws.Int32(1), DeletionProtection: aws.Bool(true)}); p.BackupRetentionPeriod != nil || *p.EngineVersion != "15.12" {
		t.Errorf("a change that was taken back: %+v", p)
	}
	if !*r.cluster(t, "demo").DeletionProtection {
		t.Error("deletion protection waits")
	}
	modify(&api.ModifyDBClusterInput{PreferredMaintenanceWindow: window(-2)})
	wait(t, "the changes are made in the window", func() bool {
		c := r.cluster(t, "demo")
		return *c.EngineVersion == "15.12" && c.PendingModifiedValues == nil && aws.ToString(c.StorageType) == "aurora-iopt1"
	})
	modify(&api.ModifyDBClusterInput{PreferredMaintenanceWindow: window(20), EngineVersion: aws.String("15.13")})
	if p := modify(&api.ModifyDBClusterInput{ApplyImmediately: aws.Bool(true)}); p != nil || *r.cluster(t, "demo").EngineVersion != "15.13" {
		t.Errorf("ApplyImmediately makes what waits: %+v", p)
	}
}

func TestAnotherClassWaitsForItsWindow(t *testing.T) {
	r := available(t)
	id := aws.String("w")
	out, err := r.ModifyDBInstance(t.Context(), &api.ModifyDBInstanceInput{DBInstanceIdentifier: id, DBInstanceClass: aws.String("db.r6g.xlarge"), PromotionTier: aws.Int32(5)})
	if err != nil || *out.DBInstance.DBInstanceClass != "db.r6g.large" || *out.DBInstance.PendingModifiedValues.DBInstanceClass != "db.r6g.xlarge" || *out.DBInstance.PromotionTier != 5 {
		t.Fatalf("%+v, %v", out, err)
	}
	if _, err := r.ModifyDBInstance(t.Context(), &api.ModifyDBInstanceInput{DBInstanceIdentifier: id, PreferredMaintenanceWindow: window(-2)}); err != nil {
		t.Fatal(err)
	}
	wait(t, "the class is changed in the window", func() bool {
		in := r.instance(t, "w")
		return *in.DBInstanceClass == "db.r6g.xlarge" && in.PendingModifiedValues == nil
	})
}

func TestAServerIsUpdatedWithItsHost(t *testing.T) {
	r := available(t)
	arn := aws.String("arn:aws:rds:us-west-2:111122223333:db:w")
	pending := func() []types.ResourcePendingMaintenanceActions {
		t.Helper()
		out, err := r.DescribePendingMaintenanceActions(t.Context(), &api.DescribePendingMaintenanceActionsInput{ResourceIdentifier: arn})
		if err != nil {
			t.Fatal(err)
		}
		return out.PendingMaintenanceActions
	}
	apply := func(optIn string) (*api.ApplyPendingMaintenanceActionOutput, error) {
		return r.ApplyPendingMaintenanceAction(t.Context(), &api.ApplyPendingMaintenanceActionInput{ResourceIdentifier: arn, ApplyAction: aws.String("system-update"), OptInType: &optIn})
	}
	if p := pending(); len(p) != 0 {
		t.Fatalf("%+v", p)
	}
	_, err := apply("immediate")
	wantCode(t, "an update that is none", err, "InvalidParameterValue")
	key := *r.instance(t, "w").DbiResourceId
	if _, err := state.Hosts(r.store).Create(t.Context(), "h", aurora.Host{ID: "h", PGVersion: "15.99"}); err != nil {
		t.Fatal(err)
	}
	_, err = state.DBInstances(r.store).Update(t.Context(), key, func(in *aurora.DBInstance) error {
		in.Status.Host, in.Server.Version, in.Server.Phase = "h", "15.18", aurora.PhaseRunning
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wait(t, "an update is pending", func() bool { return len(pending()) == 1 })
	if out, err := apply("next-maintenance"); err != nil || *out.ResourcePendingMaintenanceActions.PendingMaintenanceActionDetails[0].OptInStatus != "next-maintenance" {
		t.Fatalf("%+v, %v", out, err)
	}
	if _, err := r.ModifyDBInstance(t.Context(), &api.ModifyDBInstanceInput{DBInstanceIdentifier: aws.String("w"), PreferredMaintenanceWindow: window(-2)}); err != nil {
		t.Fatal(err)
	}
	wait(t, "the server was restarted", func() bool {
		item, err := state.DBInstances(r.store).Get(t.Context(), key)
		return err == nil && item.Value.Spec.RestartGeneration == 1 && !item.Value.Spec.PendingUpdate
	})
	for _, bad := range []string{"sometime", ""} {
		_, err := apply(bad)
		wantCode(t, fmt.Sprintf("opt-in %q", bad), err, "InvalidParameterValue")
	}
}
