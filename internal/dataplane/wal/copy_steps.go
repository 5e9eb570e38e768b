package wal

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// change makes a new state durable, if check allows it from the present one.
func (c *Copy) change(check func(s *State) error) (State, error) {
	return c.changeAny(func(s *State) error {
		if s.Rebuilding {
			return errRebuilding
		}
		return check(s)
	})
}

func (c *Copy) changeAny(check func(s *State) error) (State, error) {
	c.step.Lock()
	defer c.step.Unlock()
	s, err := c.State()
	if err != nil && !errors.Is(err, errRebuilding) {
		return s, err
	}
	if err := check(&s); err != nil {
		return s, err
	}
	seq, err := c.journal.commit(entry{cluster: c.cluster, copies: 1 << c.number, state: &s})
	if err != nil {
		c.fail(err)
		return s, err
	}
	c.set(s, seq)
	return s, nil
}

func (c *Copy) set(s State, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.shape, c.seq = s, rand.Uint64(), seq
	c.journal.touched(c)
}

// Promise, Truncate, Adopt, Begin and Join are the steps of State, made durable.
func (c *Copy) Promise(b Ballot) (State, error) {
	return c.change(func(s *State) error { return s.promise(b) })
}

func (c *Copy) Truncate(b Ballot, newer State) error {
	_, err := c.change(func(s *State) error { return s.truncate(b, newer) })
	return err
}

func (c *Copy) Adopt(b Ballot, newer State, end LSN) error {
	_, err := c.change(func(s *State) error { return s.adopt(b, newer, end) })
	return err
}

func (c *Copy) Begin(b Ballot, terms []TermBegin, h History, begin LSN) error {
	_, err := c.change(func(s *State) error { return s.begin(b, terms, h, begin) })
	return err
}

func (c *Copy) Join(b Ballot, newer State) error {
	_, err := c.change(func(s *State) error { return s.join(b, newer) })
	return err
}

func (c *Copy) SetMembers(b Ballot, m *Members) error {
	_, err := c.change(func(s *State) error { return s.setMembers(b, m) })
	return err
}

// Rebuild makes a copy that lost everything one that is being rebuilt: it has
// the promises of its peers and answers nothing until Rebuilt.
func (c *Copy) Rebuild(from State) error {
	c.step.Lock()
	defer c.step.Unlock()
	return c.makeAnew(from.toRebuild())
}

// Rebuilt puts a rebuilt copy into service, as a copy of newer up to its own end.
func (c *Copy) Rebuilt(newer State) error {
	_, err := c.changeAny(func(s *State) error { return s.rebuilt(newer) })
	return err
}

// rebuiltAs is Rebuilt for a log on another host, whose order may be late: it is
// done only if the copy is the one of that rebuilding.
func (c *Copy) rebuiltAs(shape uint64, newer State) error {
	_, err := c.changeAny(func(s *State) error {
		c.mu.Lock()
		changed := c.shape != shape
		c.mu.Unlock()
		if changed {
			return errChanged
		}
		return s.rebuilt(newer)
	})
	return err
}

// Fill gives the copy bytes that a newer one has.
func (c *Copy) Fill(b Ballot, terms []TermBegin, at LSN, data []byte) error {
	c.step.Lock()
	defer c.step.Unlock()
	s, err := c.State()
	if err != nil && !errors.Is(err, errRebuilding) {
		return err
	}
	if err := s.fill(b, terms, at); err != nil {
		return err
	}
	return appendTo([]*Copy{c}, s.History, at, data)[0]
}

// noteCommitted remembers what is committed. It becomes durable with the next step.
func (c *Copy) noteCommitted(lsn LSN) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Committed < lsn {
		c.state.Committed = min(lsn, c.state.End)
	}
}

// Trim deletes segments that end at or before a position, as its leader says.
func (c *Copy) Trim(_ Ballot, before LSN) error {
	c.step.Lock()
	defer c.step.Unlock()
	s, err := c.State()
	before = segmentStart(min(before, s.Committed))
	if err != nil || before <= s.Start {
		return err
	}
	start := s.Start
	s.Start = before
	seq, err := c.journal.commit(entry{cluster: c.cluster, copies: 1 << c.number, state: &s})
	if err != nil {
		c.fail(err)
		return err
	}
	c.set(s, seq)
	if err := c.checkpoint(); err != nil {
		c.fail(err)
		return err
	}
	for at := segmentStart(start); at < before; at += segmentSize {
		for _, t := range s.History {
			for _, name := range []string{SegmentName(t.ID, at), SegmentName(t.ID, at) + checksumSuffix} {
				if err := os.Remove(filepath.Join(c.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
		}
	}
	return nil
}
