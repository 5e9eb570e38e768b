package node

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
	"github.com/daybreakdb/daybreak/internal/state"
)

// logReportInterval is how often people are told how the logs are.
const logReportInterval = 3 * time.Second

// reportLogs reports how the logs are of clusters whose writers are here.
func (n *node) reportLogs(ctx context.Context) {
	for sleep(ctx, logReportInterval) == nil {
		for _, item := range n.clusters.All() {
			if err := n.reportLog(ctx, item.Value); err != nil && ctx.Err() == nil {
				slog.Debug("node: log not reported", "cluster", item.Key, "error", err)
			}
		}
	}
}

func (n *node) reportLog(ctx context.Context, c aurora.DBCluster) error {
	ctx, cancel := context.WithTimeout(ctx, logReportInterval)
	defer cancel()
	o, ok := n.order(c.Status.Writer)
	if !ok || c.DeleteRequested || o.logZones == "" {
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
	report := logReport(c.Status, st)
	if report == c.Volume.Log {
		return nil
	}
	_, err = state.DBClusters(n.config.Store).Update(ctx, c.ResourceID, func(c *aurora.DBCluster) error {
		c.Volume.Log = report
		return nil
	})
	return err
}

// logReport leaves out copies that are being made and do not count yet.
func logReport(of aurora.DBClusterStatus, st wal.Status) aurora.LogReport {
	report := aurora.LogReport{Disks: st.Disks}
	for _, c := range st.Copies {
		n := c.Number
		if n >= len(of.LogZones) || of.LogZones[n] != c.Zone || n < len(of.LogHosts) && of.LogHosts[n] != c.Host {
			continue
		}
		if c.Problem == "" {
			report.Whole++
		} else if report.Problem == "" {
			report.Problem = fmt.Sprintf("copy %d in %s: %s", n, c.Zone, c.Problem)
		}
	}
	return report
}
