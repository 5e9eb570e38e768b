package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/state"
)

// remove ends the server and deletes all of it.
func (w *worker) remove(ctx context.Context, s postgres.Server, o order) error {
	if w.seen.Phase == aurora.PhaseRemoved {
		return nil
	}
	w.stopMonitor()
	w.leads, w.watched = 0, 0
	w.setStalled(false)
	w.phase(aurora.PhaseStopping, "")
	if grace := w.config.RemoveGrace; w.process != nil && grace > 0 {
		if err := w.process.Stop(ctx, postgres.StopSmart, grace); err != nil {
			return err
		}
	}
	if err := s.Remove(ctx); err != nil {
		return err
	}
	w.removeOld(o, "")
	w.process = nil
	w.removeEmptyParent(o.zone, o.cluster)
	w.log.Info("node: removed the server and its data")
	if w.config.Link != "" {
		if err := state.Sights(w.config.Store).Delete(ctx, w.id); err != nil {
			return err
		}
	}
	w.seen = aurora.ServerReport{Phase: aurora.PhaseRemoved, Role: o.task.Role, Term: o.task.Term}
	w.report()
	return nil
}

// stop shuts the server down cleanly and keeps its data.
func (w *worker) stop(ctx context.Context, s postgres.Server, o order) error {
	if o.task.Build == aurora.BuildAdopt {
		if err := w.fill(ctx, s, o); err != nil {
			return err
		}
	}
	if w.process != nil {
		w.quiesce(ctx, s)
		if err := w.process.Stop(ctx, postgres.StopFast, w.config.StopGrace); err != nil {
			return err
		}
		w.process = nil
		w.log.Info("node: stopped the server")
	}
	lsn, err := w.stopLSN(ctx, s)
	if err != nil {
		return err
	}
	w.seen.StopLSN = lsn
	w.seen.PID, w.seen.Role, w.seen.Term = 0, o.task.Role, o.task.Term
	w.phase(aurora.PhaseStopped, "")
	return nil
}

// quiesce makes the stop of a writer short: what can be written before is, and
// transactions that are open get a while to end. Endpoints begin no others from
// the report that the server is stopping.
func (w *worker) quiesce(ctx context.Context, s postgres.Server) {
	w.stopMonitor()
	w.watched = 0
	led := w.leads != 0
	w.leads = 0
	if led {
		w.checkpoint(ctx, s)
	}
	w.phase(aurora.PhaseStopping, "")
	if led {
		w.awaitTransactions(ctx, s)
	}
}

// checkpoint writes what the checkpoint at the stop would have to write.
func (w *worker) checkpoint(ctx context.Context, s postgres.Server) {
	const limit = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := s.Connect(ctx)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "CHECKPOINT"); err != nil {
		w.log.Warn("node: no checkpoint before the stop", "error", err)
	}
}

func (w *worker) awaitTransactions(ctx context.Context, s postgres.Server) {
	ctx, cancel := context.WithTimeout(ctx, aurora.HandoverGrace)
	defer cancel()
	conn, err := s.Connect(ctx)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for {
		n, err := postgres.OpenTransactions(ctx, conn)
		if n == 0 || err != nil || sleep(ctx, lsnPoll) != nil {
			return
		}
	}
}

// stopLSN is the shutdown checkpoint of a server that was cleanly stopped, else 0.
func (w *worker) stopLSN(ctx context.Context, s postgres.Server) (uint64, error) {
	found, err := w.installation(ctx)
	if err != nil {
		return 0, err
	}
	s.Installation = found
	control, err := s.ControlData(ctx)
	var damaged *postgres.StartError
	switch {
	case errors.Is(err, postgres.ErrNoData), errors.As(err, &damaged):
		return 0, nil
	case err != nil || control.State != postgres.StateShutDown:
		return 0, err
	}
	return uint64(control.CheckpointLSN), nil
}

func stopIfRunning(ctx context.Context, s postgres.Server, grace time.Duration) error {
	p, err := s.Adopt()
	if errors.Is(err, postgres.ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.Stop(ctx, postgres.StopFast, grace)
}

// dataOwner is the user id that the server below an instance's directory has to
// be run as: 0 for the one that we run as ourselves.
func dataOwner(dir string) int {
	info, err := os.Stat(filepath.Join(dir, "data"))
	if err != nil {
		return 0
	}
	if uid := int(info.Sys().(*syscall.Stat_t).Uid); uid != os.Geteuid() {
		return uid
	}
	return 0
}

func (n *node) reportVolume(ctx context.Context, cluster, removed string) error {
	_, err := state.DBClusters(n.config.Store).Update(ctx, cluster, func(c *aurora.DBCluster) error {
		if c.Volume.Removed == removed {
			return state.ErrUnchanged
		}
		c.Volume.Removed = removed
		return nil
	})
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	return err
}

// StopAll stops every server of the installation on this host cleanly, writers
// first so that readers get all they wrote. It needs no state store. No node may
// run meanwhile, or it starts them again, as the next one will.
func StopAll(ctx context.Context, l layout.Layout) error {
	dirs, err := fs.Glob(os.DirFS(l.Zones()), "*/*/*") // zone, cluster, instance
	if err != nil {
		return err
	}
	var writers, readers []postgres.Server
	for _, dir := range dirs {
		dir = filepath.Join(l.Zones(), dir)
		name := filepath.Base(dir)
		s := postgres.Server{Name: name, Dir: dir, SocketDir: l.InstanceSocketDir(name), UID: dataOwner(dir)}
		standby, err := s.IsStandby()
		if err != nil {
			return fmt.Errorf("stop the servers: %w", err)
		}
		if standby {
			readers = append(readers, s)
		} else {
			writers = append(writers, s)
		}
	}
	return errors.Join(stopThese(ctx, writers), stopThese(ctx, readers))
}

func stopThese(ctx context.Context, servers []postgres.Server) error {
	errs := make([]error, len(servers))
	var all sync.WaitGroup
	for i, s := range servers {
		all.Go(func() {
			if err := stopIfRunning(ctx, s, defaultStopGrace); err != nil {
				errs[i] = fmt.Errorf("stop %s: %w", s.Name, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
