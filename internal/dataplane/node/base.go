package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
	"github.com/daybreakdb/daybreak/internal/state"
)

// baseZone is where a cluster's base copy belongs: not where its writer is.
func (o order) baseZone() string {
	for zone := range strings.SplitSeq(o.logZones, ",") {
		if zone != o.zone {
			return zone
		}
	}
	return o.zone
}

// keepImage makes the image of a new database its first base copy. Nothing but
// reading holds up the server's start.
func (w *worker) keepImage(ctx context.Context, s postgres.Server, o order) error {
	found, err := w.installation(ctx)
	if err != nil {
		return err
	}
	s.Installation = found
	control, err := s.ControlData(ctx)
	if err != nil {
		return err
	}
	image, err := s.ReadImage()
	if err != nil {
		return err
	}
	base := aurora.BaseCopy{Zone: o.baseZone(), Host: w.config.HostID, LSN: uint64(control.RedoLSN), Time: time.Now()}
	ctx = context.WithoutCancel(ctx)
	w.running.Go(func() {
		err := w.makeZone(base.Zone, o.cluster)
		if err == nil {
			err = image.Write(w.config.Layout.Base(base.Zone, o.cluster))
		}
		if err == nil {
			err = w.reportBase(ctx, o.cluster, base)
		}
		if err != nil {
			w.log.Error("node: no base copy of the new database", "error", err)
		}
	})
	return nil
}

func (n *node) makeZone(zone, cluster string) error {
	dir := n.config.Layout.Cluster(zone, cluster)
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.MkdirAll(d, 0o711); err != nil {
			return err
		}
		if err := os.Chmod(d, 0o711); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) reportBase(ctx context.Context, cluster string, base aurora.BaseCopy) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err := state.DBClusters(n.config.Store).Update(ctx, cluster, func(c *aurora.DBCluster) error {
		c.Volume.Base = base
		return nil
	})
	return err
}

// toDrop says whether nothing but the log is left of a deleted cluster.
func (n *node) toDrop(c aurora.DBCluster) bool {
	if !c.DeleteRequested || len(c.Status.LogZones) == 0 || c.Volume.LogRemoved || n.toRemove(c) {
		return false
	}
	for _, in := range n.instances.All() {
		if in.Value.Spec.ClusterResourceID == c.ResourceID {
			return false
		}
	}
	return true
}

// dropLog deletes the log and the base copy of a deleted cluster.
func (n *node) dropLog(ctx context.Context, c aurora.DBCluster) {
	for ctx.Err() == nil {
		err := n.tryDropLog(ctx, c)
		if err == nil || ctx.Err() != nil {
			return
		}
		slog.Error("node: log not removed", "cluster", c.ResourceID, "error", err)
		_ = sleep(ctx, maxPause)
	}
}

func (n *node) tryDropLog(ctx context.Context, c aurora.DBCluster) error {
	if err := n.wal.Drop(ctx, wal.Cluster{ID: c.ResourceID, Zones: c.Status.LogZones}); err != nil {
		return err
	}
	dirs, err := filepath.Glob(n.config.Layout.Cluster("*", c.ResourceID))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	_, err = state.DBClusters(n.config.Store).Update(ctx, c.ResourceID, func(c *aurora.DBCluster) error {
		c.Volume.LogRemoved = true
		return nil
	})
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	return err
}
