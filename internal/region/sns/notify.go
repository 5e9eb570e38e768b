package sns

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/daybreakdb/daybreak/internal/state"
)

// Notification is what another service of the region publishes to a topic.
type Notification struct {
	Subject    string
	Text       string
	Attributes map[string]Attribute
}

// ErrNoTopic says that a topic does not exist, or that its name is none.
var ErrNoTopic = errors.New("the topic does not exist")

// ErrBusy says that too many messages wait for their endpoints.
var ErrBusy = errors.New("too many messages wait for their endpoints")

// Exists says whether a topic of this account and region exists: nil or ErrNoTopic.
func Exists(ctx context.Context, store *state.Store, account, region, arn string) error {
	_, err := findTopic(ctx, store, account, region, arn)
	return err
}

func findTopic(ctx context.Context, store *state.Store, account, region, arn string) (Topic, error) {
	p, name, id, ok := parseARN(arn)
	if !ok || id != "" || p != (place{account, region}) {
		return Topic{}, fmt.Errorf("%s: %w", arn, ErrNoTopic)
	}
	item, err := topicTable(store).Get(ctx, p.record(name))
	if errors.Is(err, state.ErrNotFound) {
		return Topic{}, fmt.Errorf("%s: %w", arn, ErrNoTopic)
	}
	return item.Value, err
}

// NotifyOps store a message for each confirmed subscription of a topic, in the
// transaction of the caller, which so knows that it was published once.
func NotifyOps(ctx context.Context, store *state.Store, account, region, arn string, n Notification) ([]state.Op, error) {
	topic, err := findTopic(ctx, store, account, region, arn)
	if err != nil {
		return nil, err
	}
	queued, _, err := deliveryTable(store).List(ctx, "")
	if err != nil {
		return nil, err
	}
	to, _, err := subscriptionTable(store).List(ctx, place{account, region}.record(topic.Name+"/"))
	if err != nil {
		return nil, err
	}
	bytes := 0
	for _, item := range queued {
		bytes += len(item.Value.Message.Text)
	}
	if len(queued)+len(to) > maxQueued || bytes+len(to)*len(n.Text) > maxQueuedBytes {
		return nil, ErrBusy
	}
	m := newMessage(topic, notification)
	m.Subject, m.Text, m.Attributes = &n.Subject, n.Text, n.Attributes
	var ops []state.Op
	for i, item := range to {
		if !item.Value.Confirmed {
			continue
		}
		key := fmt.Sprintf("%020d-%s-%04d", time.Now().UnixNano(), m.ID, i)
		ops = append(ops, deliveryTable(store).PutOp(key, Delivery{Subscription: item.Value.record(), Message: m, Next: m.Published}, 0))
	}
	return ops, nil
}

func topicTable(s *state.Store) state.Table[Topic] {
	return state.NewTable[Topic](s, "region/sns-topics")
}

func subscriptionTable(s *state.Store) state.Table[Subscription] {
	return state.NewTable[Subscription](s, "region/sns-subscriptions")
}

func deliveryTable(s *state.Store) state.Table[Delivery] {
	return state.NewTable[Delivery](s, "region/sns-deliveries")
}
