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

const (
	// reportPause is the pause after a report could not be stored.
	reportPause = 200 * time.Millisecond
	// reportPatience is how long a report that nobody acts on waits for the next
	// one. A server's takeover would otherwise wait for two writes in turn, each of
	// which can take long when etcd's disk is slow.
	reportPatience = 300 * time.Millisecond
)

// reporter stores the newest report, so that a server is looked after also while
// etcd is away.
type reporter struct {
	table state.Table[aurora.DBInstance]
	id    string
	fresh chan struct{}

	mu     sync.Mutex
	newest aurora.ServerReport
	urgent chan struct{} // closed when somebody waits for what is not stored yet
}

func newReporter(table state.Table[aurora.DBInstance], id string, stored aurora.ServerReport) *reporter {
	return &reporter{table: table, id: id, fresh: make(chan struct{}, 1), newest: stored, urgent: make(chan struct{})}
}

// set makes a report the newest. One that is not urgent may be left out for the next.
func (r *reporter) set(report aurora.ServerReport, urgent bool) {
	r.mu.Lock()
	r.newest = report
	if urgent && !isClosed(r.urgent) {
		close(r.urgent)
	}
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
		r.await(ctx)
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

// await waits until the newest report is urgent, or old.
func (r *reporter) await(ctx context.Context) {
	r.mu.Lock()
	urgent := r.urgent
	r.mu.Unlock()
	select {
	case <-urgent:
	case <-time.After(reportPatience):
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if isClosed(r.urgent) {
		r.urgent = make(chan struct{})
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
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
