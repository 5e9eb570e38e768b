package node

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/state"
)

// shareSights tells the other hosts what was seen of this one's instances, and
// learns what they have seen of theirs, not more often than topologyInterval.
func (n *node) shareSights(ctx context.Context) {
	if time.Since(n.shared) < topologyInterval {
		return
	}
	n.shared = time.Now()
	ctx, cancel := context.WithTimeout(ctx, topologyInterval)
	defer cancel()
	table := state.Sights(n.config.Store)
	for _, item := range n.instances.All() {
		if item.Value.Status.Host != n.config.HostID {
			continue
		}
		n.mu.Lock()
		seen := n.sights[item.Key]
		n.mu.Unlock()
		if err := storeSight(ctx, table, item.Key, seen); err != nil {
			slog.Debug("node: sight not shared", "instance", item.Key, "error", err)
		}
	}
	others, _, err := table.List(ctx, "")
	if err != nil {
		return
	}
	for _, item := range others {
		if in, ok := n.instances.Get(item.Key); ok && in.Value.Status.Host != n.config.HostID {
			v := item.Value
			n.saw(item.Key, postgres.Sight{At: v.At, DurableLSN: postgres.LSN(v.DurableLSN),
				ReplayLSN: postgres.LSN(v.ReplayLSN), Lag: v.Lag, CPU: v.CPU})
		}
	}
}

func storeSight(ctx context.Context, table state.Table[aurora.Sight], id string, seen postgres.Sight) error {
	if seen.At.IsZero() {
		return nil
	}
	v := aurora.Sight{At: seen.At, DurableLSN: uint64(seen.DurableLSN), ReplayLSN: uint64(seen.ReplayLSN), Lag: seen.Lag, CPU: seen.CPU}
	_, err := table.Update(ctx, id, func(stored *aurora.Sight) error { *stored = v; return nil })
	if errors.Is(err, state.ErrNotFound) {
		_, err = table.Create(ctx, id, v)
	}
	return err
}
