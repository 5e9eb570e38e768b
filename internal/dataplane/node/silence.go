package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

const (
	// listenInterval is how often it is looked whether writers of other hosts are
	// heard.
	listenInterval = time.Second
	// silenceLimit is how long nothing may come from one, which writes every
	// beatInterval.
	silenceLimit = 3 * time.Second
)

// tellSilences tells controllers of clusters whose writers are on other hosts and
// of whom the copies of the log here get nothing.
func (n *node) tellSilences(ctx context.Context) {
	told := map[string]bool{}
	stored, _, err := state.Silences(n.config.Store).List(ctx, n.config.HostID+"/")
	if err == nil {
		for _, item := range stored {
			told[item.Value.Cluster] = true
		}
	}
	for sleep(ctx, listenInterval) == nil {
		if err := n.listenOnce(ctx, told); err != nil && ctx.Err() == nil {
			slog.Debug("node: silences not told", "error", err)
		}
	}
}

func (n *node) listenOnce(ctx context.Context, told map[string]bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*listenInterval)
	defer cancel()
	heard, err := n.wal.Heard(ctx)
	if err != nil {
		return err
	}
	table := state.Silences(n.config.Store)
	silent := map[string]bool{}
	for _, item := range n.clusters.All() {
		if ago, ok := heard[item.Key]; ok && ago >= silenceLimit && n.expectsWriter(item.Value) {
			silent[item.Key] = true
		}
	}
	for cluster := range silent {
		if told[cluster] {
			continue
		}
		silence := aurora.Silence{Host: n.config.HostID, Cluster: cluster, Since: time.Now().Add(-silenceLimit)}
		if _, err := table.Create(ctx, n.config.HostID+"/"+cluster, silence); err != nil && !errors.Is(err, state.ErrExists) {
			return err
		}
		slog.Warn("node: nothing comes from the writer of a cluster", "cluster", cluster)
		told[cluster] = true
	}
	for cluster := range told {
		if silent[cluster] {
			continue
		}
		if err := table.Delete(ctx, n.config.HostID+"/"+cluster); err != nil {
			return err
		}
		delete(told, cluster)
	}
	return nil
}

// expectsWriter says whether a writer on another host sends to copies here.
func (n *node) expectsWriter(c aurora.DBCluster) bool {
	writer, ok := n.instances.Get(c.Status.Writer)
	return ok && !c.DeleteRequested && c.Status.Handover == nil && writer.Value.Status.Host != n.config.HostID &&
		writer.Value.Server.Phase == aurora.PhaseRunning && writer.Value.Server.Term == c.Status.Term &&
		slices.Contains(c.Status.LogHosts, n.config.HostID)
}
