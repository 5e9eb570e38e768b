package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/layout"
)

// fill makes the data directory, if there is none and the task says how.
func (w *worker) fill(ctx context.Context, s postgres.Server, o order) error {
	if ok, err := s.HasData(); ok || err != nil {
		return err
	}
	w.seen.Damaged, w.seen.FailedStarts = "", aurora.FailedStarts{}
	if err := w.config.Layout.CreateCluster(o.zone, o.cluster); err != nil {
		return err
	}
	w.phase(aurora.PhaseBuilding, "waiting for other builds on this host")
	select {
	case w.builds <- struct{}{}:
		defer func() { <-w.builds }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	w.log.Info("node: fill the data directory", "by", o.task.Build, "from", o.task.Upstream+o.task.Adopt.Instance)
	switch o.task.Build {
	case aurora.BuildInitdb:
		w.phase(aurora.PhaseBuilding, "initdb")
		if err := s.Init(ctx, postgres.InitOptions{Master: o.master, Database: o.database}); err != nil {
			return err
		}
		w.seen.MasterPasswordGeneration = o.passwordGeneration
		return w.keepImage(ctx, s, o)
	case aurora.BuildCopy:
		w.phase(aurora.PhaseBuilding, "copy from "+o.task.Upstream)
		w.fresh = true
		return s.Copy(ctx, w.source(o))
	case aurora.BuildLog:
		w.phase(aurora.PhaseBuilding, "base copy and log")
		return s.RestoreBase(w.config.Layout.Base(o.zone, o.cluster))
	case aurora.BuildRestore:
		return w.restore(ctx, s, o)
	case aurora.BuildAdopt:
		return w.moveRetained(ctx, s, o)
	}
	return fmt.Errorf("%s: the data directory of the writer is gone: %w", s.Dir, postgres.ErrNoData)
}

// moveRetained makes retained data the instance's: one rename, so that it is
// always in exactly one of the two places.
func (w *worker) moveRetained(ctx context.Context, s postgres.Server, o order) error {
	from := w.retained(o.cluster, o.task.Adopt)
	if ok, err := from.HasData(); err != nil {
		return err
	} else if !ok {
		return fmt.Errorf("retained data in %s: %w", from.Dir, postgres.ErrNoData)
	}
	if err := stopIfRunning(ctx, from, w.config.StopGrace); err != nil {
		return err
	}
	if err := s.Remove(ctx); err != nil { // what an earlier attempt prepared
		return err
	}
	if err := os.Rename(from.Dir, s.Dir); err != nil {
		return err
	}
	for _, dir := range []string{filepath.Dir(s.Dir), filepath.Dir(from.Dir)} {
		if err := layout.SyncDir(dir); err != nil {
			return err
		}
	}
	return os.RemoveAll(from.SocketDir)
}

// retained names the server of retained data: enough to stop and to remove it.
func (n *node) retained(cluster string, kept aurora.RetainedData) postgres.Server {
	return postgres.Server{
		Name:      kept.Instance,
		Dir:       n.config.Layout.Instance(kept.Zone, cluster, kept.Instance),
		SocketDir: n.config.Layout.InstanceSocketDir(kept.Instance),
		UID:       dataOwner(n.config.Layout.Instance(kept.Zone, cluster, kept.Instance)),
	}
}

// toRemove says whether a deleted cluster has retained data on this host.
func (n *node) toRemove(c aurora.DBCluster) bool {
	kept := c.Status.Retained
	return kept != nil && kept.Remove && kept.Host == n.config.HostID && c.Volume.Removed != kept.Instance
}

// removeRetained deletes the retained data of a deleted cluster.
func (n *node) removeRetained(ctx context.Context, c aurora.DBCluster) {
	kept := *c.Status.Retained
	for ctx.Err() == nil {
		err := n.retained(c.ResourceID, kept).Remove(ctx)
		if err == nil {
			n.removeEmptyParent(kept.Zone, c.ResourceID)
			err = n.reportVolume(ctx, c.ResourceID, kept.Instance)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		slog.Error("node: retained data not removed", "cluster", c.ResourceID, "error", err)
		_ = sleep(ctx, maxPause)
	}
}

// removeEmptyParent removes the directory of a cluster without instances in a zone.
func (n *node) removeEmptyParent(zone, cluster string) {
	dir := n.config.Layout.Cluster(zone, cluster)
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return // others are in it
	}
}
