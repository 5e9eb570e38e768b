package wal

import (
	"errors"
	"fmt"
)

// State is what one copy of a log knows. It changes by whole, durable steps.
type State struct {
	// Promised is the highest term that the copy has heard of: it obeys no lower one.
	Promised int64 `json:"promised"`
	// Terms are the terms that the copy's WAL was written in, oldest first; each
	// holds from Begin on. The last one decides which of two copies is newer.
	Terms []TermBegin `json:"terms,omitempty"`
	// Begun says that the writer of the last term has its timeline and may append;
	// before, the copy has only been brought to where that term begins.
	Begun bool `json:"begun,omitempty"`
	// Rebuilding says that the copy lost what it had and knew, and has not yet
	// everything that it may have acknowledged: it must not vote.
	Rebuilding bool `json:"rebuilding,omitempty"`
	// History of the copy's WAL; empty in a log that nothing was written to.
	History History `json:"history,omitempty"`
	Start   LSN     `json:"start"` // the first byte that is here
	End     LSN     `json:"end"`   // the first byte that is not
	// Committed is a position that was known to be committed; the true one may be higher.
	Committed LSN `json:"committed"`
}

// TermBegin says where the WAL of a term begins.
type TermBegin struct {
	Term  int64 `json:"term"`
	Begin LSN   `json:"begin"`
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

// Term is the last term that wrote the copy.
func (s *State) Term() int64 {
	if len(s.Terms) == 0 {
		return 0
	}
	return s.Terms[len(s.Terms)-1].Term
}

// newer says whether s decides, rather than t, what the log's end is.
func (s *State) newer(t *State) bool {
	switch {
	case s.Term() != t.Term():
		return s.Term() > t.Term()
	case s.Begun != t.Begun:
		return s.Begun
	}
	return s.End > t.End
}

// agrees returns up to where the WAL of s is also that of the newer t.
func (s *State) agrees(t *State) LSN {
	for _, next := range t.Terms {
		if next.Term > s.Term() {
			return min(s.End, next.Begin)
		}
	}
	return min(s.End, t.End)
}

// promise refuses every lower term from now on.
func (s *State) promise(term int64) error {
	if s.Promised > term {
		return fmt.Errorf("term %d was promised: %w", s.Promised, ErrStale)
	}
	s.Promised = term
	return nil
}

// truncate takes away what the newer copy does not have.
func (s *State) truncate(term int64, newer State) error {
	if s.Promised != term {
		return ErrStale
	}
	end := s.agrees(&newer)
	if end < s.Committed {
		return fmt.Errorf("committed WAL up to %s would be cut at %s", s.Committed, end)
	}
	s.End, s.History = end, newer.History
	if end < newer.Start || end <= s.Start {
		s.Start, s.End = newer.Start, newer.Start
	}
	return nil
}

// fill says whether bytes of a newer copy may be added.
func (s *State) fill(term int64, at LSN) error {
	if s.Promised != term {
		return ErrStale
	}
	if s.End != at {
		return errGap
	}
	return nil
}

// adopt ends the filling from a newer copy: this one is as that up to end, and
// term owns it.
func (s *State) adopt(term int64, newer State, end LSN) error {
	switch {
	case s.Promised != term:
		return ErrStale
	case s.Term() == term && s.Begun:
		return fmt.Errorf("term %d has begun", term)
	case s.End != end:
		return errGap
	}
	s.History, s.Begun = newer.History, false
	s.Terms = append(before(newer.Terms, term), TermBegin{term, end})
	return nil
}

// maxTerms bounds the list of terms; in older ones all copies agree.
const maxTerms = 100

// before returns the terms before a term.
func before(terms []TermBegin, term int64) []TermBegin {
	var cut []TermBegin
	for _, t := range terms {
		if t.Term < term {
			cut = append(cut, t)
		}
	}
	return cut[max(0, len(cut)-maxTerms):]
}

// begin opens the copy for the term's writer, whose WAL follows h and goes on at
// from: on the same timeline where the term began, on a new one where that
// forked off, which may be within the last, incomplete record.
func (s *State) begin(term int64, h History, from LSN) error {
	switch {
	case s.Promised != term || s.Term() != term:
		return ErrStale
	case s.Begun && s.History.newest() == h.newest():
		return nil
	case s.Begun:
		return fmt.Errorf("term %d began on timeline %d, not on %d", term, s.History.newest(), h.newest())
	case len(s.History) == 0:
		s.Start, s.End = from, from
	case from > s.End:
		return errGap
	case from != s.End && h.newest() == s.History.newest():
		return fmt.Errorf("WAL up to %s would be cut at %s", s.End, from)
	}
	s.End, s.Begun, s.History = from, true, h
	s.Committed = min(s.Committed, from)
	s.Terms = append(before(s.Terms, term), TermBegin{term, from})
	return nil
}

// extend says whether the writer of a term may append.
func (s *State) extend(term int64, at LSN) error {
	switch {
	case s.Promised > term:
		return fmt.Errorf("term %d was promised: %w", s.Promised, ErrStale)
	case s.Promised != term || s.Term() != term || !s.Begun || s.End != at:
		return errGap
	}
	return nil
}

// rebuilt ends the rebuilding: the copy has all that newer had.
func (s *State) rebuilt(newer State) error {
	if !s.Rebuilding {
		return nil
	}
	if s.End != newer.End {
		return errGap
	}
	promised := max(s.Promised, newer.Promised)
	*s = newer
	s.Promised, s.Rebuilding = promised, false
	return nil
}
