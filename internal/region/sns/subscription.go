package sns

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

const (
	maxSubscriptions = 100                // of a topic
	confirmWithin    = 2 * 24 * time.Hour // how long a token is good
	pending          = "pending confirmation"
)

// of are a topic's subscriptions.
func (a *API) of(ctx context.Context, t Topic) ([]state.Item[Subscription], error) {
	items, _, err := a.subscriptions.List(ctx, place{t.Account, t.Region}.record(t.Name+"/"))
	return items, err
}

// Subscribe asks an endpoint to confirm that it wants a topic's messages.
func (a *API) Subscribe(ctx context.Context, in *api.SubscribeInput) (*api.SubscribeOutput, error) {
	protocol, endpoint := aws.ToString(in.Protocol), aws.ToString(in.Endpoint)
	if protocol != "http" && protocol != "https" {
		return nil, invalid("Invalid parameter: the protocol %.30s is not available in this region yet; http and https are", protocol)
	}
	if err := a.allowed.checkEndpoint(protocol, endpoint); err != nil {
		return nil, err
	}
	topic, err := a.topic(ctx, in.TopicArn)
	if err != nil {
		return nil, err
	}
	s := Subscription{
		Account: topic.Value.Account, Region: topic.Value.Region, Topic: topic.Value.Name, ID: newID(), Protocol: protocol, Endpoint: endpoint,
		Token: rand.Text() + rand.Text() + rand.Text(), Made: time.Now().UTC(), Attributes: map[string]string{},
	}
	for name, value := range in.Attributes {
		if err := s.set(name, value); err != nil {
			return nil, err
		}
	}
	have, err := a.of(ctx, topic.Value)
	if err != nil {
		return nil, err
	}
	for _, old := range have {
		if old.Value.Endpoint == endpoint {
			if !maps.Equal(old.Value.Attributes, s.Attributes) && len(in.Attributes) > 0 {
				return nil, invalid("Invalid parameter: Attributes Reason: Subscription already exists with different attributes")
			}
			return subscribed(old.Value, in.ReturnSubscriptionArn), a.ask(ctx, topic.Value, old.Value)
		}
	}
	if len(have) >= maxSubscriptions {
		return nil, awswire.Errorf(http.StatusForbidden, "SubscriptionLimitExceeded", "A topic can have %d subscriptions in this region.", maxSubscriptions)
	}
	_, err = a.store.Commit(ctx, a.subscriptions.PutOp(s.record(), s, 0), a.topics.CheckOp(topic.Key, topic.Revision))
	if errors.Is(err, state.ErrConflict) {
		return a.Subscribe(ctx, in)
	}
	if err != nil {
		return nil, err
	}
	return subscribed(s, in.ReturnSubscriptionArn), a.ask(ctx, topic.Value, s)
}

func subscribed(s Subscription, show bool) *api.SubscribeOutput {
	arn := s.arn()
	if !s.Confirmed && !show {
		arn = pending
	}
	return &api.SubscribeOutput{SubscriptionArn: &arn}
}

// ask sends the request for confirmation, unless there is one already.
func (a *API) ask(ctx context.Context, t Topic, s Subscription) error {
	if s.Confirmed {
		return nil
	}
	m := newMessage(t, confirmation)
	m.Token = s.Token
	m.Text = "You have chosen to subscribe to the topic " + t.ARN() + ".\nTo confirm the subscription, visit the SubscribeURL included in this message."
	return a.enqueue(ctx, m, []Subscription{s})
}

// ConfirmSubscription takes the token that an endpoint was sent. Whoever has it
// may confirm.
func (a *API) ConfirmSubscription(ctx context.Context, in *api.ConfirmSubscriptionInput) (*api.ConfirmSubscriptionOutput, error) {
	p, name, id, ok := parseARN(aws.ToString(in.TopicArn))
	if !ok || id != "" {
		return nil, invalid("Invalid parameter: TopicArn")
	}
	items, err := a.of(ctx, Topic{Account: p.account, Region: p.region, Name: name})
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		s := item.Value
		if subtle.ConstantTimeCompare([]byte(s.Token), []byte(aws.ToString(in.Token))) == 0 {
			continue
		}
		if !s.Confirmed && time.Since(s.Made) > confirmWithin {
			return nil, invalid("Invalid parameter: Token: it has expired")
		}
		_, err := a.subscriptions.Update(ctx, item.Key, func(s *Subscription) error {
			s.Confirmed, s.GuardedUnsubscribe = true, s.GuardedUnsubscribe || aws.ToString(in.AuthenticateOnUnsubscribe) == "true"
			return nil
		})
		return &api.ConfirmSubscriptionOutput{SubscriptionArn: aws.String(s.arn())}, err
	}
	return nil, invalid("Invalid parameter: Token")
}

// Unsubscribe ends a subscription; one that is not there is no error. A request
// that nobody signed ends those that do not forbid it.
func (a *API) Unsubscribe(ctx context.Context, in *api.UnsubscribeInput) (*api.UnsubscribeOutput, error) {
	p, topic, id, ok := parseARN(aws.ToString(in.SubscriptionArn))
	if !ok || id == "" {
		return nil, invalid("Invalid parameter: SubscriptionArn")
	}
	item, err := a.subscriptions.Get(ctx, p.record(topic+"/"+id))
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	anonymous := awswire.IdentityFrom(ctx).Account == ""
	if anonymous && (item.Value.GuardedUnsubscribe || !item.Value.Confirmed) || !anonymous && p != placeOf(ctx) {
		return nil, awswire.Errorf(http.StatusForbidden, "AuthorizationError", "This subscription is ended by signed requests of its owner only.")
	}
	return nil, a.subscriptions.Delete(ctx, item.Key)
}

// set changes an attribute; those that would have no effect are refused.
func (s *Subscription) set(name, value string) error {
	if name != "RawMessageDelivery" {
		if value == "" || value == "{}" {
			return nil
		}
		return invalid("Invalid parameter: AttributeName: %.100s is not available in this region yet; RawMessageDelivery is", name)
	}
	raw, err := strconv.ParseBool(strings.ToLower(value))
	if err != nil {
		return invalid("Invalid parameter: RawMessageDelivery must be true or false")
	}
	if s.Attributes == nil {
		s.Attributes = map[string]string{}
	}
	s.Attributes[name] = strconv.FormatBool(raw)
	return nil
}

// subscription reads the caller's subscription.
func (a *API) subscription(ctx context.Context, arn *string) (state.Item[Subscription], error) {
	p, topic, id, ok := parseARN(aws.ToString(arn))
	if !ok || id == "" {
		return state.Item[Subscription]{}, invalid("Invalid parameter: SubscriptionArn")
	}
	item, err := a.subscriptions.Get(ctx, p.record(topic+"/"+id))
	if errors.Is(err, state.ErrNotFound) || err == nil && p != placeOf(ctx) {
		return item, awswire.Errorf(http.StatusNotFound, "NotFound", "Subscription does not exist")
	}
	return item, err
}

// SetSubscriptionAttributes changes one attribute.
func (a *API) SetSubscriptionAttributes(ctx context.Context, in *api.SetSubscriptionAttributesInput) (*api.SetSubscriptionAttributesOutput, error) {
	item, err := a.subscription(ctx, in.SubscriptionArn)
	if err != nil {
		return nil, err
	}
	_, err = a.subscriptions.Update(ctx, item.Key, func(s *Subscription) error {
		return s.set(aws.ToString(in.AttributeName), aws.ToString(in.AttributeValue))
	})
	return nil, err
}

// GetSubscriptionAttributes answers a subscription's attributes.
func (a *API) GetSubscriptionAttributes(ctx context.Context, in *api.GetSubscriptionAttributesInput) (*api.GetSubscriptionAttributesOutput, error) {
	item, err := a.subscription(ctx, in.SubscriptionArn)
	if err != nil {
		return nil, err
	}
	s := item.Value
	attributes := map[string]string{
		"SubscriptionArn": s.arn(), "TopicArn": s.topicARN(), "Owner": s.Account, "Protocol": s.Protocol, "Endpoint": s.Endpoint,
		"PendingConfirmation": strconv.FormatBool(!s.Confirmed), "ConfirmationWasAuthenticated": strconv.FormatBool(s.GuardedUnsubscribe),
		"RawMessageDelivery": "false",
	}
	maps.Copy(attributes, s.Attributes)
	return &api.GetSubscriptionAttributesOutput{Attributes: attributes}, nil
}

// ListSubscriptions answers the subscriptions of the caller's account and region.
func (a *API) ListSubscriptions(ctx context.Context, in *api.ListSubscriptionsInput) (*api.ListSubscriptionsOutput, error) {
	items, _, err := a.subscriptions.List(ctx, placeOf(ctx).record(""))
	if err != nil {
		return nil, err
	}
	list, next, err := page(items, in.NextToken)
	return &api.ListSubscriptionsOutput{Subscriptions: list, NextToken: next}, err
}

// ListSubscriptionsByTopic answers the subscriptions of a topic.
func (a *API) ListSubscriptionsByTopic(ctx context.Context, in *api.ListSubscriptionsByTopicInput) (*api.ListSubscriptionsByTopicOutput, error) {
	topic, err := a.topic(ctx, in.TopicArn)
	if err != nil {
		return nil, err
	}
	items, err := a.of(ctx, topic.Value)
	if err != nil {
		return nil, err
	}
	list, next, err := page(items, in.NextToken)
	return &api.ListSubscriptionsByTopicOutput{Subscriptions: list, NextToken: next}, err
}

func page(items []state.Item[Subscription], token *string) ([]types.Subscription, *string, error) {
	items, next, err := awswire.Page(items, token, nil, pages(), func(i state.Item[Subscription]) string { return i.Key })
	var list []types.Subscription
	for _, item := range items {
		s := item.Value
		arn := s.arn()
		if !s.Confirmed {
			arn = "PendingConfirmation"
		}
		list = append(list, types.Subscription{
			SubscriptionArn: &arn, TopicArn: aws.String(s.topicARN()), Owner: &s.Account, Protocol: &s.Protocol, Endpoint: &s.Endpoint,
		})
	}
	return list, next, err
}
