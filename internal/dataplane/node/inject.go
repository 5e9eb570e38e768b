package node

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
)

const (
	// faultInterval is how often it is seen whether users have asked for faults.
	faultInterval = 250 * time.Millisecond
	// faultAge is how old a request may be: one that was left before a crash is not
	// made true after it.
	faultAge = 30 * time.Second
	// replayTurn is how long the replay of a reader is paused, or not.
	replayTurn = time.Second
)

// takeFaults makes the faults true that users of a server ask for by SQL, until
// ctx ends. A crash of the server is the worker's.
func (n *node) takeFaults(ctx context.Context, s postgres.Server, of wal.Cluster, alarms chan<- alarm) {
	for sleep(ctx, faultInterval) == nil {
		faults, err := s.TakeInjections()
		if err != nil {
			slog.Warn("node: faults not taken", "instance", s.Name, "error", err)
		}
		for _, f := range faults {
			if time.Since(f.At) > faultAge {
				continue
			}
			slog.Warn("node: a user asks for a fault", "instance", s.Name, "fault", f.Fault, "crash", f.Crash, "interval", f.Interval)
			n.inject(ctx, f, of, alarms)
		}
	}
}

func (n *node) inject(ctx context.Context, f postgres.Injection, of wal.Cluster, alarms chan<- alarm) {
	switch f.Fault {
	case postgres.FaultCrash:
		select {
		case alarms <- alarm{crash: f.Crash}:
		case <-ctx.Done():
		}
	case postgres.FaultReplicaFailure:
		for _, item := range n.instances.All() {
			in := item.Value
			if in.Spec.ClusterResourceID == of.ID && in.Status.Task.Role == aurora.RoleReader && (f.Replica == "" || f.Replica == in.Spec.Identifier) && n.runsHere(in) {
				n.failReplica(item.Key, f)
			}
		}
	case postgres.FaultDiskFailure, postgres.FaultDiskCongestion:
		// One copy of several does not answer: the others are enough.
		if err := n.wal.Inject(ctx, of, f.Index, f.Percentage, f.Interval); err != nil {
			slog.Warn("node: no fault of a disk", "cluster", of.ID, "error", err)
		}
	}
}

// failReplica keeps a reader from replaying for some share of a time.
func (n *node) failReplica(id string, f postgres.Injection) {
	o, ok := n.order(id)
	if !ok {
		return
	}
	s, err := n.server(o)
	if err != nil {
		return
	}
	n.running.Go(func() {
		ctx, cancel := context.WithTimeout(n.ctx, f.Interval)
		defer cancel()
		for ctx.Err() == nil {
			paused := rand.Float64()*100 < f.Percentage
			if err := setReplay(ctx, s, paused); err != nil && ctx.Err() == nil {
				slog.Warn("node: replay neither paused nor resumed", "instance", id, "error", err)
			}
			_ = sleep(ctx, replayTurn)
		}
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), replayTurn)
		defer cancel()
		if err := setReplay(ctx, s, false); err != nil {
			slog.Warn("node: replay not resumed", "instance", id, "error", err)
		}
	})
}

func setReplay(ctx context.Context, s postgres.Server, paused bool) error {
	conn, err := s.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	call := "SELECT pg_catalog.pg_wal_replay_resume() WHERE pg_catalog.pg_is_in_recovery()"
	if paused {
		call = "SELECT pg_catalog.pg_wal_replay_pause() WHERE pg_catalog.pg_is_in_recovery()"
	}
	_, err = conn.Exec(ctx, call, pgx.QueryExecModeSimpleProtocol)
	return err
}

// crash ends the server, or what ships its WAL, as a user asked.
func (w *worker) crash(ctx context.Context, what postgres.Crash) {
	if what != postgres.CrashInstance {
		if err := w.detach(ctx); err != nil {
			w.log.Warn("node: the log still follows", "error", err)
		}
	}
	if what == postgres.CrashDispatcher || w.process == nil {
		return
	}
	// Users who have the instance crash want to see it come back.
	w.seen.Restarting = true
	if err := w.process.Stop(ctx, postgres.StopKill, killGrace); err != nil && !errors.Is(err, postgres.ErrNotRunning) {
		w.log.Error("node: the server did not crash", "error", err)
	}
}

// detach ends the log's connection to the writer. It comes back.
func (w *worker) detach(ctx context.Context) error {
	o, ok := w.order(w.id)
	if !ok {
		return nil
	}
	s, err := w.server(o)
	if err != nil {
		return err
	}
	return w.wal.Detach(ctx, o.log(s))
}
