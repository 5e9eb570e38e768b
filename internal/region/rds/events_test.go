package rds_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/state"
)

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
		{"a source by its ARN", api.DescribeEventsInput{SourceType: types.SourceTypeDbCluster, SourceIdentifier: str("arn:aws:rds:" + wiretest.Region + ":" + wiretest.Account + ":cluster:one"), EventCategories: []string{"failover", "creation"}, StartTime: aws.Time(now.Add(-3 * time.Hour)), EndTime: aws.Time(now.Add(-time.Hour))},
			[]string{"DB cluster created."}},
		{"a category that nothing has", api.DescribeEventsInput{EventCategories: []string{"recovery"}}, nil},
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
		{"a duration beside a start", func(i *api.DescribeEventsInput) {
			i.StartTime, i.Duration = aws.Time(now.Add(-time.Minute)), aws.Int32(5)
		}, "InvalidParameterCombination", ""},
		{"a duration beside an end", func(i *api.DescribeEventsInput) {
			i.EndTime, i.Duration = aws.Time(now), aws.Int32(5)
		}, "InvalidParameterCombination", ""},
		{"a duration of more than 14 days", func(i *api.DescribeEventsInput) { i.Duration = aws.Int32(14*24*60 + 1) }, "InvalidParameterValue", ""},
		{"a page that is too small", func(i *api.DescribeEventsInput) { i.MaxRecords = aws.Int32(19) }, "InvalidParameterValue", ""},
		{"a page that is too large", func(i *api.DescribeEventsInput) { i.MaxRecords = aws.Int32(101) }, "InvalidParameterValue", ""},
		{"a marker of somebody else", func(i *api.DescribeEventsInput) { i.Marker = str("!") }, "InvalidParameterValue", ""},
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
}

func TestPagesOfEventsAreComplete(t *testing.T) {
	r := start(t)
	cluster := aurora.DBCluster{Meta: aurora.Meta{Account: wiretest.Account, Region: wiretest.Region}}
	var ops []state.Op
	for i := range 45 {
		ops = append(ops, state.EventOp(aurora.FailoverCompleted(&cluster, fmt.Sprintf("r%02d", i)), time.Now().Add(time.Duration(i)*time.Millisecond-time.Minute)))
	}
	if _, err := r.store.Commit(t.Context(), ops...); err != nil {
		t.Fatal(err)
	}
	var sizes []int
	var told []string
	pages := api.NewDescribeEventsPaginator(r, &api.DescribeEventsInput{MaxRecords: aws.Int32(20)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(page.Events))
		for _, e := range page.Events {
			told = append(told, *e.Message)
		}
	}
	if !slices.Equal(sizes, []int{20, 20, 5}) || !slices.IsSorted(told) || len(slices.Compact(told)) != 45 {
		t.Errorf("pages of %v: %q", sizes, told)
	}
}

func TestCategoriesAreThoseOfASource(t *testing.T) {
	r := start(t)
	one, err := r.DescribeEventCategories(t.Context(), &api.DescribeEventCategoriesInput{SourceType: str("db-cluster")})
	if err != nil || len(one.EventCategoriesMapList) != 1 || !slices.Contains(one.EventCategoriesMapList[0].EventCategories, "failover") {
		t.Errorf("categories: %+v, %v", one, err)
	}
	all, err := r.DescribeEventCategories(t.Context(), &api.DescribeEventCategoriesInput{})
	if err != nil || len(all.EventCategoriesMapList) != 6 {
		t.Errorf("all categories: %+v, %v", all, err)
	}
	_, err = r.DescribeEventCategories(t.Context(), &api.DescribeEventCategoriesInput{SourceType: str("db-cloud")})
	wantCode(t, "an unknown type", err, "InvalidParameterValue")
	_, err = r.DescribeEventCategories(t.Context(), &api.DescribeEventCategoriesInput{Filters: []types.Filter{{Name: str("a"), Values: []string{"b"}}}})
	wantCode(t, "filters", err, "InvalidParameterValue")
}

func TestChangesThatUsersAskForAreToldOnce(t *testing.T) {
	r := start(t)
	r.control(t)
	r.create(t, "one", "w")
	password := &api.ModifyDBClusterInput{DBClusterIdentifier: str("one"), MasterUserPassword: str("another-password")}
	class := &api.ModifyDBInstanceInput{ApplyImmediately: aws.Bool(true), DBInstanceIdentifier: str("w"), DBInstanceClass: str("db.r6g.xlarge"), PromotionTier: aws.Int32(2),
		MonitoringInterval: aws.Int32(30), MonitoringRoleArn: str("arn:aws:iam::1:role/r")}
	for range 2 { // the second time they change nothing
		if _, err := r.ModifyDBCluster(t.Context(), password); err != nil {
			t.Fatal(err)
		}
		if _, err := r.ModifyDBInstance(t.Context(), class); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.ModifyDBCluster(t.Context(), &api.ModifyDBClusterInput{DBClusterIdentifier: str("one"), DeletionProtection: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	out, err := r.DescribeEvents(t.Context(), &api.DescribeEventsInput{})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, e := range out.Events {
		told = append(told, *e.SourceIdentifier+": "+*e.Message)
	}
	want := []string{"one: Reset master credentials.", "w: Applying modification to database instance class.", "w: Monitoring Interval changed to 30."}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
