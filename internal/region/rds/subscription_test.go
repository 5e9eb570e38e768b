package rds_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	snsapi "github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/rds"
	"github.com/daybreakdb/daybreak/internal/region/regiontest"
	"github.com/daybreakdb/daybreak/internal/state"
)

// subscriber is an endpoint that confirms its subscription and keeps the rest.
func subscriber(t *testing.T) (url string, got <-chan map[string]any) {
	t.Helper()
	messages := make(chan map[string]any, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var m map[string]any
		if err := json.Unmarshal(body, &m); err != nil {
			t.Error(err)
		}
		if link, ok := m["SubscribeURL"].(string); ok {
			go func() {
				if resp, err := http.Get(link); err == nil {
					_ = resp.Body.Close()
				}
			}()
			return
		}
		messages <- m
	}))
	t.Cleanup(server.Close)
	return server.URL, messages
}

// subscribed is a region with a topic and a confirmed subscriber of it.
func subscribed(t *testing.T) (r regiontest.Region, topic string, got <-chan map[string]any) {
	t.Helper()
	r = regiontest.Serve(t, rds.New)
	client := snsapi.NewFromConfig(r.Root)
	made, err := client.CreateTopic(t.Context(), &snsapi.CreateTopicInput{Name: aws.String("events")})
	if err != nil {
		t.Fatal(err)
	}
	url, got := subscriber(t)
	if _, err := client.Subscribe(t.Context(), &snsapi.SubscribeInput{TopicArn: made.TopicArn, Protocol: aws.String("http"), Endpoint: &url}); err != nil {
		t.Fatal(err)
	}
	wait(t, "the subscription is confirmed", func() bool {
		out, err := client.ListSubscriptionsByTopic(t.Context(), &snsapi.ListSubscriptionsByTopicInput{TopicArn: made.TopicArn})
		return err == nil && len(out.Subscriptions) == 1 && *out.Subscriptions[0].SubscriptionArn != "PendingConfirmation"
	})
	return r, *made.TopicArn, got
}

func tell(t *testing.T, store *state.Store, e aurora.Event) {
	t.Helper()
	if _, err := store.Commit(context.Background(), state.EventOps([]aurora.Event{e})...); err != nil {
		t.Fatal(err)
	}
}

func TestEventsReachTheTopicOfTheirSubscription(t *testing.T) {
	r, topic, got := subscribed(t)
	client := api.NewFromConfig(r.Root)
	if _, err := client.CreateDBCluster(t.Context(), clusterInput("demo")); err != nil {
		t.Fatal(err)
	}
	out, err := client.CreateEventSubscription(t.Context(), &api.CreateEventSubscriptionInput{
		SubscriptionName: aws.String("mine"), SnsTopicArn: &topic, SourceType: aws.String("db-cluster"),
		SourceIds: []string{"DEMO"}, EventCategories: []string{"failover"},
	})
	if err != nil || *out.EventSubscription.Status != "active" || !slices.Equal(out.EventSubscription.SourceIdsList, []string{"demo"}) {
		t.Fatalf("%+v, %v", out, err)
	}
	items, _, err := state.DBClusters(r.Store).List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	c := items[0].Value
	other := c
	other.Spec.Identifier = "other"
	tell(t, r.Store, aurora.ClusterCreated(&c))                // another category
	tell(t, r.Store, aurora.FailoverCompleted(&other, "none")) // another cluster
	tell(t, r.Store, aurora.FailoverCompleted(&c, "r"))
	tell(t, r.Store, aurora.FailoverFailed(&c))
	for _, want := range []string{"RDS-EVENT-0071", "RDS-EVENT-0069"} {
		var m map[string]any
		select {
		case m = <-got:
		case <-time.After(20 * time.Second):
			t.Fatalf("no message for %s", want)
		}
		var text map[string]string
		if err := json.Unmarshal([]byte(m["Message"].(string)), &text); err != nil {
			t.Fatal(err)
		}
		if m["Subject"] != "RDS Notification Message" || text["Event Source"] != "db-cluster" || text["Source ID"] != "demo" ||
			!strings.HasSuffix(text["Source ARN"], ":cluster:demo") || !strings.HasSuffix(text["Event ID"], "#"+want) || text["Event Message"] == "" {
			t.Errorf("%+v", m)
		}
		if id := m["MessageAttributes"].(map[string]any)["EventID"].(map[string]any)["Value"]; id != want {
			t.Errorf("attribute EventID is %v", id)
		}
	}
	if len(got) > 0 {
		t.Errorf("more came: %+v", <-got)
	}
}

// TestEventIsSentOnceThoughProcessesRestart has several processes send at once, and
// one that begins later.
func TestEventIsSentOnceThoughProcessesRestart(t *testing.T) {
	r, topic, got := subscribed(t)
	if _, err := api.NewFromConfig(r.Root).CreateEventSubscription(t.Context(), &api.CreateEventSubscriptionInput{
		SubscriptionName: aws.String("mine"), SnsTopicArn: &topic}); err != nil {
		t.Fatal(err)
	}
	another := func() { // which needs the subscription in its mirror, as after a start
		if _, err := rds.New(t.Context(), r.Store); err != nil {
			t.Fatal(err)
		}
	}
	another()
	c := aurora.DBCluster{}
	cfg := r.Root
	c.Account, c.Region = strings.Split(topic, ":")[4], cfg.Region
	const events = 10
	for i := range events {
		c.Spec.Identifier = fmt.Sprint("demo", i)
		tell(t, r.Store, aurora.ClusterCreated(&c))
		if i == events/2 {
			another()
		}
	}
	times := map[string]int{}
	for range events {
		select {
		case m := <-got:
			times[m["Message"].(string)]++
		case <-time.After(20 * time.Second):
			t.Fatalf("%d of %d came", len(times), events)
		}
	}
	wait(t, "nothing is on its way", func() bool {
		left, _, err := state.NewTable[any](r.Store, "region/sns-deliveries").List(t.Context(), "")
		return err == nil && len(left) == 0
	})
	if len(got) > 0 || len(times) != events {
		t.Errorf("%d more came, %d different ones", len(got), len(times))
	}
}

func TestEventSubscriptionsAreCheckedChangedAndDeleted(t *testing.T) {
	type in = api.CreateEventSubscriptionInput
	served := regiontest.Serve(t, rds.New)
	client := api.NewFromConfig(served.Root)
	topic, err := snsapi.NewFromConfig(served.Root).CreateTopic(t.Context(), &snsapi.CreateTopicInput{Name: aws.String("events")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateDBCluster(t.Context(), clusterInput("demo")); err != nil {
		t.Fatal(err)
	}
	input := func(name string) *in {
		return &in{SubscriptionName: &name, SnsTopicArn: topic.TopicArn, SourceType: aws.String("db-cluster"), SourceIds: []string{"demo"}}
	}
	if _, err := client.CreateEventSubscription(t.Context(), input("taken")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []refused[in]{
		{"a taken name", func(i *in) { i.SubscriptionName = str("taken") }, "SubscriptionAlreadyExist", "taken"},
		{"a name that is none", func(i *in) { i.SubscriptionName = str("a b") }, "InvalidParameterValue", "SubscriptionName"},
		{"a topic that is not there", func(i *in) { i.SnsTopicArn = str(*topic.TopicArn + "x") }, "SNSTopicArnNotFound", "does not exist"},
		{"a topic of another region", func(i *in) { i.SnsTopicArn = str(strings.Replace(*topic.TopicArn, ":us-", ":eu-", 1)) }, "SNSTopicArnNotFound", "does not exist"},
		{"another source type", func(i *in) { i.SourceType = str("db-thing") }, "InvalidParameterValue", "db-thing"},
		{"a category that the source does not have", func(i *in) { i.EventCategories = []string{"low storage"} }, "SubscriptionCategoryNotFound", "low storage"},
		{"a source that is not there", func(i *in) { i.SourceIds = []string{"none"} }, "SourceNotFound", "none"},
		{"sources without a type", func(i *in) { i.SourceType = nil }, "InvalidParameterCombination", "SourceType"},
	} {
		given := input("new")
		c.change(given)
		_, err := client.CreateEventSubscription(t.Context(), given)
		if wantCode(t, c.name, err, c.code); err != nil && !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v, want %q", c.name, err, c.message)
		}
	}
	name := aws.String("taken")
	changed, err := client.ModifyEventSubscription(t.Context(), &api.ModifyEventSubscriptionInput{SubscriptionName: name, Enabled: aws.Bool(false), EventCategories: []string{"failover"}})
	if err != nil || *changed.EventSubscription.Enabled || len(changed.EventSubscription.EventCategoriesList) != 1 {
		t.Fatalf("%+v, %v", changed, err)
	}
	removed, err := client.RemoveSourceIdentifierFromSubscription(t.Context(), &api.RemoveSourceIdentifierFromSubscriptionInput{SubscriptionName: name, SourceIdentifier: aws.String("demo")})
	if err != nil || len(removed.EventSubscription.SourceIdsList) != 0 {
		t.Fatalf("%+v, %v", removed, err)
	}
	added, err := client.AddSourceIdentifierToSubscription(t.Context(), &api.AddSourceIdentifierToSubscriptionInput{SubscriptionName: name, SourceIdentifier: aws.String("demo")})
	if err != nil || len(added.EventSubscription.SourceIdsList) != 1 {
		t.Fatalf("%+v, %v", added, err)
	}
	_, err = client.AddSourceIdentifierToSubscription(t.Context(), &api.AddSourceIdentifierToSubscriptionInput{SubscriptionName: name, SourceIdentifier: aws.String("none")})
	wantCode(t, "add what is not there", err, "SourceNotFound")
	arn := added.EventSubscription.EventSubscriptionArn
	if _, err := client.AddTagsToResource(t.Context(), &api.AddTagsToResourceInput{ResourceName: arn, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}); err != nil {
		t.Error(err)
	}
	if tags, err := client.ListTagsForResource(t.Context(), &api.ListTagsForResourceInput{ResourceName: arn}); err != nil || len(tags.TagList) != 1 {
		t.Errorf("%+v, %v", tags, err)
	}
	gone, err := client.DeleteEventSubscription(t.Context(), &api.DeleteEventSubscriptionInput{SubscriptionName: name})
	if err != nil || *gone.EventSubscription.Status != "deleting" {
		t.Errorf("%+v, %v", gone, err)
	}
	_, err = client.DescribeEventSubscriptions(t.Context(), &api.DescribeEventSubscriptionsInput{SubscriptionName: name})
	wantCode(t, "describe what is gone", err, "SubscriptionNotFound")
}
