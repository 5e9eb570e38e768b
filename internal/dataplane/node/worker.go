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

const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
	// stableAfter is how long a server must have run for its end not to count as
	// one more failure.
	stableAfter = 10 * time.Second
)

// errSuperseded ends work on an order that has been replaced.
var errSuperseded = errors.New("the task was replaced")

// worker makes one server what its task says. It is the only one that touches it.
type worker struct {
	*node
	id       string
	log      *slog.Logger
	reporter *reporter

	process  *postgres.Process // nil while none is known to run
	started  time.Time         // when the process was started or adopted
	tidy     bool              // what the server in its place had before is gone, or going
	adopted  bool              // the process may not have read its newest configuration
	failures int               // in a row
	refused  string            // parameters that the server does not run with, and why
	seen     aurora.ServerReport

	leads          int64 // the term that the running server is the writer of; 0: none
	detached       bool  // the log may not follow it any more
	stray          bool  // the reader cannot follow the log
	watched        int64 // the term in which the running reader is watched
	fresh          bool  // the data directory is a copy that was never consistent yet
	alarms         chan alarm
	stopMonitoring func()
}

func (n *node) newWorker(item state.Item[aurora.DBInstance]) *worker {
	return &worker{
		node: n, id: item.Key, seen: item.Value.Server, alarms: make(chan alarm),
		log:      slog.With("instance", item.Key, "cluster", item.Value.Spec.ClusterResourceID),
		reporter: newReporter(state.DBInstances(n.config.Store), item.Key, item.Value.Server),
	}
}

// run works until the instance is gone or ctx ends, and leaves the server as it is.
func (w *worker) run(ctx context.Context) {
	reporting, stop := context.WithCancel(ctx)
	reported := make(chan struct{})
	go func() { defer close(reported); w.reporter.run(reporting) }()
	defer func() {
		w.stopMonitor()
		stop()
		<-reported
		if w.process != nil {
			w.process.Release()
		}
	}()
	var last order
	for ctx.Err() == nil {
		changed := w.changed()
		o, ok := w.order(w.id)
		if !ok {
			return
		}
		if o != last {
			w.failures, last = 0, o
		}
		err := w.work(ctx, o)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errSuperseded) {
			continue
		}
		if o.host != w.config.HostID {
			if err == nil && !w.hasLeft(o) {
				return
			}
			if err == nil { // it is kept until the instance serves where it is now
				select {
				case <-changed:
				case <-ctx.Done():
				}
				continue
			}
			w.log.Error("node: the rest of an instance that has moved is not removed", "error", err)
			_ = sleep(ctx, maxPause)
			continue
		}
		w.note(o, err)
		w.wait(ctx, o, err != nil)
	}
}

// work carries the order out, until another one supersedes it.
func (w *worker) work(ctx context.Context, o order) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		for ctx.Err() == nil {
			changed := w.changed()
			if now, ok := w.order(w.id); !ok || now.supersedes(o) {
				cancel(errSuperseded)
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}()
	err := w.carryOut(ctx, o)
	if err != nil && errors.Is(context.Cause(ctx), errSuperseded) {
		err = errSuperseded
	}
	cancel(nil)
	<-watching
	return err
}

func (w *worker) carryOut(ctx context.Context, o order) error {
	if o.host != w.config.HostID {
		return w.leave(ctx, o)
	}
	if o.task.Role == aurora.RoleNone {
		return nil
	}
	s, err := w.server(o)
	if err != nil {
		return err
	}
	if err := w.adopt(s); err != nil {
		return err
	}
	switch o.task.Role {
	case aurora.RoleRemoved:
		return w.remove(ctx, s, o)
	case aurora.RoleStopped:
		return w.stop(ctx, s, o)
	}
	return w.countFailedStart(o, w.serve(ctx, s, o))
}

// adopt takes over a server that runs already, and forgets one that has ended.
func (w *worker) adopt(s postgres.Server) error {
	if w.process != nil {
		select {
		case <-w.process.Exited():
			w.process = nil
		default:
			return nil
		}
	}
	p, err := s.Adopt()
	if errors.Is(err, postgres.ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	w.log.Info("node: adopted a running server", "pid", p.PID())
	w.process, w.started, w.adopted = p, time.Now(), true
	return nil
}

// note reports an error, or that there is none any more.
func (w *worker) note(o order, err error) {
	if err == nil {
		w.seen.Message = w.refused
		w.report()
		return
	}
	w.failures++
	w.metrics.failures.Inc()
	w.log.Error("node: task not done", "role", o.task.Role, "term", o.task.Term, "failures", w.failures, "error", err)
	w.seen.Message = err.Error()
	if w.process == nil {
		w.seen.Phase, w.seen.PID = aurora.PhaseFailed, 0
	}
	w.report()
}

// wait returns when there is something to do.
func (w *worker) wait(ctx context.Context, o order, failed bool) {
	var retry <-chan time.Time
	if failed {
		retry = time.After(w.pause())
	}
	var exited <-chan struct{}
	if w.process != nil {
		exited = w.process.Exited()
	}
	for {
		changed := w.changed()
		if now, ok := w.order(w.id); !ok || now != o {
			return
		}
		select {
		case <-changed:
			continue
		case <-exited:
			w.ended(ctx, o)
		case a := <-w.alarms:
			w.ranWell()
			w.heed(ctx, a)
			if !a.detached && !a.stray {
				continue
			}
		case <-retry:
		case <-ctx.Done():
		}
		return
	}
}

// ended notes that the server ended by itself, and holds back one that does so
// again and again.
func (w *worker) ended(ctx context.Context, o order) {
	w.log.Warn("node: the server ended", "pid", w.process.PID(), "after", time.Since(w.started).Round(time.Millisecond))
	w.metrics.ended.Inc()
	failure := w.process.Failure()
	w.process = nil
	if w.leads != 0 {
		w.giveUp(w.leads, "the server ended")
		return
	}
	stable := time.Since(w.started) >= stableAfter
	if stable {
		w.failures, w.seen.FailedStarts = 0, aurora.FailedStarts{}
	}
	_ = w.countFailedStart(o, failure) // it is told what it has just said
	w.seen.Phase, w.seen.PID = aurora.PhaseStarting, 0
	w.report()
	if stable {
		return
	}
	if w.failures++; w.failures > 1 {
		select {
		case <-time.After(w.pause()):
		case <-ctx.Done():
		}
	}
}

// pause grows with the failures in a row.
func (w *worker) pause() time.Duration {
	return min(firstPause<<min(w.failures, 10), maxPause)
}

// report hands what is seen to the reporter.
func (w *worker) report() { w.reporter.set(w.seen, true) }

// phase reports a phase with what is being done, for people. While a server is being
// made or started nothing is decided.
func (w *worker) phase(phase aurora.ServerPhase, message string) {
	w.seen.Phase, w.seen.Message = phase, message
	w.reporter.set(w.seen, phase != aurora.PhaseBuilding && phase != aurora.PhaseStarting)
}
