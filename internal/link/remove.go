package link

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

const (
	// movedInterval is how often it is looked whether copies have been moved.
	movedInterval = 500 * time.Millisecond
	// absentPatience is how long a removal waits for other hosts that give no sign of
	// life: one that is only busy gives the next one well before.
	absentPatience = 5 * time.Second
)

// errTooFew says that a log has no quorum on the hosts that are there.
var errTooFew = errors.New("which is no quorum: bring other hosts back first")

// Remove takes a host that is gone for good out of the installation: copies of logs
// that were on it are made on other hosts, and then its etcd member and its noun are
// deleted. It is refused while the host is there, while a DB instance or retained data
// is placed on it, and while the other hosts have too few copies to make more. tell
// is called with what it waits for. It can be repeated: what it has begun goes on.
func Remove(ctx context.Context, store *state.Store, own, id string, tell func(string)) error {
	if id == own {
		return errors.New("a host cannot remove itself: run this on another one")
	}
	err := checkRemoval(ctx, store, id)
	if errors.Is(err, errTooFew) {
		tell("waiting a moment for other hosts: " + err.Error())
	}
	for begun := time.Now(); errors.Is(err, errTooFew) && time.Since(begun) < absentPatience && pause(ctx, movedInterval); {
		err = checkRemoval(ctx, store, id)
	}
	if err != nil {
		return err
	}
	if err := moveLogs(ctx, store, id, tell); err != nil {
		return err
	}
	if err := removeMember(ctx, store, id); err != nil {
		return err
	}
	host, err := state.Hosts(store).Get(ctx, id)
	if err != nil {
		return err
	}
	if _, err = store.Commit(ctx, state.Hosts(store).DeleteOp(id, host.Revision)); err != nil {
		return err
	}
	return forget(ctx, store, id)
}

// checkRemoval says why a host cannot be removed.
func checkRemoval(ctx context.Context, store *state.Store, id string) error {
	if _, err := state.Hosts(store).Get(ctx, id); errors.Is(err, state.ErrNotFound) {
		return fmt.Errorf("there is no host %s", id)
	} else if err != nil {
		return err
	}
	if err := checkAway(ctx, store, id); err != nil {
		return err
	}
	used, err := usesOf(ctx, store, id)
	if err == nil && len(used) > 0 {
		err = fmt.Errorf("host %s is in use: %w", id, inUse(used))
	}
	return err
}

func checkAway(ctx context.Context, store *state.Store, id string) error {
	_, err := state.Presence(store).Get(ctx, id)
	switch {
	case err == nil:
		return fmt.Errorf("host %s is there: stop it first, with 'daybreak server stop' on it", id)
	case errors.Is(err, state.ErrNotFound):
		return nil
	}
	return err
}

// inUse is what of databases is placed on a host and cannot be moved.
type inUse []error

func (u inUse) Error() string {
	var texts []string
	for _, use := range u {
		texts = append(texts, use.Error())
	}
	return strings.Join(texts, ", ")
}

func (u inUse) Unwrap() []error { return u }

// usesOf finds them.
func usesOf(ctx context.Context, store *state.Store, id string) (inUse, error) {
	instances, _, err := state.DBInstances(store).List(ctx, "")
	if err != nil {
		return nil, err
	}
	clusters, _, err := state.DBClusters(store).List(ctx, "")
	if err != nil {
		return nil, err
	}
	var used inUse
	for _, item := range instances {
		if in := item.Value; in.Status.Host == id && !in.DeleteRequested {
			used = append(used, fmt.Errorf("DB instance %s (delete it, and create another one)", in.Spec.Identifier))
		}
	}
	present, err := presentHosts(ctx, store)
	if err != nil {
		return nil, err
	}
	for _, item := range clusters {
		c := item.Value
		if kept := c.Status.Retained; kept != nil && kept.Host == id && !c.DeleteRequested {
			used = append(used, fmt.Errorf("the data of DB cluster %s, which has no instance", c.Spec.Identifier))
		}
		if !hasCopies(c, id) {
			continue
		}
		if why := cannotMove(c, present); why != nil {
			used = append(used, fmt.Errorf("copies of the log of DB cluster %s (%w)", c.Spec.Identifier, why))
		}
	}
	return used, nil
}

func presentHosts(ctx context.Context, store *state.Store) (map[string]bool, error) {
	items, _, err := state.Presence(store).List(ctx, "")
	present := map[string]bool{}
	for _, item := range items {
		present[item.Key] = true
	}
	return present, err
}

// hasCopies says whether a host has copies of a cluster's log, or is to get some.
func hasCopies(c aurora.DBCluster, host string) bool {
	if c.DeleteRequested { // its log goes, and nobody waits for a host that is removed
		return false
	}
	m := c.Status.LogMove
	return slices.Contains(c.Status.LogHosts, host) || m != nil && slices.Contains(m.Hosts, host)
}

// cannotMove says why copies of a cluster's log cannot be made elsewhere; nil: they
// can, or will be when the writer runs again.
func cannotMove(c aurora.DBCluster, present map[string]bool) error {
	there := 0
	for _, host := range c.Status.LogHosts {
		if present[host] {
			there++
		}
	}
	switch n := len(c.Status.LogHosts); {
	case c.Status.Term == 0:
		return nil // there is no log yet
	case there <= n/2:
		return fmt.Errorf("only %d of %d are on hosts that are there, %w", there, n, errTooFew)
	case c.Spec.Stopped != nil:
		return errors.New("only a writer's log can make others, and the cluster is stopped: start it")
	case c.Status.Writer == "":
		return errors.New("only a writer's log can make others, and the cluster has no instance: create one")
	}
	return nil
}

// moveLogs marks the host as one that leaves, so that controllers have copies of logs
// made elsewhere, and waits until none is placed on it.
func moveLogs(ctx context.Context, store *state.Store, id string, tell func(string)) error {
	_, err := state.Hosts(store).Update(ctx, id, func(h *aurora.Host) error {
		if h.Leaving {
			return state.ErrUnchanged
		}
		h.Leaving = true
		return nil
	})
	if err != nil {
		return err
	}
	for told := ""; ; {
		waits, err := waitsFor(ctx, store, id)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("host %s is not removed yet, its copies are still being made elsewhere: run this again to wait on (%s)", id, told)
		case err != nil:
			return err
		case len(waits) == 0:
			return nil
		}
		if err := checkAway(ctx, store, id); err != nil {
			return err
		}
		if now := strings.Join(waits, "; "); now != told {
			tell("waiting for " + now)
			told = now
		}
		select {
		case <-time.After(movedInterval):
		case <-ctx.Done():
		}
	}
}

// waitsFor says of which logs copies are placed on a host, and why still.
func waitsFor(ctx context.Context, store *state.Store, id string) ([]string, error) {
	clusters, _, err := state.DBClusters(store).List(ctx, "")
	if err != nil {
		return nil, err
	}
	var waits []string
	for _, item := range clusters {
		c := item.Value
		if !hasCopies(c, id) {
			continue
		}
		text := "copies of the log of DB cluster " + c.Spec.Identifier + " to be made elsewhere"
		switch {
		case c.Volume.LogMove.Problem != "":
			text += ": " + c.Volume.LogMove.Problem
		case c.Status.LogMove == nil:
			text += ": its writer must run"
		}
		waits = append(waits, text)
	}
	return waits, nil
}

func removeMember(ctx context.Context, store *state.Store, id string) error {
	members, err := store.Members(ctx)
	if err != nil {
		return err
	}
	for _, m := range members {
		if m.Name == id {
			if err := store.RemoveMember(ctx, m.ID); err != nil {
				return fmt.Errorf("remove the etcd member of host %s: %w", id, err)
			}
		}
	}
	return nil
}

// forget deletes what a removed host has said of writers on others, and of its own
// instances, which are being deleted.
func forget(ctx context.Context, store *state.Store, id string) error {
	instances, _, err := state.DBInstances(store).List(ctx, "")
	if err != nil {
		return err
	}
	for _, item := range instances {
		if item.Value.Status.Host == id {
			err = errors.Join(err, state.Sights(store).Delete(ctx, item.Key))
		}
	}
	silences, _, listErr := state.Silences(store).List(ctx, id+"/")
	err = errors.Join(err, listErr)
	for _, item := range silences {
		err = errors.Join(err, state.Silences(store).Delete(ctx, item.Key))
	}
	return err
}
