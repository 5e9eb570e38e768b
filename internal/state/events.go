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

// Events reads the events from a time on, the oldest first.
func Events(ctx context.Context, s *Store, from time.Time) ([]aurora.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resp, err := s.client.Get(ctx, eventKey(from), clientv3.WithRange(clientv3.GetPrefixRangeEnd(eventPrefix)))
	if err != nil {
		return nil, wrap(err)
	}
	events := make([]aurora.Event, len(resp.Kvs))
	for i, kv := range resp.Kvs {
		if err := json.Unmarshal(kv.Value, &events[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", kv.Key, err)
		}
	}
	return events, nil
}

// PruneEvents forgets the events before a time.
func PruneEvents(ctx context.Context, s *Store, before time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := s.client.Delete(ctx, eventPrefix, clientv3.WithRange(eventKey(before)))
	return wrap(err)
}
