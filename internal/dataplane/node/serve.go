package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
)

// lsnPoll is how often a reader that must reach a position is looked at.
const lsnPoll = 10 * time.Millisecond

// serve brings the server up in its role, with its settings, and keeps what runs
// already. Every step can be repeated.
func (w *worker) serve(ctx context.Context, s postgres.Server, o order) error {
	found, err := w.installation(ctx)
	if err != nil && w.process == nil {
		return err
	}
	s.Installation = found
	if o.logZones == "" {
		return errNoLog
	}
	if o.task.Role == aurora.RoleWriter {
		return w.lead(ctx, s, o)
	}
	return w.follow(ctx, s, o)
}

// orEnded forgets the process when it has ended, and says why it did if that is in its
// data.
func (w *worker) orEnded(err error) error {
	if w.process != nil {
		select {
		case <-w.process.Exited():
			if err != nil {
				err = errors.Join(err, w.process.Failure())
			}
			w.process = nil
		default:
		}
	}
	return err
}

// start starts the server from its data directory, which is filled before if the
// task says how.
func (w *worker) start(ctx context.Context, s postgres.Server, o order) error {
	if err := w.fill(ctx, s, o); err != nil {
		return err
	}
	if err := w.checkData(ctx, s, o); err != nil {
		return err
	}
	w.seen.PID, w.seen.StopLSN, w.seen.ReachedLSN = 0, 0, 0
	w.phase(aurora.PhaseStarting, "")
	if _, err := w.configure(ctx, s, o); err != nil {
		return err
	}
	if in, ok := w.instances.Get(w.id); ok { // or its functions fail until the next time that all are told
		if err := w.tell(w.id, in.Value); err != nil {
			w.log.Warn("node: topology not written", "error", err)
		}
	}
	dropped, err := s.DropHalfReceived()
	if err != nil {
		return err
	}
	if dropped {
		w.log.Warn("node: WAL of a new timeline that was received in part is dropped: it comes again")
	}
	s.Limits = w.limits(o)
	p, err := s.Start(ctx, map[string]string{
		// One syncfs before recovery in place of an fsync of each of a thousand files.
		"recovery_init_sync_method": "syncfs",
		// Nobody can undo these before the next start.
		"synchronous_standby_names": newStandbyName(),
		"restart_after_crash":       "off",
	})
	if err != nil {
		return err
	}
	w.log.Info("node: started the server", "pid", p.PID(), "role", o.task.Role, "term", o.task.Term)
	w.process, w.started, w.adopted, w.tidy = p, time.Now(), false, false
	w.seen.ObservedGeneration, w.seen.RestartGeneration, w.seen.Class = o.generation, o.restart, o.class
	return nil
}

// checkData refuses a data directory that is not what the task takes it for.
func (w *worker) checkData(ctx context.Context, s postgres.Server, o order) error {
	control, err := s.ControlData(ctx)
	if err != nil {
		return err
	}
	if o.systemIdentifier != "" && control.SystemIdentifier != o.systemIdentifier {
		return fmt.Errorf("the data directory %s belongs to another database (system identifier %s, want %s): it is left alone",
			s.Dir, control.SystemIdentifier, o.systemIdentifier)
	}
	standby, err := s.IsStandby()
	if err != nil {
		return err
	}
	if o.task.Role == aurora.RoleReader && !standby {
		return errors.New("the data directory was a writer's: it cannot follow another writer")
	}
	w.seen.SystemIdentifier = control.SystemIdentifier
	return nil
}

// configure writes the configuration. Parameters that PostgreSQL refuses are left
// out and reported, for a server must not be lost over one.
func (w *worker) configure(ctx context.Context, s postgres.Server, o order) (changed bool, err error) {
	config := w.settings(o)
	w.refused = ""
	for {
		changed, err = s.Configure(ctx, config)
		var refused *postgres.ParameterError
		if !errors.As(err, &refused) || len(config.Parameters) == 0 || ctx.Err() != nil {
			return changed, err
		}
		w.refused = "left out: " + refused.Error()
		w.log.Warn("node: parameter left out", "error", refused)
		if _, ok := config.Parameters[refused.Name]; ok {
			delete(config.Parameters, refused.Name)
		} else {
			clear(config.Parameters)
		}
	}
}

// takeSettings has the server run with the newest settings: at once those that
// need no restart; a new class or an ordered restart when it is the server's
// turn. Other settings wait for the next restart, as in Aurora (pending-reboot).
func (w *worker) takeSettings(ctx context.Context, s postgres.Server, o order) error {
	changed, err := w.configure(ctx, s, o)
	if err != nil {
		return err
	}
	if changed || w.adopted {
		if err := w.reload(ctx, s); err != nil {
			return err
		}
		w.adopted = false
	}
	turn := o.task.Generation > w.seen.ObservedGeneration
	if !turn {
		return nil
	}
	restart := o.restart != w.seen.RestartGeneration
	if !restart {
		st, err := s.Status(ctx)
		if err != nil {
			return err
		}
		restart = slices.Contains(st.PendingRestart, "shared_buffers")
	}
	if restart {
		return w.restart(ctx, s, o)
	}
	w.seen.ObservedGeneration, w.seen.Class = o.generation, o.class
	return nil
}

// reload has the server read its files, and waits until it has.
func (w *worker) reload(ctx context.Context, s postgres.Server) error {
	conn, err := s.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	loaded := func() (at time.Time, err error) {
		err = conn.QueryRow(ctx, `SELECT pg_catalog.pg_conf_load_time()`).Scan(&at)
		return at, err
	}
	before, err := loaded()
	if err != nil {
		return err
	}
	if err := w.process.Reload(); err != nil {
		return err
	}
	for {
		after, err := loaded()
		if err != nil {
			return err
		}
		if after.After(before) {
			return nil
		}
		if err := sleep(ctx, lsnPoll); err != nil {
			return err
		}
	}
}

// restart stops the server for new settings. A reader starts again at once, a
// writer in the next term.
func (w *worker) restart(ctx context.Context, s postgres.Server, o order) error {
	w.log.Info("node: restart for new settings", "generation", o.generation)
	w.stopMonitor()
	w.seen.Restarting = o.task.Role == aurora.RoleWriter // said before, or a reader takes over
	w.phase(aurora.PhaseStopping, "restart for new settings")
	if err := w.process.Stop(ctx, postgres.StopFast, w.config.StopGrace); err != nil {
		return err
	}
	w.process = nil
	if o.task.Role == aurora.RoleWriter {
		w.giveUp(o.task.Term, "restart for new settings")
		return nil
	}
	if err := w.start(ctx, s, o); err != nil {
		return err
	}
	return w.process.Ready(ctx)
}

// reportRole reports the running server in its role.
func (w *worker) reportRole(ctx context.Context, s postgres.Server, o order) error {
	st, err := s.Status(ctx)
	if err != nil {
		return err
	}
	var masterErr error
	if o.task.Role == aurora.RoleWriter && w.seen.MasterPasswordGeneration != o.passwordGeneration {
		if masterErr = s.ApplyMaster(ctx, o.master); masterErr == nil {
			w.seen.MasterPasswordGeneration = o.passwordGeneration
		}
	}
	if o.task.Role == aurora.RoleReader {
		w.seen.MasterPasswordGeneration = 0
	}
	w.seen.Role, w.seen.Term = o.task.Role, o.task.Term
	w.seen.ClusterGeneration = o.clusterGeneration
	w.seen.PID, w.seen.StartTime, w.seen.SocketDir = w.process.PID(), st.StartTime, s.SocketDir
	w.seen.Version, w.seen.SystemIdentifier = st.Version, st.SystemIdentifier
	w.seen.SharedBuffers, w.seen.MaxConnections = st.SharedBuffers, st.MaxConnections
	w.seen.PendingReboot, w.seen.PendingSettings = len(st.PendingRestart) > 0, strings.Join(st.PendingRestart, ",")
	w.seen.ParameterGeneration = o.parameterGen
	w.phase(aurora.PhaseRunning, w.refused)
	return masterErr
}

// reach reports when a reader has replayed what its task asks for.
func (w *worker) reach(ctx context.Context, s postgres.Server, o order) error {
	if o.task.ReachLSN == 0 || w.seen.ReachedLSN == o.task.ReachLSN {
		return nil
	}
	// The record that begins there is the last one: one byte more is all of it.
	if err := w.replayed(ctx, s, postgres.LSN(o.task.ReachLSN+1)); err != nil {
		return w.orEnded(err)
	}
	w.seen.ReachedLSN, w.seen.Stuck = o.task.ReachLSN, false
	w.report()
	return nil
}

// replayed waits until a standby has replayed all before lsn, and reports when it
// is stuck.
func (w *worker) replayed(ctx context.Context, s postgres.Server, lsn postgres.LSN) error {
	conn, err := s.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var progress progress
	for {
		st, err := postgres.QueryStatus(ctx, conn)
		if err != nil {
			return err
		}
		if !st.Standby || st.ReplayLSN >= lsn {
			return nil
		}
		if stuck := progress.stuck(time.Now(), st.ReplayLSN, lsn); stuck != w.seen.Stuck {
			w.seen.Stuck = stuck
			w.report()
		}
		if err := sleep(ctx, lsnPoll); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
