package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/backup"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
	"github.com/daybreakdb/daybreak/internal/state"
)

const (
	// retentionInterval is how often it is seen what of the backups is not needed.
	retentionInterval = 10 * time.Minute
	// orphanAge is how old something of a base backup must be of which nothing is
	// known to be thrown away.
	orphanAge = 48 * time.Hour
)

// sweepBackups deletes what no restore can need any more: old automated backups, and
// those of deleted clusters.
func (n *node) sweepBackups(ctx context.Context) {
	interval := n.config.SweepInterval
	if interval == 0 {
		interval = retentionInterval
	}
	for sleep(ctx, interval) == nil {
		for _, item := range n.clusters.All() {
			if n.archivesHere(item.Value) {
				n.retain(ctx, item.Key, time.Now().AddDate(0, 0, -item.Value.Spec.BackupRetentionPeriod), item.Value.Status.Backup)
			}
		}
		sets, _, err := state.BackupSets(n.config.Store).List(ctx, "")
		if err != nil {
			slog.Warn("node: backups of deleted clusters not looked at", "error", err)
		}
		for _, set := range sets {
			n.sweepSet(ctx, set)
		}
	}
}

func (n *node) retain(ctx context.Context, cluster string, window time.Time, making *aurora.BackupOrder) {
	if _, err := n.trySweep(ctx, cluster, window, making); err != nil && ctx.Err() == nil {
		slog.Warn("node: old backups not deleted", "cluster", cluster, "error", err)
	}
}

// sweepSet deletes what is not needed of a deleted cluster's backups, and at last all
// that is known of it.
func (n *node) sweepSet(ctx context.Context, set state.Item[aurora.BackupSet]) {
	v := set.Value
	var window time.Time
	if days := v.Cluster.Spec.BackupRetentionPeriod; v.Keep && time.Now().Before(v.Deleted.AddDate(0, 0, days)) {
		window = v.Deleted.AddDate(0, 0, -days)
	}
	left, err := n.trySweep(ctx, set.Key, window, nil)
	if err == nil && left == 0 {
		if err = n.backups(set.Key).RemoveAll(ctx); err == nil {
			err = state.Archives(n.config.Store).Delete(ctx, set.Key)
		}
		if err == nil {
			err = state.BackupSets(n.config.Store).Delete(ctx, set.Key)
		}
	}
	if err != nil && ctx.Err() == nil {
		slog.Warn("node: backups of a deleted cluster not deleted", "cluster", set.Key, "error", err)
	}
}

// trySweep returns how many ranges of WAL are needed still.
func (n *node) trySweep(ctx context.Context, cluster string, window time.Time, making *aurora.BackupOrder) (left int, err error) {
	table := state.BaseBackups(n.config.Store)
	records, _, err := table.List(ctx, cluster+"/")
	if err != nil {
		return 0, err
	}
	var bases []backup.Kept
	for _, r := range records {
		bases = append(bases, backup.Kept{ID: r.Value.ID, Start: wal.LSN(r.Value.Start), Ended: r.Value.Ended})
	}
	needed := func() (keep []string, ranges []backup.Range, err error) {
		uses, err := n.uses(ctx, cluster)
		keep, ranges = backup.Needed(bases, window, uses)
		return keep, ranges, err
	}
	keep, _, err := needed()
	if err != nil {
		return 0, err
	}
	// Marked first: whoever wants to restore from it after this is refused, and who
	// was earlier is seen when it is looked again.
	var going []string
	for _, r := range records {
		if slices.Contains(keep, r.Value.ID) {
			continue
		}
		if err := n.mark(ctx, cluster, r.Value.ID, true); err != nil {
			return 0, err
		}
		going = append(going, r.Value.ID)
	}
	keep, ranges, err := needed()
	if err != nil {
		return 0, err
	}
	store := n.backups(cluster)
	for _, id := range going {
		if slices.Contains(keep, id) {
			err = n.mark(ctx, cluster, id, false)
		} else if err = store.RemoveBase(ctx, id); err == nil {
			slog.Info("node: a base backup is not needed any more", "cluster", cluster, "backup", id)
			err = table.Delete(ctx, cluster+"/"+id)
		}
		if err != nil {
			return 0, err
		}
	}
	if err := n.removeOrphans(ctx, store, records, making); err != nil {
		return 0, err
	}
	return len(ranges), store.RemoveWAL(ctx, ranges)
}

func (n *node) mark(ctx context.Context, cluster, id string, deleting bool) error {
	_, err := state.BaseBackups(n.config.Store).Update(ctx, cluster+"/"+id, func(b *aurora.BaseBackup) error {
		if b.Deleting == deleting {
			return state.ErrUnchanged
		}
		b.Deleting = deleting
		return nil
	})
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	return err
}

// uses are the snapshots of a cluster's backups, and the restores of them that are
// not done, as they are stored now.
func (n *node) uses(ctx context.Context, cluster string) ([]backup.Use, error) {
	snapshots, _, err := state.DBClusterSnapshots(n.config.Store).List(ctx, "")
	if err != nil {
		return nil, err
	}
	clusters, _, err := state.DBClusters(n.config.Store).List(ctx, "")
	if err != nil {
		return nil, err
	}
	var uses []backup.Use
	add := func(source *aurora.RestoreSource) {
		if source != nil && source.ClusterID == cluster {
			uses = append(uses, backup.Use{Base: source.Base, End: wal.LSN(source.End)})
		}
	}
	for _, item := range snapshots {
		add(item.Value.Source)
	}
	for _, item := range clusters {
		if !item.Value.Status.Initialized {
			add(item.Value.Spec.Restore)
		}
	}
	return uses, nil
}

// removeOrphans deletes what an attempt left that nobody takes up.
func (n *node) removeOrphans(ctx context.Context, store backup.Store, records []state.Item[aurora.BaseBackup], making *aurora.BackupOrder) error {
	ids, err := store.Bases(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		began, err := time.Parse(aurora.BackupIDLayout, id)
		known := slices.ContainsFunc(records, func(r state.Item[aurora.BaseBackup]) bool { return r.Value.ID == id })
		if known || making != nil && making.ID == id || err != nil || time.Since(began) < orphanAge {
			continue
		}
		if err := store.RemoveBase(ctx, id); err != nil {
			return err
		}
	}
	return nil
}
