package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
	"github.com/daybreakdb/daybreak/internal/state"
)

// basePlace is where a cluster's base copy belongs: not in the zone of its writer,
// and beside copies of the log.
func (o order) basePlace() (zone, host string) {
	hosts := strings.Split(o.logHosts, ",")
	for i, zone := range strings.Split(o.logZones, ",") {
		if zone != o.zone && i < len(hosts) {
			return zone, hosts[i]
		}
	}
	return o.zone, o.host
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
	base := aurora.BaseCopy{LSN: uint64(control.RedoLSN), Time: time.Now()}
	base.Zone, base.Host = o.basePlace()
	ctx = context.WithoutCancel(ctx)
	w.running.Go(func() {
		err := w.storeBase(ctx, o, base, image.Write)
		if err == nil {
			err = w.reportBase(ctx, o.cluster, base)
		}
		if err != nil {
			w.log.Error("node: no base copy of the new database", "error", err)
		}
	})
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
	id := n.config.HostID
	hosts := c.Status.LogHosts
	if c.Status.LogMove != nil {
		hosts = slices.Concat(hosts, c.Status.LogMove.Hosts)
	}
	if !c.DeleteRequested || !slices.Contains(hosts, id) || slices.Contains(c.Volume.LogRemoved, id) || n.toRemove(c) {
		return false
	}
	if kept := c.Status.Retained; kept != nil && !kept.Remove {
		return false // a final snapshot is made of it
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
	if err := n.dropCluster(ctx, c.ResourceID); err != nil {
		return err
	}
	_, err := state.DBClusters(n.config.Store).Update(ctx, c.ResourceID, func(c *aurora.DBCluster) error {
		if slices.Contains(c.Volume.LogRemoved, n.config.HostID) {
			return state.ErrUnchanged
		}
		c.Volume.LogRemoved = append(slices.Clone(c.Volume.LogRemoved), n.config.HostID)
		return nil
	})
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	return err
}

// dropCluster deletes the log, the base copies and the directories of a cluster here.
func (n *node) dropCluster(ctx context.Context, id string) error {
	if err := n.wal.Drop(ctx, wal.Cluster{ID: id}); err != nil {
		return err
	}
	dirs, err := filepath.Glob(n.config.Layout.Cluster("*", id))
	for _, dir := range dirs {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

const (
	// baseInterval is how often it is seen whether a new base copy is due.
	baseInterval = 30 * time.Second
	// defaultBaseLimit is how much WAL the log keeps before a new base copy is taken.
	defaultBaseLimit = 1 << 30
)

// keepBases takes base copies of the clusters whose writers are here: where none
// is there any more, and when the log has become long.
func (n *node) keepBases(ctx context.Context) {
	for sleep(ctx, baseInterval) == nil {
		for _, item := range n.clusters.All() {
			if err := n.keepBase(ctx, item.Value); err != nil && ctx.Err() == nil {
				slog.Warn("node: no new base copy", "cluster", item.Key, "error", err)
			}
		}
	}
}

func (n *node) keepBase(ctx context.Context, c aurora.DBCluster) error {
	writer, ok := n.instances.Get(c.Status.Writer)
	if !ok || c.DeleteRequested || c.Status.Handover != nil || !n.runsHere(writer.Value) {
		return nil
	}
	o, ok := n.order(writer.Key)
	if !ok {
		return nil
	}
	s, err := n.server(o)
	if err != nil {
		return err
	}
	st, err := n.wal.Status(ctx, o.log(s))
	if err != nil {
		return err
	}
	base := c.Volume.Base
	there := slices.Contains(c.Status.LogHosts, base.Host)
	if there { // or its host has no copies of the log any more
		if there, err = n.hasBase(ctx, c.ResourceID, base); err != nil {
			return err
		}
	}
	if there && st.Committed < wal.LSN(base.LSN)+wal.LSN(n.config.BaseLimit) {
		return nil
	}
	return n.takeBase(ctx, c, o)
}

func (n *node) runsHere(in aurora.DBInstance) bool {
	return in.Status.Host == n.config.HostID && in.Server.Phase == aurora.PhaseRunning && in.Server.Term == in.Status.Task.Term
}

// takeBase takes a base copy, of a reader if there is one, and lets the log
// forget what came before it.
func (n *node) takeBase(ctx context.Context, c aurora.DBCluster, writer order) error {
	from := writer
	for _, item := range n.instances.All() {
		if in := item.Value; in.Spec.ClusterResourceID == c.ResourceID && item.Key != writer.instance && n.runsHere(in) {
			if o, ok := n.order(item.Key); ok {
				from = o
			}
		}
	}
	s, err := n.server(from)
	if err != nil {
		return err
	}
	if s.Installation, err = n.installation(ctx); err != nil {
		return err
	}
	control, err := s.ControlData(ctx)
	if err != nil {
		return err
	}
	base := aurora.BaseCopy{LSN: uint64(control.RedoLSN), Time: time.Now()}
	base.Zone, base.Host = writer.basePlace()
	slog.Info("node: take a base copy", "cluster", c.ResourceID, "from", from.instance, "zone", base.Zone)
	backup := func(path string) error {
		return s.BaseBackup(ctx, postgres.Upstream{SocketDir: s.SocketDir}, path)
	}
	if err := n.storeBase(ctx, from, base, backup); err != nil {
		return err
	}
	if err := n.reportBase(ctx, c.ResourceID, base); err != nil {
		return err
	}
	if old := c.Volume.Base; old.Zone != "" && (old.Zone != base.Zone || old.Host != base.Host) {
		if err := n.removeBase(ctx, c.ResourceID, old); err != nil {
			slog.Warn("node: an old base copy is left", "cluster", c.ResourceID, "host", old.Host, "error", err)
		}
	}
	// What is not in the archive stays in the log, however long the archive is away.
	archive, err := state.Archives(n.config.Store).Get(ctx, c.ResourceID)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return err
	}
	return n.wal.Trim(ctx, writer.log(s), wal.LSN(min(base.LSN, archive.Value.End)))
}
