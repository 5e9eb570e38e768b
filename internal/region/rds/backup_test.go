package rds_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

// backedUp makes a cluster whose node has made a base backup two hours ago, and has
// archived all WAL up to a minute ago.
func (r region) backedUp(t *testing.T, id string) (earliest, latest time.Time) {
	t.Helper()
	if _, err := r.CreateDBCluster(t.Context(), clusterInput(id)); err != nil {
		t.Fatal(err)
	}
	resource := *r.cluster(t, id).DbClusterResourceId
	earliest, latest = time.Now().UTC().Add(-2*time.Hour).Truncate(time.Millisecond), time.Now().UTC().Add(-time.Minute).Truncate(time.Millisecond)
	base := aurora.BaseBackup{ID: "one", ClusterID: resource, Start: 100, Stop: 200, Began: earliest.Add(-time.Minute), Ended: earliest, Bytes: 5 << 30}
	if _, err := state.BaseBackups(r.store).Create(t.Context(), resource+"/one", base); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Archives(r.store).Create(t.Context(), resource, aurora.Archive{Begin: 50, End: 900, Commit: latest}); err != nil {
		t.Fatal(err)
	}
	r.settle(t, id)
	wait(t, "the region knows from when to when the cluster can be restored", func() bool {
		c := r.cluster(t, id)
		return c.EarliestRestorableTime != nil && c.EarliestRestorableTime.Equal(earliest) && c.LatestRestorableTime.Equal(latest)
	})
	return earliest, latest
}

// settle has a cluster be available, as the controller does.
func (r region) settle(t *testing.T, id string) {
	t.Helper()
	r.editCluster(t, id, func(c *aurora.DBCluster) {
		c.Status.Status, c.Status.ObservedGeneration = aurora.ClusterStatusAvailable, c.Generation
	})
}

func (r region) editCluster(t *testing.T, id string, edit func(*aurora.DBCluster)) {
	t.Helper()
	key := *r.cluster(t, id).DbClusterResourceId
	if _, err := state.DBClusters(r.store).Update(t.Context(), key, func(c *aurora.DBCluster) error { edit(c); return nil }); err != nil {
		t.Fatal(err)
	}
}

// finish has a snapshot be complete, as the controller does.
func (r region) finish(t *testing.T, snapshot string) {
	t.Helper()
	all, _, err := state.DBClusterSnapshots(r.store).List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range all {
		if item.Value.Identifier != snapshot {
			continue
		}
		if _, err := state.DBClusterSnapshots(r.store).Update(t.Context(), item.Key, func(v *aurora.DBClusterSnapshot) error {
			v.Status, v.Source = aurora.SnapshotStatusAvailable, &aurora.RestoreSource{ClusterID: v.ClusterID, Base: "one", End: 500, Timeline: 2}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, "the snapshot is available", func() bool { return r.snapshotStatus(t, snapshot) == "available" })
}

func (r region) snapshotStatus(t *testing.T, id string) string {
	t.Helper()
	out, err := r.DescribeDBClusterSnapshots(t.Context(), &api.DescribeDBClusterSnapshotsInput{DBClusterSnapshotIdentifier: &id})
	if err != nil || len(out.DBClusterSnapshots) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	return *out.DBClusterSnapshots[0].Status
}

func wantError(t *testing.T, err error, want, saying string) {
	t.Helper()
	if code(err) != want || !strings.Contains(err.Error(), saying) {
		t.Errorf("%v, want %s with %q", err, want, saying)
	}
}

func TestRestoreToAPointInTime(t *testing.T) {
	r := start(t)
	earliest, latest := r.backedUp(t, "demo")
	id := func(s string) *string { return &s }
	moment := earliest.Add(time.Hour + 123*time.Millisecond)
	type in = api.RestoreDBClusterToPointInTimeInput
	for _, c := range []struct {
		name         string
		edit         func(*in)
		code, saying string
	}{
		{"neither a time nor the latest", func(i *in) { i.RestoreToTime = nil }, "InvalidParameterCombination", "UseLatestRestorableTime"},
		{"both", func(i *in) { i.UseLatestRestorableTime = aws.Bool(true) }, "InvalidParameterCombination", "UseLatestRestorableTime"},
		{"before the first backup", func(i *in) { i.RestoreToTime = aws.Time(earliest.Add(-time.Second)) }, "InvalidParameterValue", "restorable window"},
		{"in the future", func(i *in) { i.RestoreToTime = aws.Time(latest.Add(time.Hour)) }, "InvalidParameterValue", "restorable window"},
		{"a name in use", func(i *in) { i.DBClusterIdentifier = id("demo") }, "DBClusterAlreadyExistsFault", "already exists"},
		{"no such cluster", func(i *in) { i.SourceDBClusterIdentifier = id("nobody") }, "DBClusterNotFoundFault", "nobody"},
		{"no source", func(i *in) { i.SourceDBClusterIdentifier = nil }, "InvalidParameterCombination", "SourceDbClusterResourceId"},
		{"no backups", func(i *in) { i.SourceDBClusterIdentifier, i.SourceDbClusterResourceId = nil, id("cluster-GONE") }, "DBClusterAutomatedBackupNotFoundFault", "GONE"},
		{"a retention that is none", func(i *in) { i.BackupRetentionPeriod = aws.Int32(36) }, "InvalidParameterValue", "1 and 35"},
		{"another kind of restore", func(i *in) { i.RestoreType = id("half-copy") }, "InvalidParameterValue", "restore type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			given := &in{DBClusterIdentifier: id("restored"), SourceDBClusterIdentifier: id("demo"), RestoreToTime: &moment}
			c.edit(given)
			_, err := r.RestoreDBClusterToPointInTime(t.Context(), given)
			wantError(t, err, c.code, c.saying)
		})
	}
	out, err := r.RestoreDBClusterToPointInTime(t.Context(), &in{DBClusterIdentifier: id("restored"), SourceDBClusterIdentifier: id("demo"), RestoreToTime: &moment, Port: aws.Int32(6000)})
	if err != nil {
		t.Fatal(err)
	}
	if *out.DBCluster.Port != 6000 || *out.DBCluster.MasterUsername != *r.cluster(t, "demo").MasterUsername || len(out.DBCluster.DBClusterMembers) != 0 {
		t.Errorf("%+v", out.DBCluster)
	}
	stored, err := state.DBClusters(r.store).Get(t.Context(), *out.DBCluster.DbClusterResourceId)
	if err != nil {
		t.Fatal(err)
	}
	if from := stored.Value.Spec.Restore; from == nil || from.Base != "one" || from.End != 900 || !from.Time.Equal(moment) || stored.Value.Spec.MasterPasswordGeneration != 0 {
		t.Errorf("restores %+v", from)
	}
	if _, err = r.RestoreDBClusterToPointInTime(t.Context(), &in{DBClusterIdentifier: id("latest"), SourceDBClusterIdentifier: id("demo"), UseLatestRestorableTime: aws.Bool(true)}); err != nil {
		t.Error(err)
	}
}

func TestSnapshotsOfAClusterAndWhatCanBeDoneWithThem(t *testing.T) {
	r := start(t)
	r.backedUp(t, "demo")
	id := func(s string) *string { return &s }
	create := func(of, name string) error {
		_, err := r.CreateDBClusterSnapshot(t.Context(), &api.CreateDBClusterSnapshotInput{DBClusterIdentifier: &of, DBClusterSnapshotIdentifier: &name})
		return err
	}
	wantError(t, create("nobody", "one"), "DBClusterNotFoundFault", "nobody")
	wantError(t, create("demo", "not_one"), "InvalidParameterValue", "identifier")
	if err := create("demo", "one"); err != nil {
		t.Fatal(err)
	}
	wantError(t, create("demo", "one"), "DBClusterSnapshotAlreadyExistsFault", "one")
	if got := r.snapshotStatus(t, "one"); got != "creating" {
		t.Errorf("a new snapshot is %s", got)
	}
	restore := func(snapshot, version string) error {
		in := &api.RestoreDBClusterFromSnapshotInput{DBClusterIdentifier: id("restored"), SnapshotIdentifier: &snapshot, Engine: id("aurora-postgresql")}
		if version != "" {
			in.EngineVersion = &version
		}
		_, err := r.RestoreDBClusterFromSnapshot(t.Context(), in)
		return err
	}
	wantError(t, restore("one", ""), "InvalidDBClusterSnapshotStateFault", "creating")
	r.finish(t, "one")
	wantError(t, restore("nothing", ""), "DBClusterSnapshotNotFoundFault", "nothing")
	wantError(t, restore("one", "14.6"), "InvalidParameterCombination", "14.6")

	automated := ""
	out, err := r.DescribeDBClusterSnapshots(t.Context(), &api.DescribeDBClusterSnapshotsInput{SnapshotType: id("automated")})
	if err != nil || len(out.DBClusterSnapshots) != 1 {
		t.Fatalf("automated snapshots: %+v, %v", out, err)
	}
	automated = *out.DBClusterSnapshots[0].DBClusterSnapshotIdentifier
	_, err = r.DeleteDBClusterSnapshot(t.Context(), &api.DeleteDBClusterSnapshotInput{DBClusterSnapshotIdentifier: &automated})
	wantError(t, err, "InvalidDBClusterSnapshotStateFault", "automated")

	_, err = r.CopyDBClusterSnapshot(t.Context(), &api.CopyDBClusterSnapshotInput{SourceDBClusterSnapshotIdentifier: &automated, TargetDBClusterSnapshotIdentifier: id("copy"), KmsKeyId: id("alias/nothing")})
	wantError(t, err, "KMSKeyNotAccessibleFault", "alias/nothing")
	if _, err = r.CopyDBClusterSnapshot(t.Context(), &api.CopyDBClusterSnapshotInput{SourceDBClusterSnapshotIdentifier: &automated, TargetDBClusterSnapshotIdentifier: id("copy")}); err != nil {
		t.Error(err)
	}
	share := func(add ...string) error {
		_, err := r.ModifyDBClusterSnapshotAttribute(t.Context(), &api.ModifyDBClusterSnapshotAttributeInput{DBClusterSnapshotIdentifier: id("one"), AttributeName: id("restore"), ValuesToAdd: add})
		return err
	}
	wantError(t, share("somebody"), "InvalidParameterValue", "somebody")
	if err := share("210987654321", "all"); err != nil {
		t.Error(err)
	}
	attributes, err := r.DescribeDBClusterSnapshotAttributes(t.Context(), &api.DescribeDBClusterSnapshotAttributesInput{DBClusterSnapshotIdentifier: id("one")})
	if err != nil || len(attributes.DBClusterSnapshotAttributesResult.DBClusterSnapshotAttributes[0].AttributeValues) != 2 {
		t.Errorf("%+v, %v", attributes, err)
	}
	if err := restore("one", ""); err != nil {
		t.Error(err)
	}
	if _, err := r.DeleteDBClusterSnapshot(t.Context(), &api.DeleteDBClusterSnapshotInput{DBClusterSnapshotIdentifier: id("one")}); err != nil {
		t.Error(err)
	}
	_, err = r.DescribeDBClusterSnapshots(t.Context(), &api.DescribeDBClusterSnapshotsInput{DBClusterSnapshotIdentifier: id("one")})
	wantError(t, err, "DBClusterSnapshotNotFoundFault", "one")
}

func TestFinalSnapshotAndRetainedBackups(t *testing.T) {
	r := start(t)
	r.backedUp(t, "demo")
	id := func(s string) *string { return &s }
	if _, err := r.CreateDBClusterSnapshot(t.Context(), &api.CreateDBClusterSnapshotInput{DBClusterIdentifier: id("demo"), DBClusterSnapshotIdentifier: id("taken")}); err != nil {
		t.Fatal(err)
	}
	in := &api.DeleteDBClusterInput{DBClusterIdentifier: id("demo"), FinalDBSnapshotIdentifier: id("taken")}
	_, err := r.DeleteDBCluster(t.Context(), in)
	wantError(t, err, "DBClusterSnapshotAlreadyExistsFault", "taken")
	in.FinalDBSnapshotIdentifier, in.DeleteAutomatedBackups = id("last"), aws.Bool(false)
	if _, err := r.DeleteDBCluster(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	all, _, err := state.DBClusters(r.store).List(t.Context(), "")
	if err != nil || len(all) != 1 || !all[0].Value.DeleteRequested || !all[0].Value.Spec.KeepBackups || all[0].Value.Spec.ArchiveGeneration != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	if got := r.snapshotStatus(t, "last"); got != "creating" {
		t.Errorf("the final snapshot is %s", got)
	}
}
