package sns

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/kms"
	"github.com/daybreakdb/daybreak/internal/region/policy"
	"github.com/daybreakdb/daybreak/internal/state"
)

// CreateTopic makes a topic. The same request once more is answered as the first
// one.
func (a *API) CreateTopic(ctx context.Context, in *api.CreateTopicInput) (*api.CreateTopicOutput, error) {
	p := placeOf(ctx)
	t := Topic{Account: p.account, Region: p.region, Name: aws.ToString(in.Name), Created: time.Now().UTC(), Attributes: map[string]string{}}
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`).MatchString(t.Name) {
		return nil, invalid("Invalid parameter: Topic Name. FIFO topics are not available in this region yet.")
	}
	if in.DataProtectionPolicy != nil && *in.DataProtectionPolicy != "" {
		return nil, invalid("Invalid parameter: DataProtectionPolicy is not available in this region yet")
	}
	for name, value := range in.Attributes {
		if err := a.setTopic(ctx, &t, name, value); err != nil {
			return nil, err
		}
	}
	var err error
	if t.Tags, err = mergeTags(nil, in.Tags); err != nil {
		return nil, err
	}
	_, err = a.topics.Create(ctx, p.record(t.Name), t)
	if errors.Is(err, state.ErrExists) {
		err = a.sameTopic(ctx, p, t, len(in.Tags) > 0)
	}
	return &api.CreateTopicOutput{TopicArn: aws.String(t.ARN())}, err
}

func (a *API) sameTopic(ctx context.Context, p place, t Topic, tagged bool) error {
	have, err := a.topics.Get(ctx, p.record(t.Name))
	if err != nil {
		return err
	}
	for name, value := range t.Attributes {
		if have.Value.Attributes[name] != value {
			return invalid("Invalid parameter: Attributes Reason: Topic already exists with different attributes")
		}
	}
	if tagged && !maps.Equal(have.Value.Tags, t.Tags) {
		return invalid("Invalid parameter: Tags Reason: Topic already exists with different tags")
	}
	return nil
}

// setTopic changes an attribute; an empty value takes it away. Attributes that
// would have no effect are refused.
func (a *API) setTopic(ctx context.Context, t *Topic, name, value string) error {
	switch name {
	case "DisplayName":
		if len(value) > 100 {
			return invalid("Invalid parameter: DisplayName must have at most 100 characters")
		}
	case "Policy":
		if document, err := policy.Parse(value); value != "" && (err != nil || document.CheckResource() != nil) {
			return invalid("Invalid parameter: Policy statement is not well-formed")
		}
	case "SignatureVersion":
		if value != "" && value != "1" && value != "2" {
			return invalid("Invalid parameter: SignatureVersion must be 1 or 2")
		}
	case "TracingConfig":
		if value != "" && value != "PassThrough" {
			return invalid("Invalid parameter: TracingConfig must be PassThrough in this region")
		}
	case "KmsMasterKeyId":
		if value != "" {
			if _, err := kms.Usable(ctx, a.store, t.Account, t.Region, value); errors.Is(err, kms.ErrUnusable) {
				return awswire.BadRequestf("KMSNotFound", "The KMS key %.300s does not exist or is not enabled.", value)
			} else if err != nil {
				return err
			}
		}
	default:
		nothing := value == "" || value == "0" || name == "FifoTopic" && value == "false"
		if nothing && (strings.HasSuffix(name, "FeedbackSampleRate") || strings.HasSuffix(name, "FeedbackRoleArn") || name == "DeliveryPolicy" || name == "FifoTopic") {
			return nil
		}
		return invalid("Invalid parameter: AttributeName: %.100s is not available in this region yet", name)
	}
	if value == "" {
		delete(t.Attributes, name)
	} else {
		t.Attributes[name] = value
	}
	return nil
}

// SetTopicAttributes changes one attribute.
func (a *API) SetTopicAttributes(ctx context.Context, in *api.SetTopicAttributesInput) (*api.SetTopicAttributesOutput, error) {
	item, err := a.topic(ctx, in.TopicArn)
	if err != nil {
		return nil, err
	}
	_, err = a.topics.Update(ctx, item.Key, func(t *Topic) error {
		if t.Attributes == nil {
			t.Attributes = map[string]string{}
		}
		return a.setTopic(ctx, t, aws.ToString(in.AttributeName), aws.ToString(in.AttributeValue))
	})
	return nil, err
}

// GetTopicAttributes answers a topic's attributes.
func (a *API) GetTopicAttributes(ctx context.Context, in *api.GetTopicAttributesInput) (*api.GetTopicAttributesOutput, error) {
	item, err := a.topic(ctx, in.TopicArn)
	if err != nil {
		return nil, err
	}
	t := item.Value
	subscriptions, err := a.of(ctx, t)
	if err != nil {
		return nil, err
	}
	confirmed := 0
	for _, s := range subscriptions {
		if s.Value.Confirmed {
			confirmed++
		}
	}
	attributes := map[string]string{
		"TopicArn": t.ARN(), "Owner": t.Account, "DisplayName": "", "Policy": defaultPolicy(t),
		"SubscriptionsConfirmed": strconv.Itoa(confirmed), "SubscriptionsPending": strconv.Itoa(len(subscriptions) - confirmed), "SubscriptionsDeleted": "0",
	}
	maps.Copy(attributes, t.Attributes)
	return &api.GetTopicAttributesOutput{Attributes: attributes}, nil
}

func defaultPolicy(t Topic) string {
	actions := []string{"SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission", "SNS:RemovePermission",
		"SNS:DeleteTopic", "SNS:Subscribe", "SNS:ListSubscriptionsByTopic", "SNS:Publish"}
	text, _ := json.Marshal(map[string]any{ // texts always have JSON
		"Version": "2008-10-17", "Id": "__default_policy_ID",
		"Statement": []any{map[string]any{
			"Sid": "__default_statement_ID", "Effect": "Allow", "Principal": map[string]any{"AWS": "*"}, "Action": actions, "Resource": t.ARN(),
			"Condition": map[string]any{"StringEquals": map[string]any{"AWS:SourceOwner": t.Account}},
		}},
	})
	return string(text)
}

// DeleteTopic removes a topic with its subscriptions; one that is not there is no
// error.
func (a *API) DeleteTopic(ctx context.Context, in *api.DeleteTopicInput) (*api.DeleteTopicOutput, error) {
	item, err := a.topic(ctx, in.TopicArn)
	var refused *awswire.Error
	if errors.As(err, &refused) && refused.Code == "NotFound" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := a.topics.Delete(ctx, item.Key); err != nil {
		return nil, err
	}
	subscriptions, err := a.of(ctx, item.Value)
	for _, s := range subscriptions {
		if err := a.subscriptions.Delete(ctx, s.Key); err != nil {
			return nil, err
		}
	}
	return nil, err
}

// ListTopics answers the topics of the caller's account and region.
func (a *API) ListTopics(ctx context.Context, in *api.ListTopicsInput) (*api.ListTopicsOutput, error) {
	items, _, err := a.topics.List(ctx, placeOf(ctx).record(""))
	if err != nil {
		return nil, err
	}
	page, next, err := awswire.Page(items, in.NextToken, nil, pages(), func(i state.Item[Topic]) string { return i.Key })
	out := &api.ListTopicsOutput{NextToken: next}
	for _, item := range page {
		out.Topics = append(out.Topics, types.Topic{TopicArn: aws.String(item.Value.ARN())})
	}
	return out, err
}
