package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// Table holds values of one type under one prefix.
type Table[T any] struct {
	store  *Store
	prefix string // ends in "/"
}

// Item is a value with its key and the revision that a write must compare with.
type Item[T any] struct {
	Key      string
	Value    T
	Revision int64
}

// NewTable returns the table of this name, as "platform/deployments". Names are
// listed in keyspace.go.
func NewTable[T any](s *Store, name string) Table[T] {
	return Table[T]{store: s, prefix: root + name + "/"}
}

// Get reads one value, or returns ErrNotFound.
func (t Table[T]) Get(ctx context.Context, key string) (Item[T], error) {
	ctx, client, cancel := t.store.begin(ctx)
	defer cancel()
	resp, err := client.Get(ctx, t.prefix+key)
	if err != nil {
		return Item[T]{}, wrap(ctx, err)
	}
	if len(resp.Kvs) == 0 {
		return Item[T]{}, fmt.Errorf("%s%s: %w", t.prefix, key, ErrNotFound)
	}
	return t.decode(resp.Kvs[0].Key, resp.Kvs[0].Value, resp.Kvs[0].ModRevision)
}

// List reads all values whose keys begin with keyPrefix, in the order of keys,
// and the revision they were read at.
func (t Table[T]) List(ctx context.Context, keyPrefix string) ([]Item[T], int64, error) {
	ctx, client, cancel := t.store.begin(ctx)
	defer cancel()
	resp, err := client.Get(ctx, t.prefix+keyPrefix, clientv3.WithPrefix())
	if err != nil {
		return nil, 0, wrap(ctx, err)
	}
	items := make([]Item[T], 0, len(resp.Kvs))
	for _, kv := range resp.Kvs {
		item, err := t.decode(kv.Key, kv.Value, kv.ModRevision)
		if err != nil {
			return nil, 0, err
		}
		items = append(items, item)
	}
	return items, resp.Header.Revision, nil
}

// PutOp writes value if the key is still at revision; revision 0 means that
// there must be no such key.
func (t Table[T]) PutOp(key string, value T, revision int64) Op {
	data, err := json.Marshal(value)
	if err != nil {
		return Op{err: fmt.Errorf("%s%s: %w", t.prefix, key, err)}
	}
	return Op{
		cmps: []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(t.prefix+key), "=", revision)},
		ops:  []clientv3.Op{clientv3.OpPut(t.prefix+key, string(data))},
	}
}

// CheckOp writes nothing: it makes a transaction hold only while the key is at
// revision (0: while there is none).
func (t Table[T]) CheckOp(key string, revision int64) Op {
	return Op{cmps: []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(t.prefix+key), "=", revision)}}
}

// UnchangedOp writes nothing: it makes a transaction hold only while no value of
// the table was created or changed after revision, as List returned it.
func (t Table[T]) UnchangedOp(revision int64) Op {
	return Op{cmps: []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(t.prefix), "<", revision+1).WithPrefix()}}
}

// DeleteOp removes the key if it is still at revision.
func (t Table[T]) DeleteOp(key string, revision int64) Op {
	return Op{
		cmps: []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(t.prefix+key), "=", revision)},
		ops:  []clientv3.Op{clientv3.OpDelete(t.prefix + key)},
	}
}

// Create writes a new value together with the names it claims, or returns
// ErrExists and writes nothing.
func (t Table[T]) Create(ctx context.Context, key string, value T, claims ...Op) (int64, error) {
	rev, err := t.store.Commit(ctx, append([]Op{t.PutOp(key, value, 0)}, claims...)...)
	if errors.Is(err, ErrConflict) {
		return 0, fmt.Errorf("%s%s: %w", t.prefix, key, ErrExists)
	}
	return rev, err
}

// ErrUnchanged, returned by the function given to Update, ends it without a write.
var ErrUnchanged = errors.New("unchanged")

// Update reads the value, lets change edit it, and writes it if nobody else
// did; otherwise it starts again. An error of change ends it without a write;
// ErrUnchanged does so without being an error. It returns what is stored now.
func (t Table[T]) Update(ctx context.Context, key string, change func(*T) error) (Item[T], error) {
	return t.UpdateTelling(ctx, key, change, func(T, T) []aurora.Event { return nil })
}

// UpdateTelling is Update with the events that tell of the change, which are
// stored with it; tell gets the value before and after.
func (t Table[T]) UpdateTelling(ctx context.Context, key string, change func(*T) error, tell func(before, after T) []aurora.Event) (Item[T], error) {
	for {
		item, err := t.Get(ctx, key)
		if err != nil {
			return item, err
		}
		before := item.Value
		if err := change(&item.Value); errors.Is(err, ErrUnchanged) {
			return item, nil
		} else if err != nil {
			return item, err
		}
		ops := append(EventOps(tell(before, item.Value)), t.PutOp(key, item.Value, item.Revision))
		rev, err := t.store.Commit(ctx, ops...)
		if err == nil {
			item.Revision = rev
			return item, nil
		}
		if !errors.Is(err, ErrConflict) {
			return item, err
		}
	}
}

// Delete removes the value and releases its names. A missing key is no error.
func (t Table[T]) Delete(ctx context.Context, key string, releases ...Op) error {
	for {
		item, err := t.Get(ctx, key)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = t.store.Commit(ctx, append([]Op{t.DeleteOp(key, item.Revision)}, releases...)...)
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

func (t Table[T]) decode(key, value []byte, revision int64) (Item[T], error) {
	item := Item[T]{Key: strings.TrimPrefix(string(key), t.prefix), Revision: revision}
	if err := json.Unmarshal(value, &item.Value); err != nil {
		return item, fmt.Errorf("%s: stored value is not readable: %w", key, err)
	}
	return item, nil
}
