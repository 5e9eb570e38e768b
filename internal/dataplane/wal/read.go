package wal

import (
	"errors"
	"slices"
	"time"
)

// readTerms reads from a copy that has these terms, or from another one that has
// them and the bytes: whoever has the same terms has the same bytes. A copy on
// another host is not asked while one here can answer.
func (l *Log) readTerms(first int, p []byte, at LSN, terms []TermBegin) error {
	right := func(s State) bool { return slices.Equal(s.Terms, terms) }
	var last error
	for _, n := range l.nearest(first) {
		err := l.readFrom(n, p, at, right)
		if errors.Is(err, errChanged) { // a step has made it the ballot's meanwhile
			err = l.readFrom(n, p, at, right)
		}
		if err == nil {
			return nil
		}
		if last == nil || n == first {
			last = err
		}
	}
	return last
}

// nearest is all copies in the order in which they are read: first comes first, but
// after those on this host if it is not there.
func (l *Log) nearest(first int) []int {
	order := make([]int, 0, len(l.near))
	for _, n := range l.near {
		if n != first && l.here(n) && !l.here(first) {
			order = append(order, n)
		}
	}
	order = append(order, first)
	for _, n := range l.near {
		if !slices.Contains(order, n) {
			order = append(order, n)
		}
	}
	return order
}

// readFrom reads from a copy whose state was right when that was done. One here of
// which it is known that it is not is left alone: its disk may hang.
func (l *Log) readFrom(n int, p []byte, at LSN, right func(State) bool) error {
	if s, err := l.copies[n].State(); err == nil && l.here(n) && !right(s) {
		return ErrStale
	}
	s, err := l.copies[n].ReadAt(p, at)
	if err == nil && !right(s) {
		err = ErrStale
	}
	return err
}

// Read fills p with committed bytes, from any copy that has them: one that the
// term has not reached may have others in their place.
func (l *Log) Read(p []byte, at LSN) error {
	for began := time.Now(); ; time.Sleep(readAgain) {
		err := l.readCommitted(p, at)
		if !errors.Is(err, errSlow) || time.Since(began) > readPatience {
			return err
		}
	}
}

// readCommitted tries every copy once. Its error is errSlow if one could have had
// the bytes whose disk hangs.
func (l *Log) readCommitted(p []byte, at LSN) error {
	l.mu.Lock()
	b, begun := l.ballot, l.begun
	l.mu.Unlock()
	last := errBlank
	for _, n := range l.near {
		err := l.readFrom(n, p, at, func(s State) bool { return s.Owner == b && s.Begun == begun })
		if err == nil {
			return nil
		}
		if !errors.Is(last, errSlow) {
			last = err
		}
	}
	return last
}

// Start is the first byte that every copy has.
func (l *Log) Start() LSN {
	var start LSN
	for _, c := range l.copies {
		if s, err := c.State(); err == nil {
			start = max(start, s.Start)
		}
	}
	return start
}
