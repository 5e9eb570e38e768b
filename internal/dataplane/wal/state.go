package wal

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// State is what one copy of a log knows. It changes by whole, durable steps.
type State struct {
	// Promised is the highest ballot that the copy has heard of: it obeys no lower one.
	Promised Ballot `json:"promised"`
	// Owner is the ballot that has the copy. Of two copies the one with the higher
	// owner decides what the log holds.
	Owner Ballot `json:"owner"`
	// Begun says that the writer of the owner's term has its timeline and may append;
	// before, the copy has only been brought to where that term begins.
	Begun bool `json:"begun,omitempty"`
	// Terms are those whose writers wrote the copy's WAL, oldest first; each holds
	// from its Begin on. Two copies with the same terms have the same bytes.
	Terms []TermBegin `json:"terms,omitempty"`
	// Rebuilding says that the copy lost what it had and knew, and has not yet
	// everything that it may have acknowledged: it must not vote.
	Rebuilding bool `json:"rebuilding,omitempty"`
	// Members are the copies that count, as the owner knew; nil: as the Cluster says.
	Members *Members `json:"members,omitempty"`
	// History of the copy's WAL; empty in a log that nothing was written to.
	History History `json:"history,omitempty"`
	Start   LSN     `json:"start"` // the first byte that is here
	End     LSN     `json:"end"`   // the first byte that is not
	// Committed is a position that was known to be committed; the true one may be higher.
	Committed LSN `json:"committed"`
}

// Ballot is one attempt to own the log: the first or a later try of a term, whose
// owner the state store has named.
type Ballot struct {
	Term int64 `json:"term"`
	Try  int64 `json:"try"`
}

func (b Ballot) compare(c Ballot) int {
	return cmp.Or(cmp.Compare(b.Term, c.Term), cmp.Compare(b.Try, c.Try))
}

func (b Ballot) String() string { return fmt.Sprintf("%d.%d", b.Term, b.Try) }

// TermBegin says where the WAL of a term begins.
type TermBegin struct {
	Ballot
	Begin LSN `json:"begin"`
}

// Errors of copies.
var (
	// ErrStale says that a higher term has begun: the caller is no writer any more.
	ErrStale = errors.New("a higher term has begun")
	// errBlank says that a copy has lost what it knew, and its promises with it.
	errBlank      = errors.New("the copy is empty")
	errRebuilding = errors.New("the copy is being rebuilt")
	errGap        = errors.New("the WAL does not join on to the copy's end")
)

// rank compares what two copies were given to last.
func (s *State) rank(t *State) int {
	if c := s.Owner.compare(t.Owner); c != 0 || s.Begun == t.Begun {
		return c
	}
	if s.Begun {
		return 1
	}
	return -1
}

// newer says whether s decides, rather than t, what the log's end is.
func (s *State) newer(t *State) bool {
	c := s.rank(t)
	return c > 0 || c == 0 && s.End > t.End
}

// agrees returns up to where s and t have the same WAL. A term may begin before
// the one before it did, within an incomplete record.
func (s *State) agrees(t *State) LSN {
	a, b := s.Terms, t.Terms
	if len(a) > 0 && len(b) > 0 { // the oldest ones may have been dropped
		a, b = since(a, b[0]), since(b, a[0])
	}
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	end := min(s.End, t.End)
	for _, own := range [][]TermBegin{a, b} {
		for _, term := range own {
			end = min(end, term.Begin)
		}
	}
	return end
}

// since leaves out the terms before one, if there are as many as are ever kept.
func since(terms []TermBegin, first TermBegin) []TermBegin {
	for len(terms) == maxTerms && terms[0].compare(first.Ballot) < 0 {
		terms = terms[1:]
	}
	return terms
}

// promise refuses every lower ballot from now on.
func (s *State) promise(b Ballot) error {
	if s.Promised.compare(b) > 0 {
		return fmt.Errorf("term %s was promised: %w", s.Promised, ErrStale)
	}
	s.Promised = b
	return nil
}

// truncate takes away what the newer copy does not have. From then on this one
// has a part of that, and no more rank than it.
func (s *State) truncate(b Ballot, newer State) error {
	switch {
	case s.Promised != b:
		return ErrStale
	case s.Owner == b, s.Owner.Term == b.Term && s.Begun && slices.Equal(s.Terms, newer.Terms):
		return nil // the ballot's already, or of its writer
	}
	end := s.agrees(&newer)
	began := func(t TermBegin) bool { return t.Begin == end }
	if end < s.Committed && !slices.ContainsFunc(newer.Terms, began) {
		return fmt.Errorf("committed WAL up to %s would be cut at %s", s.Committed, end)
	}
	if s.rank(&newer) > 0 {
		s.Owner, s.Begun = newer.Owner, newer.Begun
	}
	s.End, s.Terms, s.History = end, newer.Terms, newer.History
	if end < newer.Start || end <= s.Start {
		s.Start, s.End = newer.Start, newer.Start
	}
	s.Committed = min(s.Committed, s.End)
	return nil
}

// fill says whether bytes of a copy with these terms may be added.
func (s *State) fill(b Ballot, terms []TermBegin, at LSN) error {
	if s.Promised != b {
		return ErrStale
	}
	if s.End != at || !slices.Equal(s.Terms, terms) {
		return errGap
	}
	return nil
}

// adopt ends the filling from a newer copy: this one is as that up to end, and
// the ballot owns it.
func (s *State) adopt(b Ballot, newer State, end LSN) error {
	switch {
	case s.Promised != b:
		return ErrStale
	case s.Begun && s.Owner.Term == b.Term:
		return fmt.Errorf("term %d has begun", b.Term)
	case s.End != end || !slices.Equal(s.Terms, newer.Terms):
		return errGap
	}
	s.History, s.Owner, s.Begun, s.Members = newer.History, b, false, newer.Members
	return nil
}

// maxTerms bounds the list of terms; in older ones all copies agree.
const maxTerms = 100

// begin opens the copy, which has these terms, for the writer of the next one. Its
// WAL follows h and goes on at from: on the same timeline where the term began, on
// a new one where that forked off, which may be within the last, incomplete record.
func (s *State) begin(b Ballot, terms []TermBegin, h History, from LSN) error {
	switch {
	case s.Promised != b || s.Owner != b:
		return ErrStale
	case s.Begun && s.History.newest() == h.newest():
		return nil
	case s.Begun:
		return fmt.Errorf("term %s began on timeline %d, not on %d", b, s.History.newest(), h.newest())
	case !slices.Equal(s.Terms, terms):
		return errGap
	case len(s.History) == 0:
		s.Start, s.End = from, from
	case from > s.End:
		return errGap
	case from != s.End && h.newest() == s.History.newest():
		return fmt.Errorf("WAL up to %s would be cut at %s", s.End, from)
	}
	s.End, s.Begun, s.History = from, true, h
	s.Committed = min(s.Committed, from)
	s.Terms = append(slices.Clone(s.Terms[max(0, len(s.Terms)-maxTerms+1):]), TermBegin{b, from})
	return nil
}

// join gives the copy to a ballot whose term has begun: it has all that newer had.
func (s *State) join(b Ballot, newer State) error {
	switch {
	case s.Promised != b:
		return ErrStale
	case s.End < newer.End || !slices.Equal(s.Terms, newer.Terms):
		return errGap
	}
	s.History, s.Owner, s.Begun, s.Members = newer.History, b, true, newer.Members
	return nil
}

// extend says whether the writer of a term may append.
func (s *State) extend(b Ballot, at LSN) error {
	switch {
	case s.Promised.compare(b) > 0:
		return fmt.Errorf("term %s was promised: %w", s.Promised, ErrStale)
	case !s.open(b) || s.End != at:
		return errGap
	}
	return nil
}

// open says whether the copy takes what the writer of the ballot's term appends.
func (s *State) open(b Ballot) bool { return s.Promised == b && s.Owner == b && s.Begun }

// toRebuild is what a copy of s begins with that lost everything.
func (s State) toRebuild() State {
	s.Rebuilding, s.Begun, s.End, s.Committed = true, false, s.Start, s.Start
	return s
}

// rebuilt ends the rebuilding: the copy has all that newer had.
func (s *State) rebuilt(newer State) error {
	switch {
	case !s.Rebuilding:
		return nil
	case s.End != newer.End || !slices.Equal(s.Terms, newer.Terms):
		return errGap
	case s.Promised.compare(newer.Promised) > 0:
		newer.Promised = s.Promised
	}
	newer.Start, newer.Rebuilding = s.Start, false
	*s = newer
	return nil
}
