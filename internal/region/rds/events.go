package rds

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// eventCategories are AWS's, of the sources that Aurora PostgreSQL has.
var eventCategories = []sourceCategories{
	{types.SourceTypeDbInstance, []string{"availability", "backtrack", "configuration change", "creation", "deletion", "failure", "low storage",
		"maintenance", "notification", "read replica", "recovery", "restoration", "security patching"}},
	{types.SourceTypeDbParameterGroup, []string{"configuration change"}},
	{types.SourceTypeDbCluster, []string{"configuration change", "creation", "deletion", "failover", "failure", "global failover", "maintenance", "notification"}},
	{types.SourceTypeDbClusterSnapshot, []string{"backup", "notification"}},
	{types.SourceTypeDbProxy, []string{"configuration change", "creation", "deletion", "failure"}},
	{types.SourceTypeBlueGreenDeployment, []string{"creation", "deletion", "failure", "notification"}},
}

// sourceCategories are the categories of events of one kind of source.
type sourceCategories struct {
	source     types.SourceType
	categories []string
}

// DescribeEventCategories answers the categories of a kind of source, or of all.
func (s *service) DescribeEventCategories(_ context.Context, in *rds.DescribeEventCategoriesInput) (*rds.DescribeEventCategoriesOutput, error) {
	if err := noFilters(in.Filters); err != nil {
		return nil, err
	}
	wanted := types.SourceType(aws.ToString(in.SourceType))
	if err := checkSourceType(wanted); err != nil {
		return nil, err
	}
	out := &rds.DescribeEventCategoriesOutput{}
	for _, m := range eventCategories {
		if wanted == "" || wanted == m.source {
			out.EventCategoriesMapList = append(out.EventCategoriesMapList,
				types.EventCategoriesMap{SourceType: aws.String(string(m.source)), EventCategories: m.categories})
		}
	}
	return out, nil
}

func checkSourceType(t types.SourceType) error {
	if t != "" && !slices.Contains(t.Values(), t) {
		return awswire.InvalidParameterValue("Source type %s is not valid.", t)
	}
	return nil
}

func noFilters(filters []types.Filter) error {
	if len(filters) > 0 {
		return awswire.InvalidParameterValue("Filters are not supported for this action.")
	}
	return nil
}

// defaultEventDuration is how far DescribeEvents looks back unless it is told.
const defaultEventDuration = time.Hour

// DescribeEvents answers what happened to the resources of the account.
func (s *service) DescribeEvents(ctx context.Context, in *rds.DescribeEventsInput) (*rds.DescribeEventsOutput, error) {
	c := scopeOf(ctx)
	from, to, err := eventTimes(in, time.Now())
	if err != nil {
		return nil, err
	}
	if err := checkEventSource(in); err != nil {
		return nil, err
	}
	all, err := state.Events(ctx, s.store, from)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(e aurora.Event) bool {
		return e.Account != c.account || e.Region != c.region || e.Time.After(to) ||
			in.SourceType != "" && e.SourceType != string(in.SourceType) ||
			in.SourceIdentifier != nil && e.SourceID != c.identifier(eventARNKind(e), *in.SourceIdentifier) ||
			len(in.EventCategories) > 0 && !slices.ContainsFunc(e.Categories, func(have string) bool { return slices.Contains(in.EventCategories, have) })
	})
	page, marker, err := awswire.Page(all, in.Marker, in.MaxRecords, awswire.RDSPages(), func(e aurora.Event) string { return e.ID })
	if err != nil {
		return nil, err
	}
	out := &rds.DescribeEventsOutput{Marker: marker}
	for _, e := range page {
		out.Events = append(out.Events, types.Event{
			Date: aws.Time(e.Time), EventCategories: e.Categories, Message: aws.String(e.Message),
			SourceIdentifier: aws.String(e.SourceID), SourceType: types.SourceType(e.SourceType), SourceArn: aws.String(c.arn(eventARNKind(e), e.SourceID)),
		})
	}
	return out, nil
}

func eventARNKind(e aurora.Event) string {
	switch e.SourceType {
	case aurora.SourceDBCluster:
		return "cluster"
	case string(types.SourceTypeDbParameterGroup):
		return string(instanceGroup)
	}
	return "db"
}

func checkEventSource(in *rds.DescribeEventsInput) error {
	if err := noFilters(in.Filters); err != nil {
		return err
	}
	if in.SourceIdentifier != nil && in.SourceType == "" {
		return awswire.InvalidParameterCombination("SourceType must be provided if SourceIdentifier is specified.")
	}
	return checkSourceType(in.SourceType)
}

// eventTimes is the span of time that is asked for.
func eventTimes(in *rds.DescribeEventsInput, now time.Time) (from, to time.Time, err error) {
	duration := defaultEventDuration
	if in.Duration != nil {
		duration = time.Duration(*in.Duration) * time.Minute
	}
	if in.Duration != nil && (in.StartTime != nil || in.EndTime != nil) {
		return from, to, awswire.InvalidParameterCombination("Duration can't be specified together with StartTime or EndTime.")
	}
	if duration <= 0 || duration > state.EventRetention {
		return from, to, awswire.InvalidParameterValue("Duration must be between 1 and %d minutes.", int(state.EventRetention/time.Minute))
	}
	to = now
	if in.EndTime != nil {
		to = *in.EndTime
	}
	from = to.Add(-duration)
	if in.StartTime != nil {
		from = *in.StartTime
	}
	switch {
	case from.After(to):
		return from, to, awswire.InvalidParameterCombination("The end time can't be before the start time.")
	case in.StartTime != nil && from.Before(now.Add(-state.EventRetention)):
		return from, to, awswire.InvalidParameterValue("The start time can't be more than 14 days ago.")
	}
	return from, to, nil
}
