package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
)

// errUnstartable is a reader that waits until its data is made anew.
var errUnstartable = errors.New("PostgreSQL cannot be started from its data directory, which is not tried again: it is to be made anew")

// startedWith is a digest of what may decide whether a server starts, beside its data.
// A user who has the instance rebooted has it tried again.
func (w *worker) startedWith(o order) string {
	w.mu.Lock()
	version := w.install.Version
	w.mu.Unlock()
	sum := sha256.Sum256(fmt.Append(nil, version, o.class, o.scaling, o.parameters, o.restart))
	return hex.EncodeToString(sum[:8])
}

// countFailedStart takes into the report that the server could not be started for what
// is in its data directory. A writer is given up when that has happened too often.
func (w *worker) countFailedStart(o order, err error) error {
	var failed *postgres.StartError
	if w.process != nil || o.systemIdentifier == "" || !errors.As(err, &failed) || failed.Reason == "" {
		return err
	}
	with, count := w.startedWith(o), 1
	if before := w.seen.FailedStarts; before.With == with {
		count += before.Count
	}
	w.seen.FailedStarts = aurora.FailedStarts{Count: count, With: with, Reason: failed.Reason, Log: failed.Log}
	// The order was carried out, for better or worse.
	w.seen.ObservedGeneration, w.seen.RestartGeneration, w.seen.Class = o.generation, o.restart, o.class
	if count < aurora.MaxFailedStarts {
		return err
	}
	w.log.Error("node: the server cannot be started from its data", "tried", count, "reason", failed.Reason, "log", failed.Log)
	if o.task.Role != aurora.RoleWriter {
		return err
	}
	w.loseData(o)
	return nil
}

// loseData gives a writer up that cannot be started from its data.
func (w *worker) loseData(o order) {
	w.seen.Lost = true
	w.giveUp(o.task.Term, "it cannot be started: "+w.seen.FailedStarts.Reason)
}

// unstartable says whether there is no sense in starting the server from its data.
func (w *worker) unstartable(s postgres.Server, o order) (bool, error) {
	if f := w.seen.FailedStarts; !f.TooMany() || f.With != w.startedWith(o) {
		return false, nil
	}
	return s.HasData()
}

// setAside makes room for data from the base copy and the log. What cannot be started
// is kept until they have made a server that serves.
func (w *worker) setAside(ctx context.Context, s postgres.Server, o order) error {
	has, err := s.HasData()
	if err != nil || o.task.Build != aurora.BuildLog || has && !w.seen.Lost && !w.seen.FailedStarts.TooMany() {
		return err
	}
	if err := s.SetAside(ctx); err != nil {
		return fmt.Errorf("set the data directory aside: %w", err)
	}
	if has {
		w.log.Warn("node: the data directory is set aside", "dir", s.Dir, "reason", w.seen.FailedStarts.Reason)
	}
	w.seen.Lost, w.seen.FailedStarts = false, aurora.FailedStarts{}
	w.report()
	return nil
}

// startedWell notes that the server serves in its role. What was kept until then goes:
// data set aside, and what the instance had in another zone of this host.
func (w *worker) startedWell(s postgres.Server, o order) error {
	if w.tidy {
		return nil
	}
	rest, err := s.ForgetAside()
	if err != nil {
		return fmt.Errorf("forget the data that was set aside: %w", err)
	}
	w.tidy = true
	w.removeOld(o, rest)
	return nil
}

// removeOld deletes in the background what the instance has in other zones of this
// host, and one more directory: another zone's disk may hang, and nobody is to wait for
// it. What is left when the node ends is found again by the next one.
func (w *worker) removeOld(o order, more string) {
	go func() {
		old := w.elsewhere(o)
		if more != "" {
			old = append(old, more)
		}
		for _, dir := range old {
			w.log.Info("node: remove data that is not needed any more", "dir", dir)
			if err := os.RemoveAll(dir); err != nil {
				w.log.Warn("node: data that is not needed any more is left", "dir", dir, "error", err)
			}
		}
	}()
}

// ranWell forgets failed starts once a server has run for a while.
func (w *worker) ranWell() {
	if w.seen.FailedStarts.Count > 0 && w.process != nil && time.Since(w.started) >= stableAfter {
		w.seen.FailedStarts = aurora.FailedStarts{}
		w.report()
	}
}
