package state

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// EventRetention is how long events are kept.
const EventRetention = 14 * 24 * time.Hour

const eventPrefix = root + "events/"

// eventKey sorts by time.
func eventKey(at time.Time) string { return fmt.Sprintf("%s%020d", eventPrefix, at.UnixNano()) }

// EventOp tells of something in the transaction that makes it so.
func EventOp(e aurora.Event, at time.Time) Op {
	e.Time = at.UTC()
	key := eventKey(at) + "-" + rand.Text()
	e.ID = key[len(eventPrefix):]
	data, err := json.Marshal(e)
	if err != nil {
		return Op{err: fmt.Errorf("event: %w", err)}
	}
	return Op{ops: []clientv3.Op{clientv3.OpPut(key, string(data))}}
}

// EventOps tell of what happens now, in this order.
func EventOps(events []aurora.Event) []Op {
	now := time.Now()
	var ops []Op
	for i, e := range events {
		ops = append(ops, EventOp(e, now.Add(time.Duration(i))))
	}
	return ops
}

// Events reads the events from a time on, the oldest first.
func Events(ctx context.Context, s *Store, from time.Time) ([]aurora.Event, error) {
	ctx, client, cancel := s.begin(ctx)
	defer cancel()
	resp, err := client.Get(ctx, eventKey(from), clientv3.WithRange(clientv3.GetPrefixRangeEnd(eventPrefix)))
	if err != nil {
		return nil, wrap(ctx, err)
	}
	events := make([]aurora.Event, len(resp.Kvs))
	for i, kv := range resp.Kvs {
		if err := json.Unmarshal(kv.Value, &events[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", kv.Key, err)
		}
	}
	return events, nil
}

// pruneBatch is how many events one request forgets at most, so that no request is
// a large one.
const pruneBatch = 500

// PruneEvents forgets the events before a time.
func PruneEvents(ctx context.Context, s *Store, before time.Time) error {
	for {
		n, err := pruneEvents(ctx, s, before)
		if err != nil || n < pruneBatch {
			return err
		}
	}
}

// pruneEvents forgets the oldest events before a time, and says how many.
func pruneEvents(ctx context.Context, s *Store, before time.Time) (int, error) {
	ctx, client, cancel := s.begin(ctx)
	defer cancel()
	old, err := client.Get(ctx, eventPrefix, clientv3.WithRange(eventKey(before)), clientv3.WithKeysOnly(), clientv3.WithLimit(pruneBatch))
	if err != nil {
		return 0, wrap(ctx, err)
	}
	n := len(old.Kvs)
	if n == 0 {
		return 0, nil
	}
	last := string(old.Kvs[n-1].Key)
	_, err = client.Delete(ctx, eventPrefix, clientv3.WithRange(last+"\x00"))
	return n, wrap(ctx, err)
}
