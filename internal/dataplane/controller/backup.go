package controller

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/decide"
	"github.com/daybreakdb/daybreak/internal/state"
)

// countBackups has clusters looked at that have a new base backup, or of which a
// snapshot is wanted.
func (m *mirrors) countBackups(news map[string]fingerprint) {
	note := func(cluster string, revision int64) {
		if f, ok := news[cluster]; ok {
			f.backups = max(f.backups, revision)
			news[cluster] = f
		}
	}
	for _, item := range m.bases.All() {
		note(item.Value.ClusterID, item.Revision)
	}
	for _, item := range m.snapshots.All() {
		note(item.Value.ClusterID, item.Revision)
	}
}

// seeBackups takes what the cluster's backups are into the snapshot of the world.
func (w *worker) seeBackups(s *snapshot) {
	if archive, ok := w.mirrors.archives.Get(w.id); ok {
		s.world.Archive = archive.Value
	}
	for _, item := range w.mirrors.bases.All() {
		if strings.HasPrefix(item.Key, w.id+"/") {
			s.world.Bases = append(s.world.Bases, item.Value)
		}
	}
	for _, item := range w.mirrors.snapshots.All() {
		if v := item.Value; v.ClusterID == w.id && v.Status == aurora.SnapshotStatusCreating {
			s.world.Snapshots = append(s.world.Snapshots, v)
			s.snapshots[item.Key] = item.Revision
		}
	}
}

func (w *worker) snapshotOps(s snapshot, after decide.World) []state.Op {
	table := state.DBClusterSnapshots(w.config.Store)
	var ops []state.Op
	for i, before := range s.world.Snapshots {
		if !reflect.DeepEqual(before, after.Snapshots[i]) {
			ops = append(ops, table.PutOp(before.ResourceID, after.Snapshots[i], s.snapshots[before.ResourceID]))
		}
	}
	return ops
}

// backupSetOp keeps what the backups of a cluster belong to that is forgotten.
func (w *worker) backupSetOp(ctx context.Context, c aurora.DBCluster) (state.Op, error) {
	table := state.BackupSets(w.config.Store)
	old, err := table.Get(ctx, w.id)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return state.Op{}, err
	}
	return table.PutOp(w.id, aurora.BackupSet{Cluster: c, Deleted: time.Now().UTC(), Keep: c.Spec.KeepBackups}, old.Revision), nil
}
