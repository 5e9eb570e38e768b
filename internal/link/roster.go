package link

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Standing is a host as the installation sees it.
type Standing struct {
	aurora.Host
	Present bool // its link shows that it is there
	// Member says that its etcd is one of those that hold the state; Voter, that
	// its vote counts.
	Member, Voter bool
}

// Roster lists the hosts of the installation, in the order of ids. own is the
// host that asks: while it has no link it is the only one, and present.
func Roster(ctx context.Context, store *state.Store, own string) ([]Standing, error) {
	hosts, _, err := state.Hosts(store).List(ctx, "")
	if err != nil {
		return nil, err
	}
	present, _, err := state.Presence(store).List(ctx, "")
	if err != nil {
		return nil, err
	}
	members, err := store.Members(ctx)
	if err != nil {
		return nil, err
	}
	var all []Standing
	for _, item := range hosts {
		s := Standing{Host: item.Value}
		s.Present = slices.ContainsFunc(present, func(p state.Item[aurora.Presence]) bool { return p.Key == s.ID })
		for _, m := range members {
			if m.Name == s.ID {
				s.Member, s.Voter = true, !m.Learner
			}
		}
		if s.Link == "" && s.ID == own && len(members) == 1 {
			s.Present, s.Member, s.Voter = true, true, true
		}
		all = append(all, s)
	}
	return all, nil
}

// Remove takes a host that is gone for good out of the installation: its etcd
// member and its noun. It is refused while the host is there, and while anything
// of a database is placed on it. It can be repeated.
func Remove(ctx context.Context, store *state.Store, own, id string) error {
	if id == own {
		return errors.New("a host cannot remove itself: run this on another one")
	}
	hosts := state.Hosts(store)
	host, err := hosts.Get(ctx, id)
	if errors.Is(err, state.ErrNotFound) {
		return fmt.Errorf("there is no host %s", id)
	}
	if err != nil {
		return err
	}
	if _, err := state.Presence(store).Get(ctx, id); err == nil {
		return fmt.Errorf("host %s is there: stop it first, with 'daybreak server stop' on it", id)
	} else if !errors.Is(err, state.ErrNotFound) {
		return err
	}
	if used, err := usesOf(ctx, store, id); err != nil {
		return err
	} else if len(used) > 0 {
		return fmt.Errorf("host %s is in use: %s", id, strings.Join(used, ", "))
	}
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
	_, err = store.Commit(ctx, hosts.DeleteOp(id, host.Revision))
	return err
}

// usesOf says what of databases is placed on a host.
func usesOf(ctx context.Context, store *state.Store, id string) ([]string, error) {
	instances, _, err := state.DBInstances(store).List(ctx, "")
	if err != nil {
		return nil, err
	}
	clusters, _, err := state.DBClusters(store).List(ctx, "")
	if err != nil {
		return nil, err
	}
	var used []string
	for _, item := range instances {
		if in := item.Value; in.Status.Host == id {
			used = append(used, "DB instance "+in.Spec.Identifier)
		}
	}
	for _, item := range clusters {
		c := item.Value
		if slices.Contains(c.Status.LogHosts, id) {
			used = append(used, "copies of the log of DB cluster "+c.Spec.Identifier)
		}
		if kept := c.Status.Retained; kept != nil && kept.Host == id {
			used = append(used, "the data of DB cluster "+c.Spec.Identifier)
		}
	}
	return used, nil
}
