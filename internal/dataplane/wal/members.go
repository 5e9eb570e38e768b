package wal

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Which copies count can change while the log is written, by a configuration that
// has both: from the moment that the leader has taken it, bytes are committed when
// a write quorum of those before and one of those after have them, and a term is
// opened when a read quorum of both has promised it. The configuration is part of
// the copies' State. The next one, with those after alone, is taken when a write
// quorum of both has it, so that whoever asks a read quorum of either learns of
// it: a log is opened with any list of copies that was the configuration once,
// and again with the one that is found (membersError).
//
// New copies are brought up, as ones that do not count, before all that.

// Place is where a copy is. On one host and in one zone, its number tells it from
// the log's other copies.
type Place struct {
	Host   string `json:"host,omitempty"`
	Zone   string `json:"zone"`
	Number int    `json:"number"`
}

// Members is a configuration. A State without one has that of its Cluster.
type Members struct {
	// Generation grows with every configuration that a leader proposes.
	Generation int64   `json:"generation"`
	Now        []Place `json:"now"`
	// Next has those that are to count alone; empty: no change is under way.
	Next []Place `json:"next,omitempty"`
}

func (m *Members) generation() int64 {
	if m == nil {
		return 0
	}
	return m.Generation
}

func (m *Members) equal(o *Members) bool {
	if m == nil || o == nil {
		return m == o
	}
	return m.Generation == o.Generation && slices.Equal(m.Now, o.Now) && slices.Equal(m.Next, o.Next)
}

// join adds those places to a list that it has not.
func join(list []Place, more []Place) []Place {
	list = slices.Clone(list)
	for _, p := range more {
		if !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	return list
}

// placesOn is a cluster's list; here is the host that is asked.
func (c Cluster) placesOn(here string) []Place {
	list := make([]Place, len(c.Zones))
	for n, zone := range c.Zones {
		list[n] = Place{Host: here, Zone: zone, Number: n}
		if n < len(c.Hosts) && c.Hosts[n] != "" {
			list[n].Host = c.Hosts[n]
		}
	}
	return list
}

// membersError says that the log has another configuration than it was opened with.
type membersError struct {
	cluster string
	found   *Members
}

func (e *membersError) Error() string {
	return fmt.Sprintf("the log of %s has other copies now: generation %d", e.cluster, e.found.generation())
}

// setMembers gives the copy a configuration that its leader proposes.
func (s *State) setMembers(b Ballot, m *Members) error {
	switch {
	case s.Promised.compare(b) > 0:
		return fmt.Errorf("term %s was promised: %w", s.Promised, ErrStale)
	case !s.open(b):
		return errGap
	case s.Members.generation() < m.Generation:
		s.Members = m
	case !s.Members.equal(m):
		return fmt.Errorf("the copy has generation %d of the copies", s.Members.generation())
	}
	return nil
}

// configure says where the copies are and which of them count.
func (l *Log) configure(m *Members, places []Place, counting ...[]Place) {
	l.members, l.places, l.proposed = m, places, m.generation()
	l.sets = l.setsOf(counting...)
}

// setsOf returns the numbers in copies of lists of places.
func (l *Log) setsOf(lists ...[]Place) [][]int {
	var sets [][]int
	for _, list := range lists {
		if len(list) == 0 {
			continue
		}
		set := make([]int, len(list))
		for i, p := range list {
			set[i] = slices.Index(l.places, p)
		}
		sets = append(sets, set)
	}
	return sets
}

// counting returns the sets of copies that each must have a quorum.
func (l *Log) counting() [][]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sets
}

// writable says whether copies are a write quorum of all that count, and readable
// whether they are a read quorum.
func (l *Log) writable(who []int) bool {
	return enough(l.counting(), who, func(copies int) int { write, _ := quorum(copies); return write })
}

func (l *Log) readable(who []int) bool {
	return enough(l.counting(), who, func(copies int) int { _, read := quorum(copies); return read })
}

func enough(sets [][]int, who []int, of func(copies int) int) bool {
	for _, set := range sets {
		have := 0
		for _, n := range set {
			if slices.Contains(who, n) {
				have++
			}
		}
		if have < of(len(set)) {
			return false
		}
	}
	return true
}

// countingPlaces is where the copies are that count, while no change is under way.
func (l *Log) countingPlaces() []Place {
	var list []Place
	for _, n := range l.counting()[0] {
		list = append(list, l.places[n])
	}
	return list
}

// everybody is never enough: all are waited for.
func everybody([]int) bool { return false }

// counts says whether a copy is of those that count.
func (l *Log) counts(n int) bool {
	return slices.ContainsFunc(l.counting(), func(set []int) bool { return slices.Contains(set, n) })
}

// found is the configuration that states of a read quorum tell: the newest one that
// the newest owner among them gave to any.
func (l *Log) found(states map[int]State) *Members {
	var of Ballot
	var newest *Members
	for n, s := range states {
		if !l.counts(n) {
			continue
		}
		if c := s.Owner.compare(of); c > 0 || c == 0 && s.Members.generation() > newest.generation() {
			of, newest = s.Owner, s.Members
		}
	}
	return newest
}

// checkMembers compares the configuration with what was found.
func (l *Log) checkMembers(states map[int]State) (*Members, error) {
	found := l.found(states)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !found.equal(l.members) {
		return nil, &membersError{l.cluster, found}
	}
	return found, nil
}

// configuration returns what counts; nil: what the Cluster says.
func (l *Log) configuration() *Members {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.members
}

// errNotWhole says that copies do not have what was committed without them.
var errNotWhole = errors.New("the new copies do not have everything yet")

// propose makes other copies count in the log that the ballot leads: with two lists
// both, at once.
func (l *Log) propose(ctx context.Context, b Ballot, now, next []Place) error {
	l.opening.Lock()
	defer l.opening.Unlock()
	_, err := l.both(ctx, b, now, next)
	return err
}

func (l *Log) both(ctx context.Context, b Ballot, now, next []Place) (*Members, error) {
	l.mu.Lock()
	under := l.members != nil && len(l.members.Next) > 0
	if l.ballot != b || !l.begun || under && !(slices.Equal(l.members.Now, now) && slices.Equal(l.members.Next, next)) {
		l.mu.Unlock()
		return nil, ErrStale
	}
	l.proposed++
	m := &Members{Generation: l.proposed, Now: now, Next: next}
	l.members, l.sets = m, l.setsOf(now, next)
	l.mu.Unlock()
	return m, l.announceMembers(ctx, b, m)
}

// settle makes one of the lists that count, only, the only one. It must have what
// was committed before it counted; since then nothing is committed that it has not.
// And whoever opens the log with the other list must learn that both count before
// anybody can learn that one does: so that is made durable again first, as a
// generation of its own, since an attempt before may have left a newer one.
func (l *Log) settle(ctx context.Context, b Ballot, only []Place) error {
	l.opening.Lock()
	defer l.opening.Unlock()
	m := l.configuration()
	if m == nil || len(m.Next) == 0 || !slices.Equal(m.Now, only) && !slices.Equal(m.Next, only) {
		return fmt.Errorf("no change of the copies of the log of %s is under way", l.cluster)
	}
	if _, err := l.both(ctx, b, m.Now, m.Next); err != nil {
		return err
	}
	ends, _ := l.ends(b)
	l.mu.Lock()
	if l.ballot != b || !l.begun {
		l.mu.Unlock()
		return ErrStale
	}
	if durable(ends, l.setsOf(only)) < l.gate.LSN {
		l.mu.Unlock()
		return errNotWhole
	}
	l.proposed++
	m = &Members{Generation: l.proposed, Now: only}
	l.mu.Unlock()
	if err := l.announceMembers(ctx, b, m); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.members, l.sets = m, l.setsOf(only)
	return nil
}

// announceMembers makes a configuration durable, with a write quorum of all that
// count now.
func (l *Log) announceMembers(ctx context.Context, b Ballot, m *Members) error {
	done, errs := l.each(ctx, l.writable, l.everyone(), func(n int) error { return l.copies[n].SetMembers(b, m) })
	if !l.writable(done) {
		return l.noQuorum("other copies in term", b.Term, done, errs)
	}
	l.log.Info("wal: other copies count", "generation", m.Generation, "now", len(m.Now), "next", len(m.Next))
	return nil
}
