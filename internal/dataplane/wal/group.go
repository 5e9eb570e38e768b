package wal

import (
	"errors"
)

// diskGroup is copies that share a journal.
type diskGroup []*Copy

// Append writes to all copies that end at at, with one sync. Those that repair has
// brought further meanwhile get what they do not have.
func (g diskGroup) Append(b Ballot, at LSN, data []byte) error {
	var errs error
	byEnd := map[LSN][]*Copy{} // who has the bytes before, and not those after
	var h History
	for _, c := range g {
		c.step.Lock()
		s, err := c.State()
		if err == nil && s.open(b) && s.End > at {
			if s.End >= at+LSN(len(data)) {
				c.step.Unlock()
				continue
			}
		} else if err == nil {
			err = s.extend(b, at)
		}
		if err != nil {
			c.step.Unlock()
			errs = errors.Join(errs, err)
			continue
		}
		byEnd[s.End], h = append(byEnd[s.End], c), s.History
	}
	for end, copies := range byEnd {
		errs = errors.Join(errs, errors.Join(appendTo(copies, h, end, data[end-at:])...))
		for _, c := range copies {
			c.hear()
			c.step.Unlock()
		}
	}
	return errs
}
