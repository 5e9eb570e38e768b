package wal

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// repairInterval is how often copies are looked at without a reason.
const repairInterval = time.Second

// Repair has the copies looked at now.
func (l *Log) Repair() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// repairLoop brings copies up that are behind or have lost what they had, until
// ctx ends.
func (l *Log) repairLoop(ctx context.Context) {
	tick := time.NewTicker(repairInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.wake:
			// Not more often than this, or a copy that cannot be mended keeps us busy.
			select {
			case <-time.After(repairInterval / 10):
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
		l.repair()
	}
}

// repair does what can be done now.
func (l *Log) repair() {
	l.opening.Lock()
	defer l.opening.Unlock()
	l.mu.Lock()
	term, begun := l.term, l.begun
	l.mu.Unlock()
	states := map[int]State{}
	var away []int
	for n, c := range l.copies {
		if c.lost() {
			l.log.Error("wal: the directory of a copy is gone", "copy", n)
			c.forget()
		}
		s, err := c.State()
		switch {
		case err == nil && s.Promised <= term:
			states[n] = s
		case err != nil:
			away = append(away, n)
		}
	}
	best := l.best(states)
	if term == 0 || best < 0 {
		return
	}
	top := states[best]
	if top.Term() != term || top.Begun != begun {
		return // a term is being opened
	}
	for n := range states {
		if n == best {
			continue
		}
		if err := l.catchUp(n, best, term, top); err != nil {
			l.log.Warn("wal: copy left behind", "copy", n, "error", err)
		}
	}
	for _, n := range away {
		if err := l.rebuild(n, best, term, states); err != nil {
			l.log.Warn("wal: copy not rebuilt", "copy", n, "error", err)
		}
	}
	if begun {
		l.advance(term)
	}
}

// catchUp brings copy n to where copy from is, which was as top a moment ago and
// may have gone on.
func (l *Log) catchUp(n, from int, term int64, top State) error {
	c := l.copies[n]
	s, err := c.State()
	if err != nil {
		return err
	}
	began := top.Terms[len(top.Terms)-1].Begin
	if s.Promised != term {
		if _, err := c.Promise(term); err != nil {
			return err
		}
	}
	if s.Term() != term {
		if err := c.Truncate(term, top); err != nil {
			return err
		}
		if err := l.fill(n, from, term, began); err != nil {
			return err
		}
		if err := c.Adopt(term, top, began); err != nil {
			return err
		}
		s.Begun = false
	}
	if top.Begun && !s.Begun {
		if err := c.Begin(term, top.History, began); err != nil {
			return err
		}
	}
	return l.follow(n, from, term)
}

// follow fills copy n until it is where copy from is: from then on it gets what
// is appended.
func (l *Log) follow(n, from int, term int64) error {
	for range maxFollows {
		s, err := l.copies[from].State()
		if err != nil {
			return err
		}
		if err := l.fill(n, from, term, s.End); errors.Is(err, errGap) {
			return nil // it already gets what is appended
		} else if err != nil {
			return err
		}
		now, err := l.copies[n].State()
		if err == nil && now.End >= s.End {
			if newest, err := l.copies[from].State(); err != nil || newest.End == now.End {
				return err
			}
		}
	}
	return nil // the next round goes on
}

// maxFollows is how often follow tries to reach a copy that goes on meanwhile.
const maxFollows = 50

// rebuild makes a copy anew that has lost what it had. Its promises and
// acknowledgements may be gone, so it takes over those of its peers: of as many
// that whatever the copy had a part in, one of them had too.
func (l *Log) rebuild(n, from int, term int64, states map[int]State) error {
	if len(states) < l.write || len(l.copies) == 1 {
		return fmt.Errorf("%d other copies are there, %d are needed", len(states), l.write)
	}
	c := l.copies[n]
	top, err := l.copies[from].State()
	if err != nil {
		return err
	}
	if _, err := c.State(); !errors.Is(err, errRebuilding) {
		l.log.Info("wal: rebuild a copy", "copy", n, "bytes", uint64(top.End-top.Start))
		c.forget()
		fresh := top
		fresh.Promised = term
		if err := c.Rebuild(fresh); err != nil {
			return err
		}
	}
	target := top.End
	for _, s := range states {
		target = max(target, s.End)
	}
	if err := l.fill(n, from, term, target); err != nil {
		return err
	}
	if top, err = l.copies[from].State(); err != nil {
		return err
	}
	top.End = target
	top.Committed = min(top.Committed, target)
	if err := c.Rebuilt(top); err != nil {
		return err
	}
	l.log.Info("wal: rebuilt a copy", "copy", n)
	return l.follow(n, from, term)
}
