package node

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

// reportPause is the pause after a report could not be stored.
const reportPause = 200 * time.Millisecond

// reporter stores the newest report, so that a server is looked after also while
// etcd is away.
type reporter struct {
	table state.Table[aurora.DBInstance]
	id    string
	fresh chan struct{}

	mu     sync.Mutex
	newest aurora.ServerReport
}

func newReporter(table state.Table[aurora.DBInstance], id string, stored aurora.ServerReport) *reporter {
	return &reporter{table: table, id: id, fresh: make(chan struct{}, 1), newest: stored}
}

func (r *reporter) set(report aurora.ServerReport) {
	r.mu.Lock()
	r.newest = report
	r.mu.Unlock()
	select {
	case r.fresh <- struct{}{}:
	default:
	}
}

func (r *reporter) get() aurora.ServerReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newest
}

// run stores reports until ctx ends.
func (r *reporter) run(ctx context.Context) {
	for {
		select {
		case <-r.fresh:
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil {
			err := r.store(ctx)
			if err == nil || errors.Is(err, state.ErrNotFound) {
				break
			}
			if ctx.Err() == nil {
				slog.Warn("node: report not stored", "instance", r.id, "error", err)
			}
			select {
			case <-time.After(reportPause):
			case <-ctx.Done():
			}
		}
	}
}

func (r *reporter) store(ctx context.Context) error {
	_, err := r.table.Update(ctx, r.id, func(in *aurora.DBInstance) error {
		report := r.get()
		if in.Server == report {
			return state.ErrUnchanged
		}
		in.Server = report
		return nil
	})
	return err
}
