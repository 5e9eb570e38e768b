package rds

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/sns"
	"github.com/daybreakdb/daybreak/internal/state"
)

// EventSubscription sends events to a topic, stored under region/event-subscriptions.
type EventSubscription struct {
	Account string `json:"account"`
	Region  string `json:"region"`
	Name    string `json:"name"`
	Topic   string `json:"topic"` // ARN
	// SourceType, SourceIDs and Categories say which events; empty: all.
	SourceType string       `json:"sourceType,omitempty"`
	SourceIDs  []string     `json:"sourceIds,omitempty"`
	Categories []string     `json:"categories,omitempty"`
	Enabled    bool         `json:"enabled"`
	Created    time.Time    `json:"created"`
	Tags       []aurora.Tag `json:"tags,omitempty"`
	// NoTopic says that the topic was gone when an event was to be sent.
	NoTopic bool `json:"noTopic,omitempty"`
}

func (s EventSubscription) key() string { return s.Account + "/" + s.Region + "/" + s.Name }

func subscriptionTable(s *state.Store) state.Table[EventSubscription] {
	return state.NewTable[EventSubscription](s, "region/event-subscriptions")
}

// maxSubscriptions is how many an account can have in a region.
const maxSubscriptions = 20

var subscriptionName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,254}$`)

// CreateEventSubscription has events sent to a topic of SNS from now on.
func (s *service) CreateEventSubscription(ctx context.Context, in *rds.CreateEventSubscriptionInput) (*rds.CreateEventSubscriptionOutput, error) {
	c := scopeOf(ctx)
	v := EventSubscription{
		Account: c.account, Region: c.region, Name: aws.ToString(in.SubscriptionName), Topic: aws.ToString(in.SnsTopicArn),
		SourceType: aws.ToString(in.SourceType), SourceIDs: lowered(in.SourceIds), Categories: in.EventCategories,
		Enabled: in.Enabled == nil || *in.Enabled, Created: time.Now().UTC(),
	}
	if !subscriptionName.MatchString(v.Name) {
		return nil, awswire.InvalidParameterValue("The parameter SubscriptionName is not valid: it must begin with a letter, contain only letters, digits and hyphens, and have less than 255 characters.")
	}
	var err error
	if v.Tags, err = checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := s.checkSubscription(ctx, c, &v); err != nil {
		return nil, err
	}
	have := 0
	for _, item := range s.subscriptions.All() {
		if item.Value.Account == c.account && item.Value.Region == c.region {
			have++
		}
	}
	if have >= maxSubscriptions {
		return nil, awswire.BadRequestf("EventSubscriptionQuotaExceeded", "You have reached the maximum number of event subscriptions, %d.", maxSubscriptions)
	}
	rev, err := subscriptionTable(s.store).Create(ctx, v.key(), v)
	if errors.Is(err, state.ErrExists) {
		return nil, awswire.BadRequestf("SubscriptionAlreadyExist", "Event Subscription already exists: %s", v.Name)
	}
	if err == nil {
		err = s.subscriptions.WaitRevision(ctx, rev)
	}
	return &rds.CreateEventSubscriptionOutput{EventSubscription: c.showSubscription(&v)}, err
}

// DescribeEventSubscriptions answers one subscription or all.
func (s *service) DescribeEventSubscriptions(ctx context.Context, in *rds.DescribeEventSubscriptionsInput) (*rds.DescribeEventSubscriptionsOutput, error) {
	c := scopeOf(ctx)
	if err := noFilters(in.Filters); err != nil {
		return nil, err
	}
	var found []EventSubscription
	if name := aws.ToString(in.SubscriptionName); name != "" {
		v, err := s.subscription(c, name)
		if err != nil {
			return nil, err
		}
		found = append(found, v)
	} else {
		for _, item := range s.subscriptions.All() {
			if item.Value.Account == c.account && item.Value.Region == c.region {
				found = append(found, item.Value)
			}
		}
	}
	page, marker, err := awswire.Page(found, in.Marker, in.MaxRecords, awswire.RDSPages(), func(v EventSubscription) string { return v.Name })
	out := &rds.DescribeEventSubscriptionsOutput{Marker: marker}
	for i := range page {
		out.EventSubscriptionsList = append(out.EventSubscriptionsList, *c.showSubscription(&page[i]))
	}
	return out, err
}

// ModifyEventSubscription changes which events are sent, and where to.
func (s *service) ModifyEventSubscription(ctx context.Context, in *rds.ModifyEventSubscriptionInput) (*rds.ModifyEventSubscriptionOutput, error) {
	c := scopeOf(ctx)
	changed, err := s.updateSubscription(ctx, c, aws.ToString(in.SubscriptionName), func(v *EventSubscription) error {
		set(&v.Topic, in.SnsTopicArn)
		set(&v.SourceType, in.SourceType)
		set(&v.Enabled, in.Enabled)
		if in.EventCategories != nil {
			v.Categories = in.EventCategories
		}
		v.NoTopic = false
		return s.checkSubscription(ctx, c, v)
	})
	return &rds.ModifyEventSubscriptionOutput{EventSubscription: c.showSubscription(&changed)}, err
}

// AddSourceIdentifierToSubscription adds a source to those whose events are sent.
func (s *service) AddSourceIdentifierToSubscription(ctx context.Context, in *rds.AddSourceIdentifierToSubscriptionInput) (*rds.AddSourceIdentifierToSubscriptionOutput, error) {
	c, id := scopeOf(ctx), lower(aws.ToString(in.SourceIdentifier))
	changed, err := s.updateSubscription(ctx, c, aws.ToString(in.SubscriptionName), func(v *EventSubscription) error {
		if slices.Contains(v.SourceIDs, id) {
			return state.ErrUnchanged
		}
		v.SourceIDs = append(slices.Clone(v.SourceIDs), id)
		return s.checkSources(c, v.SourceType, []string{id})
	})
	return &rds.AddSourceIdentifierToSubscriptionOutput{EventSubscription: c.showSubscription(&changed)}, err
}

// RemoveSourceIdentifierFromSubscription takes one of them away, which may be gone.
func (s *service) RemoveSourceIdentifierFromSubscription(ctx context.Context, in *rds.RemoveSourceIdentifierFromSubscriptionInput) (*rds.RemoveSourceIdentifierFromSubscriptionOutput, error) {
	c, id := scopeOf(ctx), lower(aws.ToString(in.SourceIdentifier))
	changed, err := s.updateSubscription(ctx, c, aws.ToString(in.SubscriptionName), func(v *EventSubscription) error {
		at := slices.Index(v.SourceIDs, id)
		if at < 0 {
			return sourceNotFound(id)
		}
		v.SourceIDs = slices.Delete(slices.Clone(v.SourceIDs), at, at+1)
		return nil
	})
	return &rds.RemoveSourceIdentifierFromSubscriptionOutput{EventSubscription: c.showSubscription(&changed)}, err
}

// DeleteEventSubscription ends a subscription.
func (s *service) DeleteEventSubscription(ctx context.Context, in *rds.DeleteEventSubscriptionInput) (*rds.DeleteEventSubscriptionOutput, error) {
	c := scopeOf(ctx)
	v, err := s.subscription(c, aws.ToString(in.SubscriptionName))
	if err != nil {
		return nil, err
	}
	if err := subscriptionTable(s.store).Delete(ctx, v.key()); err != nil {
		return nil, err
	}
	for { // deletions have no revision that could be waited for
		changed := s.subscriptions.Changed()
		if _, there := s.subscriptions.Get(v.key()); !there {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	out := c.showSubscription(&v)
	out.Status = aws.String("deleting")
	return &rds.DeleteEventSubscriptionOutput{EventSubscription: out}, nil
}

func (s *service) subscription(c scope, name string) (EventSubscription, error) {
	item, ok := s.subscriptions.Get(EventSubscription{Account: c.account, Region: c.region, Name: name}.key())
	if !ok {
		return EventSubscription{}, subscriptionNotFound(name)
	}
	return item.Value, nil
}

func subscriptionNotFound(name string) error {
	return awswire.Errorf(404, "SubscriptionNotFound", "Event subscription %s not found.", name)
}

func (s *service) updateSubscription(ctx context.Context, c scope, name string, change func(*EventSubscription) error) (EventSubscription, error) {
	key := EventSubscription{Account: c.account, Region: c.region, Name: name}.key()
	item, err := subscriptionTable(s.store).Update(ctx, key, change)
	if errors.Is(err, state.ErrNotFound) {
		return item.Value, subscriptionNotFound(name)
	}
	if err != nil {
		return item.Value, err
	}
	return item.Value, s.subscriptions.WaitRevision(ctx, item.Revision)
}

// checkSubscription refuses what does not exist.
func (s *service) checkSubscription(ctx context.Context, c scope, v *EventSubscription) error {
	if err := checkSourceType(types.SourceType(v.SourceType)); err != nil {
		return err
	}
	for _, category := range v.Categories {
		known := slices.ContainsFunc(eventCategories, func(of sourceCategories) bool {
			return (v.SourceType == "" || v.SourceType == string(of.source)) && slices.Contains(of.categories, category)
		})
		if !known {
			return awswire.Errorf(404, "SubscriptionCategoryNotFound", "The event category %s does not exist for source type %s.", category, v.SourceType)
		}
	}
	if err := s.checkSources(c, v.SourceType, v.SourceIDs); err != nil {
		return err
	}
	err := sns.Exists(ctx, s.store, c.account, c.region, v.Topic)
	if errors.Is(err, sns.ErrNoTopic) {
		return awswire.Errorf(404, "SNSTopicArnNotFound", "The SNS topic ARN %s does not exist.", v.Topic)
	}
	return err
}

// checkSources refuses sources that are not there.
func (s *service) checkSources(c scope, sourceType string, ids []string) error {
	if len(ids) > 0 && sourceType == "" {
		return awswire.InvalidParameterCombination("SourceType must be provided if SourceIds are specified.")
	}
	for _, id := range ids {
		var err error
		switch types.SourceType(sourceType) {
		case types.SourceTypeDbCluster:
			_, err = s.cluster(c, id)
		case types.SourceTypeDbInstance:
			_, err = s.instance(c, id)
		case types.SourceTypeDbParameterGroup:
			_, _, err = s.parameterGroup(c, instanceGroup, id)
		default:
			err = sourceNotFound(id)
		}
		if err != nil {
			return sourceNotFound(id)
		}
	}
	return nil
}

func sourceNotFound(id string) error {
	return awswire.Errorf(404, "SourceNotFound", "Could not find source %s.", id)
}

func lowered(given []string) []string {
	var all []string
	for _, g := range given {
		all = append(all, lower(g))
	}
	return all
}

// awsTime is how AWS writes times that are texts.
const awsTime = "2006-01-02 15:04:05.000"

func (c scope) showSubscription(v *EventSubscription) *types.EventSubscription {
	out := &types.EventSubscription{
		CustSubscriptionId: aws.String(v.Name), CustomerAwsId: aws.String(v.Account), EventSubscriptionArn: aws.String(c.arn("es", v.Name)),
		SnsTopicArn: aws.String(v.Topic), SourceType: optional(v.SourceType), SourceIdsList: v.SourceIDs, EventCategoriesList: v.Categories,
		Enabled: aws.Bool(v.Enabled), Status: aws.String("active"), SubscriptionCreationTime: aws.String(v.Created.Format(awsTime)),
	}
	if v.NoTopic {
		out.Status = aws.String("topic-not-exist")
	}
	return out
}
