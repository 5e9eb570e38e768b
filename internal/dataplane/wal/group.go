package wal

import (
	"errors"
)

// diskGroup is copies that share a journal.
type diskGroup []*Copy

// Append writes to all copies that end at at, with one sync.
func (g diskGroup) Append(b Ballot, at LSN, data []byte) error {
	var errs error
	var copies []*Copy
	var h History
	for _, c := range g {
		c.step.Lock()
		s, err := c.State()
		if err == nil {
			if s.End >= at+LSN(len(data)) && s.open(b) {
				c.step.Unlock()
				continue // repair was faster
			}
			err = s.extend(b, at)
		}
		if err != nil {
			c.step.Unlock()
			errs = errors.Join(errs, err)
			continue
		}
		copies, h = append(copies, c), s.History
	}
	if len(copies) > 0 {
		errs = errors.Join(errs, errors.Join(appendTo(copies, h, at, data)...))
	}
	for _, c := range copies {
		c.hear()
		c.step.Unlock()
	}
	return errs
}
