package rds

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/sns"
	"github.com/daybreakdb/daybreak/internal/state"
)

// sent is how far events have been sent, stored under region/events-sent. What is
// to be delivered for an event is stored in the transaction that moves it on.
type sent struct {
	Revision int64 `json:"revision"` // of the store
}

const sentKey = "notifications"

func sentTable(s *state.Store) state.Table[sent] {
	return state.NewTable[sent](s, "region/events-sent")
}

func eventTable(s *state.Store) state.Table[aurora.Event] {
	return state.NewTable[aurora.Event](s, "events")
}

// maxNotifyOps is what fits into one transaction of etcd, and some room.
const maxNotifyOps = 100

// notifyPause is the pause after events could not be sent.
const notifyPause = time.Second

// notify sends events to the topics of their subscriptions until ctx ends.
func (s *service) notify(ctx context.Context, events *state.Mirror[aurora.Event]) {
	for ctx.Err() == nil {
		changed := events.Changed()
		err := s.notifyNew(ctx, events.All())
		if errors.Is(err, state.ErrConflict) {
			continue // another process sends too
		}
		var again <-chan time.Time
		if err != nil && ctx.Err() == nil {
			slog.Warn("rds: events not sent to their subscribers, trying again", "error", err)
			again = time.After(notifyPause)
			changed = nil
		}
		select {
		case <-changed:
		case <-again:
		case <-ctx.Done():
		}
	}
}

// notifyNew sends the events that were stored since the last one that was sent, in
// the order in which they were stored.
func (s *service) notifyNew(ctx context.Context, all []state.Item[aurora.Event]) error {
	table := sentTable(s.store)
	at, err := table.Get(ctx, sentKey)
	if errors.Is(err, state.ErrNotFound) {
		_, err = s.store.Commit(ctx, table.PutOp(sentKey, sent{latest(all)}, 0)) // none of those of before
		return err
	}
	if err != nil {
		return err
	}
	if newest := latest(all); newest < at.Value.Revision {
		return s.notifyRestored(ctx, at)
	}
	fresh := slices.DeleteFunc(slices.Clone(all), func(item state.Item[aurora.Event]) bool { return item.Revision <= at.Value.Revision })
	slices.SortStableFunc(fresh, func(a, b state.Item[aurora.Event]) int { return int(a.Revision - b.Revision) })
	for len(fresh) > 0 {
		revision := fresh[0].Revision
		var ops []state.Op
		for len(fresh) > 0 && fresh[0].Revision == revision {
			more, err := s.notifyOps(ctx, &fresh[0].Value)
			if err != nil {
				return err
			}
			ops, fresh = append(ops, more...), fresh[1:]
		}
		for len(ops) > maxNotifyOps { // after a crash these are sent twice
			if _, err := s.store.Commit(ctx, ops[:maxNotifyOps]...); err != nil {
				return err
			}
			ops = ops[maxNotifyOps:]
		}
		rev, err := s.store.Commit(ctx, append(ops, table.PutOp(sentKey, sent{revision}, at.Revision))...)
		if err != nil {
			return err
		}
		at.Revision = rev
	}
	return nil
}

// notifyRestored notes that the store begins anew, as after it was restored from a
// copy: its revisions are lower than before.
func (s *service) notifyRestored(ctx context.Context, at state.Item[sent]) error {
	_, now, err := eventTable(s.store).List(ctx, "none")
	if err != nil || now >= at.Value.Revision {
		return err
	}
	_, err = s.store.Commit(ctx, sentTable(s.store).PutOp(sentKey, sent{now}, at.Revision))
	return err
}

func latest(all []state.Item[aurora.Event]) int64 {
	var revision int64
	for i := range all {
		revision = max(revision, all[i].Revision)
	}
	return revision
}

// notifyOps store one event for all who want it.
func (s *service) notifyOps(ctx context.Context, e *aurora.Event) ([]state.Op, error) {
	var ops []state.Op
	for _, item := range s.subscriptions.All() {
		v := &item.Value
		if !v.wants(e) {
			continue
		}
		n, err := notificationOf(e)
		if err != nil {
			return nil, err
		}
		more, err := sns.NotifyOps(ctx, s.store, v.Account, v.Region, v.Topic, n)
		noTopic := errors.Is(err, sns.ErrNoTopic)
		if err != nil && !noTopic {
			return nil, fmt.Errorf("topic %s: %w", v.Topic, err)
		}
		if noTopic != v.NoTopic {
			noted := *v
			noted.NoTopic = noTopic
			more = append(more, subscriptionTable(s.store).PutOp(item.Key, noted, item.Revision))
		}
		ops = append(ops, more...)
	}
	return ops, nil
}

// wants says whether the subscription is for an event.
func (v *EventSubscription) wants(e *aurora.Event) bool {
	return v.Enabled && v.Account == e.Account && v.Region == e.Region && !e.Time.Before(v.Created) &&
		(v.SourceType == "" || v.SourceType == e.SourceType) &&
		(len(v.SourceIDs) == 0 || slices.Contains(v.SourceIDs, e.SourceID)) &&
		(len(v.Categories) == 0 || slices.ContainsFunc(e.Categories, func(c string) bool { return slices.Contains(v.Categories, c) }))
}

// notificationOf is an event as AWS writes it to SNS. Event ID is an address whose
// last part is the id, and there is no console that Identifier Link could lead to.
func notificationOf(e *aurora.Event) (sns.Notification, error) {
	arn := scope{e.Account, e.Region}.arn(eventARNKind(*e), e.SourceID)
	text, err := json.Marshal(struct {
		Source  string `json:"Event Source"`
		Time    string `json:"Event Time"`
		Link    string `json:"Identifier Link"`
		ID      string `json:"Source ID"`
		ARN     string `json:"Source ARN"`
		Event   string `json:"Event ID"`
		Message string `json:"Event Message"`
	}{
		e.SourceType, e.Time.Format(awsTime), "", e.SourceID, arn,
		"http://docs.amazonwebservices.com/AmazonRDS/latest/UserGuide/USER_Events.html#" + e.EventID, e.Message,
	})
	return sns.Notification{
		Subject: "RDS Notification Message", Text: string(text),
		Attributes: map[string]sns.Attribute{"Resource": {Type: "String", Value: arn}, "EventID": {Type: "String", Value: e.EventID}},
	}, err
}
