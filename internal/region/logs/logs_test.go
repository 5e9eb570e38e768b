package logs_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/logs"
	"github.com/daybreakdb/daybreak/internal/region/regiontest"
	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

var str = aws.String

func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	if got := regiontest.Code(err); got != code {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

func must(t *testing.T) func(_ any, err error) {
	return func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// start serves CloudWatch Logs with a group and a stream called db.
func start(t *testing.T) *api.Client {
	t.Helper()
	c := api.NewFromConfig(regiontest.Serve(t).Root)
	must(t)(c.CreateLogGroup(t.Context(), &api.CreateLogGroupInput{LogGroupName: str("/app/db"), Tags: map[string]string{"env": "test"}}))
	must(t)(c.CreateLogStream(t.Context(), &api.CreateLogStreamInput{LogGroupName: str("/app/db"), LogStreamName: str("db")}))
	return c
}

func put(t *testing.T, c *api.Client, stream string, at time.Time, messages ...string) {
	t.Helper()
	in := api.PutLogEventsInput{LogGroupName: str("/app/db"), LogStreamName: &stream}
	for i, m := range messages {
		in.LogEvents = append(in.LogEvents, types.InputLogEvent{Message: &m, Timestamp: aws.Int64(at.UnixMilli() + int64(i))})
	}
	must(t)(c.PutLogEvents(t.Context(), &in))
}

func TestTheRealClientUnderstandsEveryAction(t *testing.T) {
	wiretest.Roundtrip(t, logs.New(statetest.Start(t), t.TempDir()).Service(), func(c aws.Config) *api.Client { return api.NewFromConfig(c) })
}

func TestALogGroupLivesAsTerraformExpects(t *testing.T) {
	r := regiontest.Serve(t)
	c, ctx := api.NewFromConfig(r.Root), t.Context()
	key, err := kms.NewFromConfig(r.Root).CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	name := str("/aws/rds/cluster/demo/postgresql")
	must(t)(c.CreateLogGroup(ctx, &api.CreateLogGroupInput{LogGroupName: name, KmsKeyId: key.KeyMetadata.Arn, Tags: map[string]string{"a": "1"}}))
	_, err = c.CreateLogGroup(ctx, &api.CreateLogGroupInput{LogGroupName: name})
	wantCode(t, "the same name", err, "ResourceAlreadyExistsException")
	must(t)(c.PutRetentionPolicy(ctx, &api.PutRetentionPolicyInput{LogGroupName: name, RetentionInDays: aws.Int32(7)}))
	_, err = c.PutRetentionPolicy(ctx, &api.PutRetentionPolicyInput{LogGroupName: name, RetentionInDays: aws.Int32(8)})
	wantCode(t, "days that AWS has not", err, "InvalidParameterException")
	out, err := c.DescribeLogGroups(ctx, &api.DescribeLogGroupsInput{LogGroupNamePrefix: name})
	if err != nil || len(out.LogGroups) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	g := out.LogGroups[0]
	if *g.Arn != "arn:aws:logs:us-west-2:111122223333:log-group:/aws/rds/cluster/demo/postgresql:*" || *g.RetentionInDays != 7 || *g.KmsKeyId != *key.KeyMetadata.Arn {
		t.Errorf("%+v", g)
	}
	must(t)(c.TagResource(ctx, &api.TagResourceInput{ResourceArn: g.LogGroupArn, Tags: map[string]string{"b": "2"}}))
	must(t)(c.UntagResource(ctx, &api.UntagResourceInput{ResourceArn: g.LogGroupArn, TagKeys: []string{"a"}}))
	tags, err := c.ListTagsForResource(ctx, &api.ListTagsForResourceInput{ResourceArn: g.LogGroupArn})
	if err != nil || len(tags.Tags) != 1 || tags.Tags["b"] != "2" {
		t.Errorf("%+v, %v", tags, err)
	}
	must(t)(c.DeleteRetentionPolicy(ctx, &api.DeleteRetentionPolicyInput{LogGroupName: name}))
	must(t)(c.DeleteLogGroup(ctx, &api.DeleteLogGroupInput{LogGroupName: name}))
	_, err = c.ListTagsForResource(ctx, &api.ListTagsForResourceInput{ResourceArn: g.LogGroupArn})
	wantCode(t, "a deleted group", err, "ResourceNotFoundException")
	for what, in := range map[string]api.CreateLogGroupInput{
		"a name with a space": {LogGroupName: str("a b")},
		"an unknown key":      {LogGroupName: str("a"), KmsKeyId: str("alias/none")},
		"another class":       {LogGroupName: str("a"), LogGroupClass: types.LogGroupClassInfrequentAccess},
		"a reserved tag":      {LogGroupName: str("a"), Tags: map[string]string{"aws:x": ""}},
	} {
		_, err := c.CreateLogGroup(ctx, &in)
		wantCode(t, what, err, "InvalidParameterException")
	}
}

func TestEventsAreReadFromBothEndsPageByPage(t *testing.T) {
	c, ctx := start(t), t.Context()
	var sent []string
	for i := range 25 {
		sent = append(sent, fmt.Sprintf("event %02d", i))
	}
	put(t, c, "db", time.Now().Add(-time.Hour), sent...)
	read := func(in api.GetLogEventsInput) ([]string, *api.GetLogEventsOutput) {
		t.Helper()
		in.LogGroupName, in.LogStreamName = str("/app/db"), str("db")
		out, err := c.GetLogEvents(ctx, &in)
		if err != nil {
			t.Fatal(err)
		}
		var messages []string
		for _, e := range out.Events {
			messages = append(messages, *e.Message)
		}
		return messages, out
	}
	last, out := read(api.GetLogEventsInput{Limit: aws.Int32(10)})
	if !slices.Equal(last, sent[15:]) {
		t.Errorf("the last ones: %v", last)
	}
	before, _ := read(api.GetLogEventsInput{Limit: aws.Int32(10), NextToken: out.NextBackwardToken})
	if !slices.Equal(before, sent[5:15]) {
		t.Errorf("those before: %v", before)
	}
	var all []string
	for in := (api.GetLogEventsInput{Limit: aws.Int32(10), StartFromHead: aws.Bool(true)}); ; {
		page, out := read(in)
		all = append(all, page...)
		if in.NextToken != nil && *out.NextForwardToken == *in.NextToken { // as clients find the end
			break
		}
		in.NextToken = out.NextForwardToken
	}
	if !slices.Equal(all, sent) {
		t.Errorf("from the head: %v", all)
	}
	streams, err := c.DescribeLogStreams(ctx, &api.DescribeLogStreamsInput{LogGroupName: str("/app/db"), OrderBy: types.OrderByLastEventTime, Descending: aws.Bool(true)})
	if err != nil || len(streams.LogStreams) != 1 || *streams.LogStreams[0].LastEventTimestamp-*streams.LogStreams[0].FirstEventTimestamp != 24 {
		t.Errorf("%+v, %v", streams, err)
	}
}

func TestFilteredEventsOfStreamsAreMergedByTime(t *testing.T) {
	c, ctx := start(t), t.Context()
	must(t)(c.CreateLogStream(ctx, &api.CreateLogStreamInput{LogGroupName: str("/app/db"), LogStreamName: str("replica")}))
	at := time.Now().Add(-time.Hour)
	put(t, c, "db", at, "LOG: start")
	put(t, c, "replica", at.Add(time.Second), "ERROR: no table", "LOG: all well")
	put(t, c, "db", at.Add(2*time.Second), "ERROR: no column", "FATAL: gone")
	for pattern, want := range map[string]string{
		"":                        "LOG: start|ERROR: no table|LOG: all well|ERROR: no column|FATAL: gone",
		"ERROR":                   "ERROR: no table|ERROR: no column",
		"?FATAL ?well":            "LOG: all well|FATAL: gone",
		`"ERROR: no" -table`:      "ERROR: no column",
		"ERROR column":            "ERROR: no column",
		`"a phrase not in there"`: "",
	} {
		var got []string
		pages := api.NewFilterLogEventsPaginator(c, &api.FilterLogEventsInput{LogGroupName: str("/app/db"), FilterPattern: &pattern, Limit: aws.Int32(2)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Events {
				got = append(got, *e.Message)
			}
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%q: %v", pattern, got)
		}
	}
	for _, pattern := range []string{`{ $.level = "x" }`, "[a, b]", "%re%", `"open`} {
		_, err := c.FilterLogEvents(ctx, &api.FilterLogEventsInput{LogGroupName: str("/app/db"), FilterPattern: &pattern})
		wantCode(t, pattern, err, "InvalidParameterException")
	}
}

func TestEventsThatAreRefusedOrRejected(t *testing.T) {
	c, ctx := start(t), t.Context()
	now := time.Now().UnixMilli()
	event := func(at int64, message string) types.InputLogEvent {
		return types.InputLogEvent{Timestamp: &at, Message: &message}
	}
	in := func(events ...types.InputLogEvent) *api.PutLogEventsInput {
		return &api.PutLogEventsInput{LogGroupName: str("/app/db"), LogStreamName: str("db"), LogEvents: events}
	}
	for what, bad := range map[string]*api.PutLogEventsInput{
		"backwards": in(event(now, "a"), event(now-1, "b")),
		"empty":     in(event(now, "")),
		"too large": in(event(now, strings.Repeat("x", 1<<18))),
		"two days":  in(event(now-48*3600_000, "a"), event(now, "b")),
	} {
		_, err := c.PutLogEvents(ctx, bad)
		wantCode(t, what, err, "InvalidParameterException")
	}
	bad := in(event(now, "a"))
	bad.LogStreamName = str("none")
	_, err := c.PutLogEvents(ctx, bad)
	wantCode(t, "no stream", err, "ResourceNotFoundException")
	out, err := c.PutLogEvents(ctx, in(event(now, "a"), event(now+3*3600_000, "tomorrow")))
	if err != nil || aws.ToInt32(out.RejectedLogEventsInfo.TooNewLogEventStartIndex) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
}

// serverLog is the log of every server.
type serverLog map[string]string

func (l serverLog) Files(_ context.Context, host, instance string) ([]aurora.LogFile, error) {
	var files []aurora.LogFile
	for name, text := range l {
		files = append(files, aurora.LogFile{Name: name, Size: int64(len(text))})
	}
	return files, nil
}

func (l serverLog) Read(_ context.Context, host, instance, name string, offset int64, limit int) ([]byte, error) {
	text, ok := l[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	rest := text[min(int(offset), len(text)):]
	return []byte(rest[:min(limit, len(rest))]), nil
}

func TestTheLogsOfClustersThatAskForItAreExported(t *testing.T) {
	store, ctx := statetest.Start(t), t.Context()
	meta := aurora.Meta{ResourceID: "cluster-1", Account: wiretest.Account, Region: wiretest.Region}
	cluster := aurora.DBCluster{Meta: meta, Spec: aurora.DBClusterSpec{Identifier: "demo", CloudwatchLogExports: []string{"postgresql"}}}
	must(t)(state.DBClusters(store).Create(ctx, "cluster-1", cluster))
	meta.ResourceID = "db-1"
	db := aurora.DBInstance{Meta: meta, Spec: aurora.DBInstanceSpec{Identifier: "demo-1", ClusterResourceID: "cluster-1"}, Status: aurora.DBInstanceStatus{Host: "h"}}
	must(t)(state.DBInstances(store).Create(ctx, "db-1", db))
	service := logs.New(store, t.TempDir())
	written := serverLog{"postgresql.log.1": "old\n", "postgresql.log.2": "2026-01-31 15:00:00 UTC::@:[1]:LOG:  one\n\tmore of it\n2026-01-31 15:00:01 UTC::@:[1]:LOG:  tw"}
	exporter, err := service.NewExporter(ctx, written, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := api.NewFromConfig(wiretest.Serve(t, service.Service()))
	read := func() string {
		t.Helper()
		exporter.Export(ctx)
		out, err := c.GetLogEvents(ctx, &api.GetLogEventsInput{LogGroupName: str("/aws/rds/cluster/demo/postgresql"), LogStreamName: str("demo-1"), StartFromHead: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, e := range out.Events {
			all = append(all, time.UnixMilli(*e.Timestamp).UTC().Format(time.TimeOnly)+" "+(*e.Message)[strings.Index(*e.Message, "LOG:")+6:])
		}
		return strings.Join(all, "|")
	}
	if got := read(); got != "15:00:00 one\n\tmore of it" {
		t.Errorf("at first: %q", got)
	}
	written["postgresql.log.2"] += "o\n"
	written["postgresql.log.3"] = "2026-01-31 16:00:00 UTC::@:[1]:LOG:  three\n"
	want := "15:00:00 one\n\tmore of it|15:00:01 two|16:00:00 three"
	for range 2 {
		if got := read(); got != want {
			t.Errorf("then: %q", got)
		}
	}
}
