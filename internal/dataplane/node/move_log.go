package node

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
	"github.com/daybreakdb/daybreak/internal/state"
)

const (
	// moveAttempt is how long one attempt to move a log's copies may take. The next
	// one goes on where it ended, with the order as it is then.
	moveAttempt = 30 * time.Second
	// pruneInterval is how often it is looked whether copies here are elsewhere now.
	pruneInterval = 5 * time.Second
)

// toMove says whether copies of a cluster's log are to be moved by the writer's log,
// which is here.
func (n *node) toMove(c aurora.DBCluster) bool {
	m := c.Status.LogMove
	writer, ok := n.instances.Get(c.Status.Writer)
	return m != nil && m.Generation != c.Volume.LogMove.Done && ok && !c.DeleteRequested && n.runsHere(writer.Value)
}

// moveLog moves copies of a cluster's log until they are where they are ordered to
// be, or the order is not this host's any more.
func (n *node) moveLog(ctx context.Context, cluster string) {
	for ctx.Err() == nil {
		item, ok := n.clusters.Get(cluster)
		if !ok || !n.toMove(item.Value) {
			return
		}
		report := aurora.LogMoveReport{Done: item.Value.Volume.LogMove.Done}
		if err := n.tryMoveLog(ctx, item.Value); err != nil {
			slog.Warn("node: copies of the log not moved yet", "cluster", cluster, "error", err)
			report.Problem = err.Error()
		} else {
			report.Done = item.Value.Status.LogMove.Generation
		}
		revision, err := n.reportMove(ctx, cluster, report)
		switch {
		case err != nil && ctx.Err() == nil:
			slog.Warn("node: the move of the log's copies not reported", "cluster", cluster, "error", err)
			_ = sleep(ctx, maxPause)
		case report.Problem != "":
			_ = sleep(ctx, maxPause)
		default:
			_ = n.clusters.WaitRevision(ctx, revision)
		}
	}
}

func (n *node) tryMoveLog(ctx context.Context, c aurora.DBCluster) error {
	ctx, cancel := context.WithTimeout(ctx, moveAttempt)
	defer cancel()
	o, ok := n.order(c.Status.Writer)
	if !ok {
		return errors.New("the writer is gone")
	}
	s, err := n.server(o)
	if err != nil {
		return err
	}
	return n.wal.Move(ctx, o.log(s), c.Status.LogMove.Zones, c.Status.LogMove.Hosts)
}

func (n *node) reportMove(ctx context.Context, cluster string, report aurora.LogMoveReport) (int64, error) {
	item, err := state.DBClusters(n.config.Store).Update(ctx, cluster, func(c *aurora.DBCluster) error {
		if c.Volume.LogMove == report {
			return state.ErrUnchanged
		}
		c.Volume.LogMove = report
		return nil
	})
	return item.Revision, err
}

// pruneLogs deletes copies that were moved to other hosts, as after this host was
// lost for long, until ctx ends.
func (n *node) pruneLogs(ctx context.Context) {
	for sleep(ctx, pruneInterval) == nil {
		for _, item := range n.clusters.All() {
			if err := n.pruneLog(ctx, item.Value); err != nil && ctx.Err() == nil {
				slog.Warn("node: old copies of a log are left", "cluster", item.Key, "error", err)
			}
		}
	}
}

func (n *node) pruneLog(ctx context.Context, c aurora.DBCluster) error {
	if len(c.Status.LogZones) == 0 || c.DeleteRequested {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, pruneInterval)
	defer cancel()
	held, err := n.wal.Held(ctx, c.ResourceID)
	if err != nil || len(n.superfluous(c, held)) == 0 {
		return err
	}
	// What the mirror has may be old: copies could have come here since. What is
	// stored now was stored before any of them was begun that is not in held.
	now, err := state.DBClusters(n.config.Store).Get(ctx, c.ResourceID)
	if err != nil {
		return err
	}
	c = now.Value
	counting, err := n.countingCopies(ctx, c)
	if err != nil {
		return err
	}
	old := slices.DeleteFunc(n.superfluous(c, held), func(h wal.HeldCopy) bool {
		return slices.ContainsFunc(counting, func(s wal.CopyStatus) bool {
			return s.Host == n.config.HostID && s.Zone == h.Zone && s.Number == h.Number
		})
	})
	if err := n.wal.Prune(ctx, c.ResourceID, old); err != nil {
		return err
	}
	return n.dropOldBases(ctx, c)
}

// errNotLed says that it is not known which copies count.
var errNotLed = errors.New("no writer is followed by the log at the moment")

// countingCopies are those that the writer's log has. It knows better than what is
// stored, should that have been restored from before they were moved.
func (n *node) countingCopies(ctx context.Context, c aurora.DBCluster) ([]wal.CopyStatus, error) {
	o, ok := n.order(c.Status.Writer)
	if !ok {
		return nil, errNotLed
	}
	s, err := n.server(o)
	if err != nil {
		return nil, err
	}
	st, err := n.logAt(o.host).Status(ctx, o.log(s))
	if err == nil && !st.Shipping {
		err = errNotLed
	}
	return st.Copies, err
}

// superfluous are those copies of this host that do not count, and are not to.
func (n *node) superfluous(c aurora.DBCluster, held []wal.HeldCopy) []wal.HeldCopy {
	st := c.Status
	if len(st.LogZones) == 0 || c.DeleteRequested || st.LogMove != nil && st.LogMove.Again {
		return nil
	}
	in := func(zones, hosts []string, h wal.HeldCopy) bool {
		return h.Number < min(len(zones), len(hosts)) && zones[h.Number] == h.Zone && hosts[h.Number] == n.config.HostID
	}
	return slices.DeleteFunc(slices.Clone(held), func(h wal.HeldCopy) bool {
		return in(st.LogZones, st.LogHosts, h) || st.LogMove != nil && in(st.LogMove.Zones, st.LogMove.Hosts, h)
	})
}

// dropOldBases deletes base copies of a cluster that has a newer one elsewhere.
func (n *node) dropOldBases(ctx context.Context, c aurora.DBCluster) error {
	if slices.Contains(c.Status.LogHosts, n.config.HostID) || c.Volume.Base.Host == n.config.HostID {
		return nil
	}
	paths, err := filepath.Glob(n.config.Layout.Base("*", c.ResourceID))
	for _, path := range paths {
		zone := filepath.Base(filepath.Dir(filepath.Dir(path)))
		err = errors.Join(err, n.wal.DropBase(ctx, c.ResourceID, zone))
	}
	return err
}
