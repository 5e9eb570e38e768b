package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
)

// lead makes the server the writer of its task's term and keeps it so:
//
//  1. the log is opened for the term, so that no earlier writer gets anything
//     acknowledged any more, and says what the new writer must have;
//  2. the server is started; a reader replays all that, and is promoted;
//  3. the log follows the server, whose WAL must be the log's;
//  4. a commit reaches the quorum. Only then clients are let in.
//
// Each step can be repeated. A server that ended in a term never comes back in
// the same: commits that nobody was told of would become visible.
func (w *worker) lead(ctx context.Context, s postgres.Server, o order) error {
	if w.seen.EndedTerm >= o.task.Term {
		return nil // the controller gives it another term
	}
	if w.leads != o.task.Term || w.process == nil || w.detached {
		if err := w.takeOver(ctx, s, o); err != nil || w.seen.EndedTerm >= o.task.Term {
			return err
		}
	}
	if err := w.takeSettings(ctx, s, o); err != nil || w.process == nil {
		return w.orEnded(err)
	}
	return w.orEnded(w.reportRole(ctx, s, o))
}

func (w *worker) takeOver(ctx context.Context, s postgres.Server, o order) error {
	w.stopMonitor()
	w.watched = 0
	if w.seen.Suspect != "" && w.process != nil && w.leads != o.task.Term {
		w.log.Warn("node: end the server that did not prove that it works", "reason", w.seen.Suspect)
		if err := w.process.Stop(ctx, postgres.StopKill, killGrace); err != nil {
			return err
		}
		w.process = nil
	}
	opened, err := w.wal.Open(ctx, o.log(s), o.task.Term, o.task.Build == aurora.BuildInitdb || o.task.Build == aurora.BuildRestore)
	if errors.Is(err, wal.ErrStale) {
		st, statusErr := w.wal.Status(ctx, o.log(s))
		if statusErr != nil {
			return errors.Join(err, statusErr)
		}
		w.giveUp(max(st.Promised, o.task.Term), "the log has seen a higher term")
		return nil
	}
	if err != nil {
		return err
	}
	if opened.Begun && w.process == nil {
		w.giveUp(o.task.Term, "the server ended")
		return nil
	}
	if w.process == nil {
		if err := w.setAside(ctx, s, o); err != nil {
			return err
		}
		if hopeless, err := w.unstartable(s, o); err != nil {
			return err
		} else if hopeless {
			w.loseData(o)
			return nil
		}
		if err := w.start(ctx, s, o); errors.Is(err, postgres.ErrNoData) {
			w.seen.Lost = true
			w.giveUp(o.task.Term, err.Error())
			return nil
		} else if err != nil {
			return err
		}
	}
	if err := w.process.Ready(ctx); err != nil {
		return w.orEnded(err)
	}
	st, err := w.answers(ctx, s, o)
	if err != nil {
		return w.orEnded(err)
	}
	if st.Standby {
		w.phase(aurora.PhaseStarting, "promotion to writer")
		if err := w.followOwnLog(ctx, s, o, st.ReplayLSN, opened.RecordEnd); err != nil {
			return w.orEnded(err)
		}
		if err := w.replayed(ctx, s, opened.RecordEnd); err != nil {
			return w.orEnded(err)
		}
		if err := s.Promote(ctx, o.task.Timeline); err != nil {
			return w.orEnded(err)
		}
		w.log.Info("node: promoted", "term", o.task.Term, "timeline", o.task.Timeline)
	}
	src := wal.Source{SocketDir: s.SocketDir, Password: s.ReplicationPassword, StandbyName: st.StandbyName}
	if err := w.wal.Attach(ctx, o.log(s), o.task.Term, src); errors.Is(err, wal.ErrDiverged) {
		w.log.Error("node: the server must not write", "error", err)
		if err := w.process.Stop(ctx, postgres.StopImmediate, killGrace); err != nil {
			return err
		}
		w.process, w.seen.Lost = nil, true
		w.giveUp(o.task.Term, err.Error())
		return nil
	} else if err != nil {
		return w.orEnded(err)
	}
	if err := w.passBarrier(ctx, s); err != nil {
		return w.orEnded(err)
	}
	if err := w.startedWell(s, o); err != nil {
		return err
	}
	w.seen.FailedStarts = aurora.FailedStarts{}
	w.leads, w.detached = o.task.Term, false
	w.seen.Suspect, w.seen.Lost, w.seen.Restarting = "", false, false
	w.takeHealth(health{})
	w.setStalled(false)
	w.startMonitor(ctx, s, o)
	return nil
}

// answerLimit is how long a server that is there may take to answer: as long as it
// may while it is watched.
const answerLimit = beatLimit

// answers asks the server for its status. A writer that the log has left is not
// watched until the log follows it again: if it does not answer, as when it is
// frozen, that is said here, or nobody would take over.
func (w *worker) answers(ctx context.Context, s postgres.Server, o order) (postgres.Status, error) {
	limited, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	st, err := s.Status(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil && w.leads == o.task.Term {
		w.log.Warn("node: writer suspected", "reason", err)
		w.seen.Suspect = err.Error()
	}
	return st, err
}

// followOwnLog has a reader that lacks something get it from the log of this host,
// which leads now, and not from that of the host of the writer before.
func (w *worker) followOwnLog(ctx context.Context, s postgres.Server, o order, has, needs wal.LSN) error {
	if has >= needs || w.config.Link == "" {
		return nil
	}
	if _, err := w.configure(ctx, s, o); err != nil {
		return err
	}
	return w.reload(ctx, s)
}

// killGrace is how long an immediate shutdown may take.
const killGrace = 2 * time.Second

// passBarrier has a commit reach the quorum: whatever was committed here before,
// and told nobody, is durable now or will never be seen.
func (w *worker) passBarrier(ctx context.Context, s postgres.Server) error {
	const limit = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := s.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return postgres.Barrier(ctx, conn)
}

// giveUp reports that the server serves no longer in a term.
func (w *worker) giveUp(term int64, why string) {
	w.stopMonitor()
	w.leads = 0
	w.seen.EndedTerm, w.seen.PID = max(w.seen.EndedTerm, term), 0
	w.log.Warn("node: the writer's term is over", "term", term, "reason", why)
	w.phase(aurora.PhaseStopped, why)
}

// newStandbyName is whom a server waits for from its start on: nobody else can
// know it.
func newStandbyName() string { return "daybreak_" + strings.ToLower(rand.Text()) }

// log names the cluster's log.
func (o order) log(s postgres.Server) wal.Cluster {
	var hosts []string
	if o.logHosts != "" {
		hosts = strings.Split(o.logHosts, ",")
	}
	return wal.Cluster{ID: o.cluster, Zones: strings.Split(o.logZones, ","), Hosts: hosts, SystemIdentifier: o.systemIdentifier, Password: s.ReplicationPassword}
}

// follow makes the server a reader of the log.
func (w *worker) follow(ctx context.Context, s postgres.Server, o order) error {
	if w.leads != 0 {
		w.stopMonitor()
		w.leads = 0
	}
	st, err := w.logAt(o.leader).Status(ctx, o.log(s)) // opens the feed
	if err != nil {
		return err
	}
	if w.process != nil {
		if standby, err := s.IsStandby(); err != nil {
			return err
		} else if !standby {
			// A writer that was replaced: it gets nothing acknowledged any more.
			w.log.Info("node: end the former writer", "term", o.task.Term)
			if err := w.process.Stop(ctx, postgres.StopKill, killGrace); err != nil {
				return err
			}
			w.process = nil
		}
	}
	rebuild := o.task.Rebuild > w.seen.Rebuilt
	if w.stray || rebuild {
		w.stopMonitor()
		w.phase(aurora.PhaseStopping, "its data is made anew")
		if w.process != nil {
			if err := w.process.Stop(ctx, postgres.StopImmediate, killGrace); err != nil {
				return err
			}
			w.process = nil
		}
		w.log.Error("node: the reader's data is thrown away", "strays", w.stray, "damaged", w.seen.Damaged)
		if err := s.Discard(); err != nil {
			return err
		}
		w.stray, w.seen.FailedStarts = false, aurora.FailedStarts{}
		if rebuild {
			w.seen.Rebuilt = o.task.Rebuild
		}
	}
	if w.process == nil {
		w.stopMonitor()
		w.watched = 0
		if hopeless, err := w.unstartable(s, o); err != nil {
			return err
		} else if hopeless {
			return errUnstartable
		}
		if err := w.rejoin(ctx, s, st); err != nil {
			return err
		}
		if err := w.start(ctx, s, o); err != nil {
			return err
		}
	}
	if err := w.ready(ctx, s); err != nil {
		return err
	}
	if err := w.takeSettings(ctx, s, o); err != nil || w.process == nil {
		return w.orEnded(err)
	}
	if err := s.DropSlots(ctx); err != nil {
		return w.orEnded(err)
	}
	w.seen.Suspect, w.seen.Lost, w.seen.Restarting = "", false, false
	w.setStalled(false)
	if err := w.reportRole(ctx, s, o); err != nil {
		return w.orEnded(err)
	}
	if err := w.startedWell(s, o); err != nil {
		return err
	}
	if w.watched != o.task.Term {
		w.watchReader(ctx, s, o)
		w.watched = o.task.Term
	}
	return w.reach(ctx, s, o)
}

// readyLimit is how long a reader may take until its data is consistent. A copy
// whose end lies beyond a failover's fork never is.
const readyLimit = 5 * time.Minute

func (w *worker) ready(ctx context.Context, s postgres.Server) error {
	limited, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	err := w.process.Ready(limited)
	if err == nil {
		w.fresh = false
		return nil
	}
	superseded := errors.Is(context.Cause(ctx), errSuperseded) && w.fresh
	if superseded || limited.Err() != nil && ctx.Err() == nil {
		w.log.Warn("node: throw away a copy that did not get consistent", "error", err)
		stopping := context.WithoutCancel(ctx)
		if stopErr := w.process.Stop(stopping, postgres.StopImmediate, killGrace); stopErr != nil {
			return errors.Join(err, stopErr)
		}
		w.process = nil
		return errors.Join(err, s.Discard())
	}
	return w.orEnded(err)
}

// rejoin sees to it that the data directory holds nothing but the log's WAL: what
// a former writer wrote beyond it was acknowledged to nobody.
func (w *worker) rejoin(ctx context.Context, s postgres.Server, log wal.Status) error {
	if ok, err := s.HasData(); !ok || err != nil {
		return err
	}
	control, err := s.ControlData(ctx)
	if err != nil {
		return err
	}
	standby, err := s.IsStandby()
	if err != nil {
		return err
	}
	at := max(control.CheckpointLSN, control.MinRecoveryLSN-min(1, control.MinRecoveryLSN))
	held := log.History.Holds(uint32(control.Timeline), at) && at < log.Committed
	switch {
	case standby && (held || len(log.History) == 0 || control.MinRecoveryLSN == 0):
		return nil
	case !standby && held && control.State == postgres.StateShutDown:
		return s.MakeStandby(ctx)
	}
	w.log.Warn("node: throw away data that the log does not have", "standby", standby, "state", control.State,
		"timeline", control.Timeline, "at", at.String(), "committed", log.Committed.String())
	return s.Discard()
}

var errNoLog = fmt.Errorf("the cluster has no log yet")
