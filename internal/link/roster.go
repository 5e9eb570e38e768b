package link

import (
	"context"
	"slices"

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
