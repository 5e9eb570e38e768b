package state

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Mirror is a local copy of a table that follows it. While etcd is away the
// mirror keeps what it knew last.
type Mirror[T any] struct {
	table Table[T]

	mu       sync.RWMutex
	items    map[string]Item[T]
	sorted   []Item[T]     // items in the order of keys; nil until somebody asks
	groups   []*Group[T]   // that follow items
	revision int64         // everything up to here is in items
	changed  chan struct{} // closed at the next change, then replaced
	done     chan struct{} // closed when the mirror has stopped following
}

// relistDelay is the pause before the mirror lists again after an error.
const relistDelay = 200 * time.Millisecond

// NewMirror lists the table, waiting for etcd as long as ctx allows, and then
// follows it until ctx ends.
func NewMirror[T any](ctx context.Context, table Table[T]) (*Mirror[T], error) {
	m := &Mirror[T]{table: table, items: map[string]Item[T]{}, changed: make(chan struct{}), done: make(chan struct{})}
	for {
		err := m.list(ctx)
		if err == nil {
			break
		}
		if !errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			return nil, err
		}
		if !pause(ctx, relistDelay) {
			return nil, ctx.Err()
		}
	}
	go m.follow(ctx)
	return m, nil
}

// Get returns the value of a key as the mirror knows it.
func (m *Mirror[T]) Get(key string) (Item[T], bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	item, ok := m.items[key]
	return item, ok
}

// All returns every item, in the order of keys. The slice is shared by all who ask
// between two changes, and so are the values: read only.
func (m *Mirror[T]) All() []Item[T] {
	m.mu.RLock()
	sorted := m.sorted
	m.mu.RUnlock()
	if sorted != nil {
		return sorted
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sorted == nil {
		m.sorted = make([]Item[T], 0, len(m.items))
		for _, item := range m.items {
			m.sorted = append(m.sorted, item)
		}
		slices.SortFunc(m.sorted, func(a, b Item[T]) int { return strings.Compare(a.Key, b.Key) })
	}
	return m.sorted
}

// Changed returns a channel that is closed at the next change after the call.
// Take it before reading, so that no change is missed.
func (m *Mirror[T]) Changed() <-chan struct{} {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.changed
}

// Done is closed when the mirror has stopped following its table.
func (m *Mirror[T]) Done() <-chan struct{} { return m.done }

// WaitRevision returns when the mirror has a write to its own table that had
// this revision, so that a writer reads what it wrote.
func (m *Mirror[T]) WaitRevision(ctx context.Context, revision int64) error {
	for {
		changed := m.Changed()
		m.mu.RLock()
		reached := m.revision >= revision
		m.mu.RUnlock()
		if reached {
			return nil
		}
		select {
		case <-changed:
		case <-m.done:
			return ErrUnavailable
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *Mirror[T]) list(ctx context.Context) error {
	items, revision, err := m.table.List(ctx, "")
	if err != nil {
		return err
	}
	fresh := make(map[string]Item[T], len(items))
	for _, item := range items {
		fresh[item.Key] = item
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.items, m.sorted, m.revision = fresh, nil, revision
	for _, g := range m.groups {
		g.rebuild()
	}
	m.announce()
	return nil
}

// announce tells waiters of a change. The caller holds mu.
func (m *Mirror[T]) announce() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *Mirror[T]) follow(ctx context.Context) {
	defer close(m.done)
	for ctx.Err() == nil {
		m.watch(ctx)
		for ctx.Err() == nil && m.list(ctx) != nil {
			pause(ctx, relistDelay)
		}
	}
}

// watch applies events until the watch ends: compaction, a lost leader, or another
// member to ask.
func (m *Mirror[T]) watch(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	member := m.table.store.chooser.await(ctx)
	if member.left != nil {
		defer context.AfterFunc(member.left, cancel)()
	}
	m.mu.RLock()
	from := m.revision + 1
	m.mu.RUnlock()
	events := member.client.Watch(clientv3.WithRequireLeader(ctx), m.table.prefix,
		clientv3.WithPrefix(), clientv3.WithRev(from))
	for resp := range events {
		if resp.Err() != nil {
			return
		}
		m.apply(resp)
	}
}

func (m *Mirror[T]) apply(resp clientv3.WatchResponse) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, ev := range resp.Events {
		key := strings.TrimPrefix(string(ev.Kv.Key), m.table.prefix)
		if ev.Type == clientv3.EventTypeDelete {
			m.replace(key, nil)
			continue
		}
		item, err := m.table.decode(ev.Kv.Key, ev.Kv.Value, ev.Kv.ModRevision)
		if err != nil {
			slog.Error("state: value left out of mirror", "key", string(ev.Kv.Key), "error", err)
			continue
		}
		m.replace(key, &item)
	}
	m.sorted, m.revision = nil, resp.Header.Revision
	m.announce()
}

// replace puts an item in the place of the one that has its key, or nothing. The
// caller holds mu.
func (m *Mirror[T]) replace(key string, item *Item[T]) {
	if old, ok := m.items[key]; ok {
		for _, g := range m.groups {
			g.remove(old)
		}
	}
	if item == nil {
		delete(m.items, key)
		return
	}
	m.items[key] = *item
	for _, g := range m.groups {
		g.add(*item)
	}
}

// pause waits for d and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
