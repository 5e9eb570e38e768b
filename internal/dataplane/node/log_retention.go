package node

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/aurora/parameter"
)

// logSweep is how often old log files are looked for.
const logSweep = 10 * time.Minute

// removeLogs deletes the servers' log files that are older than the parameter
// rds.log_retention_period wants.
func (n *node) removeLogs(ctx context.Context) {
	for sleep(ctx, logSweep) == nil {
		for _, item := range n.instances.All() {
			if item.Value.Status.Host != n.config.HostID {
				continue
			}
			if err := n.removeLogsOf(item.Value, time.Now()); err != nil {
				slog.Warn("node: old log files not removed", "instance", item.Key, "error", err)
			}
		}
	}
}

func (n *node) removeLogsOf(in aurora.DBInstance, now time.Time) error {
	o, ok := n.order(in.ResourceID)
	if !ok {
		return nil
	}
	s, err := n.server(o)
	if err != nil {
		return err
	}
	return s.RemoveLogs(now.Add(-logRetention(in.Spec.Parameters)))
}

// logRetention is how long log files are kept.
func logRetention(parameters map[string]string) time.Duration {
	p, _ := parameter.Find(parameter.LogRetentionPeriod)
	for _, value := range []string{parameters[p.Name], p.Default} {
		if minutes, err := strconv.Atoi(value); err == nil {
			return time.Duration(minutes) * time.Minute
		}
	}
	return 0
}
