package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/blob"
	"github.com/daybreakdb/daybreak/internal/dataplane/backup"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
	"github.com/daybreakdb/daybreak/internal/state"
)

// backUp makes the base backup that is ordered.
func (n *node) backUp(ctx context.Context, id string) {
	for ctx.Err() == nil {
		item, ok := n.clusters.Get(id)
		if !ok || item.Value.Status.Backup == nil || !n.backsUpHere(item.Value) {
			return
		}
		c, order := item.Value, item.Value.Status.Backup.ID
		err := n.takeBackup(ctx, c, order)
		if err == nil {
			n.awaitBackup(ctx, id, order)
			return
		}
		if ctx.Err() == nil {
			slog.Error("node: base backup not made", "cluster", id, "backup", order, "error", err)
			_ = sleep(ctx, maxPause)
		}
	}
}

// awaitBackup waits until the controller has seen the backup.
func (n *node) awaitBackup(ctx context.Context, id, order string) {
	for ctx.Err() == nil {
		changed := n.changed()
		item, ok := n.clusters.Get(id)
		if !ok || item.Value.Status.Backup == nil || item.Value.Status.Backup.ID != order {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (n *node) takeBackup(ctx context.Context, c aurora.DBCluster, id string) error {
	table, key := state.BaseBackups(n.config.Store), c.ResourceID+"/"+id
	if _, err := table.Get(ctx, key); !errors.Is(err, state.ErrNotFound) {
		return err
	}
	store := n.backups(c.ResourceID)
	m, err := store.Manifest(ctx, id)
	if errors.Is(err, blob.ErrNotFound) {
		m, err = n.makeBackup(ctx, c, store, id)
	}
	if err != nil {
		return err
	}
	_, err = table.Create(ctx, key, aurora.BaseBackup{ID: id, ClusterID: c.ResourceID,
		Start: uint64(m.Start), Stop: uint64(m.Stop), Began: m.Began, Ended: m.Ended, Bytes: m.Bytes, Stored: m.Stored})
	if errors.Is(err, state.ErrExists) {
		return nil
	}
	return err
}

func (n *node) makeBackup(ctx context.Context, c aurora.DBCluster, store backup.Store, id string) (*backup.Manifest, error) {
	if err := store.RemoveBase(ctx, id); err != nil { // what an earlier attempt left
		return nil, err
	}
	s, cold, err := n.backupSource(c)
	if err != nil {
		return nil, err
	}
	if s.Installation, err = n.installation(ctx); err != nil {
		return nil, err
	}
	slog.Info("node: make a base backup", "cluster", c.ResourceID, "backup", id, "from", s.Name)
	begin := s.StartBackup
	if cold {
		begin = s.ColdBackup
	}
	session, err := begin(ctx)
	if err != nil {
		return nil, err
	}
	return store.TakeBase(ctx, session, backup.Base{ID: id, Workers: backupWorkers})
}

// backupSource is the server that base backups are made of: a reader, if there is one
// here, or the writer, or the data of a cluster without instances.
func (n *node) backupSource(c aurora.DBCluster) (s postgres.Server, cold bool, err error) {
	if c.Status.Writer == "" {
		return n.retained(c.ResourceID, *c.Status.Retained), true, nil
	}
	from, ok := n.order(c.Status.Writer)
	if !ok {
		return s, false, errNoLog
	}
	for _, item := range n.instances.All() {
		if in := item.Value; in.Spec.ClusterResourceID == c.ResourceID && item.Key != c.Status.Writer && n.runsHere(in) && !in.Server.Lagging {
			if o, ok := n.order(item.Key); ok {
				from = o
			}
		}
	}
	s, err = n.server(from)
	return s, false, err
}

// backupWorkers is how many parts of a base backup are made at a time: the host has
// other things to do.
const backupWorkers = 2

// restore builds the data of a cluster's first instance from a backup.
func (w *worker) restore(ctx context.Context, s postgres.Server, o order) error {
	item, ok := w.clusters.Get(o.cluster)
	if !ok || item.Value.Spec.Restore == nil {
		return errors.New("nothing is known that the cluster was to be restored from")
	}
	from := item.Value.Spec.Restore
	if s.Installation.BinDir == "" {
		found, err := w.installation(ctx)
		if err != nil {
			return err
		}
		s.Installation = found
	}
	w.phase(aurora.PhaseBuilding, "restore")
	target := backup.Target{Base: from.Base, Time: from.Time, End: wal.LSN(from.End)}
	began, shown := time.Now(), int64(-1)
	progress := func(done, total int64) {
		if percent := done * 100 / max(total, 1); percent != shown {
			shown = percent
			w.phase(aurora.PhaseBuilding, fmt.Sprintf("restore: %d %% of %d MB", percent, total>>20))
		}
	}
	err := s.Recover(ctx, postgres.Recovery{
		Memory: w.settings(o).Memory,
		Fill: func(ctx context.Context, dir string) (uint32, error) {
			done, err := w.backups(from.ClusterID).Restore(ctx, dir, target, progress)
			if err == nil {
				w.log.Info("node: a backup was fetched", "from", from.ClusterID, "base", from.Base, "end", done.End.String(), "timeline", done.Timeline, "bytes", done.Bytes)
				w.phase(aurora.PhaseBuilding, "restore: replay of WAL up to "+done.End.String())
			}
			return done.Timeline, err
		},
	})
	if err != nil {
		return fmt.Errorf("restore from base backup %s of %s: %w", from.Base, from.ClusterID, err)
	}
	w.log.Info("node: the database was restored", "from", from.ClusterID, "after", time.Since(began).Round(time.Millisecond))
	return nil
}
