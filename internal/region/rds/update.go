package rds

import (
	"context"
	"errors"
	"slices"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

// updateCluster changes a cluster's Spec or tags, tells of it, and waits until it
// is read. With checks it is tried once only.
func (s *service) updateCluster(ctx context.Context, key string, change func(*aurora.DBCluster) error, checks ...state.Op) (aurora.DBCluster, error) {
	return update(ctx, s.store, kind[aurora.DBCluster]{state.DBClusters(s.store), s.clusters, clusterNames, clusterEvents}, key, change, checks)
}

// updateInstance does so with an instance.
func (s *service) updateInstance(ctx context.Context, key string, change func(*aurora.DBInstance) error, checks ...state.Op) (aurora.DBInstance, error) {
	return update(ctx, s.store, kind[aurora.DBInstance]{state.DBInstances(s.store), s.instances, instanceNames, instanceEvents}, key, change, checks)
}

// kind is what a change of one kind of noun needs.
type kind[T any] struct {
	table  state.Table[T]
	mirror *state.Mirror[T]
	names  func(*T) []ownName
	events func(before, after T) []aurora.Event
}

func update[T any](ctx context.Context, store *state.Store, k kind[T], key string, change func(*T) error, checks []state.Op) (T, error) {
	for {
		item, err := k.table.Get(ctx, key)
		if err != nil {
			return item.Value, err
		}
		before := item.Value
		err = change(&item.Value)
		if errors.Is(err, state.ErrUnchanged) {
			return item.Value, nil
		}
		if err != nil {
			return item.Value, err
		}
		names, err := renames(ctx, store, key, k.names(&before), k.names(&item.Value))
		if err != nil {
			return item.Value, err
		}
		ops := append(state.EventOps(k.events(before, item.Value)), k.table.PutOp(key, item.Value, item.Revision))
		rev, err := store.Commit(ctx, slices.Concat(ops, names, checks)...)
		if err == nil {
			return item.Value, k.mirror.WaitRevision(ctx, rev)
		}
		if !errors.Is(err, state.ErrConflict) || len(checks) > 0 {
			return item.Value, err
		}
	}
}
