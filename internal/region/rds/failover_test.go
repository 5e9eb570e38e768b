package rds_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/state"
)

func TestFailoverIsAskedForOnceAndOfAReaderOnly(t *testing.T) {
	r := start(t)
	r.control(t)
	r.create(t, "one", "w", "r")
	r.create(t, "alone", "x")
	for _, id := range []string{"w", "r", "x"} {
		wait(t, id+" is available", func() bool { return *r.instance(t, id).DBInstanceStatus == "available" })
	}
	for _, id := range []string{"one", "alone"} {
		wait(t, id+" has a writer", func() bool { return r.stored(t, id).Status.Writer != "" })
	}
	for _, c := range []refused[api.FailoverDBClusterInput]{
		{"an unknown cluster", func(i *api.FailoverDBClusterInput) { i.DBClusterIdentifier = str("none") }, "DBClusterNotFoundFault", "none"},
		{"a cluster with no reader", func(i *api.FailoverDBClusterInput) { i.DBClusterIdentifier = str("alone") }, "InvalidDBClusterStateFault", "no Aurora Replica"},
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

func TestEventsAreFoundBySourceCategoryAndTime(t *testing.T) {
	r := start(t)
	now := time.Now()
	meta := aurora.Meta{Account: wiretest.Account, Region: wiretest.Region}
	cluster, in := aurora.DBCluster{Meta: meta}, aurora.DBInstance{Meta: meta}
	cluster.Spec.Identifier, in.Spec.Identifier = "one", "w"
	foreign := cluster
	foreign.Account = "210987654321"
	for _, e := range []struct {
		event aurora.Event
		ago   time.Duration
	}{
		{aurora.ClusterCreated(&cluster), 2 * time.Hour},
		{aurora.FailoverStarted(&cluster, "r", false), time.Minute},
		{aurora.FailoverCompleted(&cluster, "r"), 30 * time.Second},
		{aurora.InstanceRestarted(&in), 10 * time.Second},
		{aurora.FailoverFailed(&foreign), time.Second},
	} {
		if _, err := r.store.Commit(t.Context(), state.EventOp(e.event, now.Add(-e.ago))); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		in   api.DescribeEventsInput
		want []string
	}{
		{"the last hour", api.DescribeEventsInput{}, []string{"Started cross AZ failover to DB instance: r.", "Completed failover to DB instance: r.", "DB instance restarted."}},
		{"three hours", api.DescribeEventsInput{Duration: aws.Int32(180), EventCategories: []string{"creation"}}, []string{"DB cluster created."}},
		{"a source", api.DescribeEventsInput{SourceType: types.SourceTypeDbInstance, SourceIdentifier: str("w")}, []string{"DB instance restarted."}},
		{"another source", api.DescribeEventsInput{SourceType: types.SourceTypeDbCluster, SourceIdentifier: str("two")}, nil},
		{"a kind of source", api.DescribeEventsInput{SourceType: types.SourceTypeDbCluster, EventCategories: []string{"failover"}, EndTime: aws.Time(now.Add(-45 * time.Second))},
			[]string{"Started cross AZ failover to DB instance: r."}},
		{"from a time on", api.DescribeEventsInput{StartTime: aws.Time(now.Add(-20 * time.Second))}, []string{"DB instance restarted."}},
	} {
		out, err := r.DescribeEvents(t.Context(), &c.in)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, e := range out.Events {
			got = append(got, *e.Message)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	for _, c := range []refused[api.DescribeEventsInput]{
		{"a source without its type", func(i *api.DescribeEventsInput) { i.SourceIdentifier = str("w") }, "InvalidParameterCombination", ""},
		{"an unknown type", func(i *api.DescribeEventsInput) { i.SourceType = "db-cloud" }, "InvalidParameterValue", ""},
		{"too long ago", func(i *api.DescribeEventsInput) { i.StartTime = aws.Time(now.AddDate(0, 0, -15)) }, "InvalidParameterValue", ""},
		{"an end before the start", func(i *api.DescribeEventsInput) {
			i.StartTime, i.EndTime = aws.Time(now), aws.Time(now.Add(-time.Minute))
		}, "InvalidParameterCombination", ""},
		{"no duration", func(i *api.DescribeEventsInput) { i.Duration = aws.Int32(0) }, "InvalidParameterValue", ""},
		{"filters", func(i *api.DescribeEventsInput) {
			i.Filters = []types.Filter{{Name: str("a"), Values: []string{"b"}}}
		}, "InvalidParameterValue", ""},
	} {
		var in api.DescribeEventsInput
		c.change(&in)
		_, err := r.DescribeEvents(t.Context(), &in)
		wantCode(t, c.name, err, c.code)
	}
	if err := state.PruneEvents(t.Context(), r.store, now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if left, err := state.Events(t.Context(), r.store, now.Add(-24*time.Hour)); err != nil || len(left) != 4 {
		t.Errorf("%d events are left, %v", len(left), err)
	}
	all, err := r.DescribeEventCategories(t.Context(), &api.DescribeEventCategoriesInput{SourceType: str("db-cluster")})
	if err != nil || len(all.EventCategoriesMapList) != 1 || !slices.Contains(all.EventCategoriesMapList[0].EventCategories, "failover") {
		t.Errorf("categories: %+v, %v", all, err)
	}
}

func TestCopiesOfTheLogAreChosenByATagAtCreation(t *testing.T) {
	r := start(t)
	in := clusterInput("one")
	in.Tags = []types.Tag{{Key: str("daybreak:log-copies"), Value: str("4")}}
	_, err := r.CreateDBCluster(t.Context(), in)
	wantCode(t, "four copies", err, "InvalidParameterValue")
	in.Tags[0].Value = str("3")
	if _, err := r.CreateDBCluster(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if n := r.stored(t, "one").Spec.LogCopies; n != 3 {
		t.Errorf("%d copies", n)
	}
	arn := r.cluster(t, "one").DBClusterArn
	_, err = r.AddTagsToResource(t.Context(), &api.AddTagsToResourceInput{ResourceName: arn, Tags: []types.Tag{{Key: str("daybreak:log-copies"), Value: str("1")}}})
	wantCode(t, "another number", err, "InvalidParameterValue")
	_, err = r.RemoveTagsFromResource(t.Context(), &api.RemoveTagsFromResourceInput{ResourceName: arn, TagKeys: []string{"daybreak:log-copies"}})
	wantCode(t, "no number", err, "InvalidParameterValue")
}
