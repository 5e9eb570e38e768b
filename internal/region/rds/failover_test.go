package rds_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

func TestFailoverIsAskedForOnceAndOfAReaderOnly(t *testing.T) {
	r := start(t)
	r.control(t)
	r.create(t, "one", "w", "r", "slow")
	r.create(t, "alone", "x")
	r.create(t, "empty")
	for _, id := range []string{"w", "r", "slow", "x"} {
		wait(t, id+" is available", func() bool { return *r.instance(t, id).DBInstanceStatus == "available" })
	}
	for _, id := range []string{"one", "alone"} {
		wait(t, id+" has a writer", func() bool { return r.stored(t, id).Status.Writer != "" })
	}
	_, err := state.DBInstances(r.store).Update(t.Context(), *r.instance(t, "slow").DbiResourceId, func(v *aurora.DBInstance) error {
		v.Status.Status = aurora.InstanceStatusModifying
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wait(t, "slow is shown as modifying", func() bool { return *r.instance(t, "slow").DBInstanceStatus == "modifying" })
	for _, c := range []refused[api.FailoverDBClusterInput]{
		{"an unknown cluster", func(i *api.FailoverDBClusterInput) { i.DBClusterIdentifier = str("none") }, "DBClusterNotFoundFault", "none"},
		{"a cluster with no reader", func(i *api.FailoverDBClusterInput) { i.DBClusterIdentifier = str("alone") }, "InvalidDBClusterStateFault", "no Aurora Replica"},
		{"a cluster with no instance", func(i *api.FailoverDBClusterInput) { i.DBClusterIdentifier = str("empty") }, "InvalidDBClusterStateFault", "empty"},
		{"a reader that is not available", func(i *api.FailoverDBClusterInput) { i.TargetDBInstanceIdentifier = str("slow") }, "InvalidDBInstanceState", "not in available state"},
		{"an unknown target", func(i *api.FailoverDBClusterInput) { i.TargetDBInstanceIdentifier = str("none") }, "DBInstanceNotFound", "none"},
		{"the writer as target", func(i *api.FailoverDBClusterInput) { i.TargetDBInstanceIdentifier = str("w") }, "InvalidDBInstanceState", "already the writer"},
		{"another cluster's instance", func(i *api.FailoverDBClusterInput) { i.TargetDBInstanceIdentifier = str("x") }, "InvalidDBInstanceState", "not a member"},
	} {
		in := api.FailoverDBClusterInput{DBClusterIdentifier: str("one")}
		c.change(&in)
		_, err := r.FailoverDBCluster(t.Context(), &in)
		wantCode(t, c.name, err, c.code)
		if err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v, want %q", c.name, err, c.message)
		}
	}
	if f := r.stored(t, "one").Spec.Failover; f != (aurora.FailoverRequest{}) {
		t.Fatalf("refused requests left %+v", f)
	}
	out, err := r.FailoverDBCluster(t.Context(), &api.FailoverDBClusterInput{DBClusterIdentifier: str("one"), TargetDBInstanceIdentifier: str("R")})
	if err != nil {
		t.Fatal(err)
	}
	if *out.DBCluster.Status != "failing-over" || *r.cluster(t, "one").Status != "failing-over" {
		t.Errorf("status %s", *out.DBCluster.Status)
	}
	want := aurora.FailoverRequest{Generation: 1, Target: *r.instance(t, "r").DbiResourceId}
	if f := r.stored(t, "one").Spec.Failover; f != want {
		t.Errorf("asked for %+v, want %+v", f, want)
	}
	_, err = r.FailoverDBCluster(t.Context(), &api.FailoverDBClusterInput{DBClusterIdentifier: str("one")})
	wantCode(t, "a second request", err, "InvalidDBClusterStateFault")
	_, err = r.RebootDBInstance(t.Context(), &api.RebootDBInstanceInput{DBInstanceIdentifier: str("w"), ForceFailover: aws.Bool(true)})
	wantCode(t, "a reboot with failover", err, "InvalidParameterCombination")
}

func TestFailoverWithoutATargetIsShownUntilItIsDone(t *testing.T) {
	r := start(t)
	r.create(t, "one", "w", "r")
	writer := func(id string) aurora.DBCluster {
		t.Helper()
		item, err := state.DBClusters(r.store).Update(t.Context(), r.stored(t, "one").ResourceID, func(v *aurora.DBCluster) error {
			v.Status.Status, v.Status.ObservedGeneration = aurora.ClusterStatusAvailable, v.Generation
			v.Status.Writer, v.Status.FailoverGeneration = *r.instance(t, id).DbiResourceId, v.Spec.Failover.Generation
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return item.Value
	}
	shows := func(status, writer string) func() bool {
		return func() bool {
			c := r.cluster(t, "one")
			return *c.Status == status && len(c.DBClusterMembers) == 2 && !slices.ContainsFunc(c.DBClusterMembers, func(m types.DBClusterMember) bool {
				return *m.IsClusterWriter != (*m.DBInstanceIdentifier == writer)
			})
		}
	}
	ask := func() error {
		_, err := r.FailoverDBCluster(t.Context(), &api.FailoverDBClusterInput{DBClusterIdentifier: str("one")})
		return err
	}
	wantCode(t, "a cluster that is being created", ask(), "InvalidDBClusterStateFault")
	for _, id := range []string{"w", "r"} {
		_, err := state.DBInstances(r.store).Update(t.Context(), *r.instance(t, id).DbiResourceId, func(v *aurora.DBInstance) error {
			v.Status.Status, v.Status.ObservedGeneration = aurora.InstanceStatusAvailable, v.Generation
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	writer("w")
	wait(t, "available", func() bool { return shows("available", "w")() && *r.instance(t, "r").DBInstanceStatus == "available" })
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	if f := r.stored(t, "one").Spec.Failover; f != (aurora.FailoverRequest{Generation: 1}) {
		t.Errorf("asked for %+v", f)
	}
	if !shows("failing-over", "w")() {
		t.Errorf("%+v", r.cluster(t, "one"))
	}
	writer("r")
	wait(t, "the other one is the writer", shows("available", "r"))
}
