package wal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// errTrimmed says that no copy has what this one lacks any more.
var errTrimmed = errors.New("what the copy lacks has been trimmed meanwhile")

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

// repair does what can be done now. It may happen while a term is opened: its
// steps are of an older ballot then, or do nothing. A copy that hangs is left to
// the repair that it hangs in.
func (l *Log) repair() {
	l.mu.Lock()
	b, begun, handed := l.ballot, l.begun, l.handed
	l.mu.Unlock()
	idle := l.idle() // before the states are looked at
	states := map[int]State{}
	away := map[int]bool{}
	for n, c := range l.copies {
		s, err := c.State()
		switch {
		case err == nil && s.Promised.compare(b) <= 0:
			states[n] = s
		case err != nil && !errors.Is(err, errAway) && !errors.Is(err, errUnreachable) && !errors.Is(err, errUnheard):
			away[n] = true
		}
	}
	best := l.best(states)
	if b.Term == 0 || best < 0 || states[best].Owner != b || states[best].Begun != begun {
		return // a term is being opened
	}
	top := states[best]
	top.Members = l.configuration()
	l.mend(func(n int) error {
		switch s, ok := states[n]; {
		case n == best:
			return nil
		case ok && len(s.History) > 0 && s.End < top.Start:
			l.copies[n].fail(errTrimmed) // its host makes no copy anew that is well
			return l.rebuild(n, best, b)
		case ok:
			return l.catchUp(n, best, b, top)
		case away[n]:
			return l.rebuild(n, best, b)
		}
		return nil
	})
	if begun {
		l.advance(b)
	}
	if begun && idle && states[best].End < handed {
		// No lane holds them and no copy has them: only the writer does. The shipper
		// ends, and the next one begins where the copies end.
		l.log.Warn("wal: bytes were lost on their way to every copy", "from", states[best].End.String(), "to", handed.String())
		l.stepDown(b)
	}
}

// idle says whether all lanes are, if there are any.
func (l *Log) idle() bool {
	for _, n := range l.lanes {
		if !n.idle() {
			return false
		}
	}
	return len(l.lanes) > 0
}

// mend calls f for every copy that is not being mended, and waits for those that
// do not hang.
func (l *Log) mend(f func(n int) error) {
	who := slices.DeleteFunc(l.everyone(), func(n int) bool { return !l.repairing[n].TryLock() })
	answers := l.call(who, func(n int) error {
		defer l.repairing[n].Unlock()
		if l.copies[n].forgetIfLost() {
			l.log.Error("wal: the directory of a copy is gone", "copy", n)
			return nil // the next round rebuilds it
		}
		err := errors.Join(l.patch(n), f(n))
		if err != nil {
			l.log.Warn("wal: copy not mended", "copy", n, "error", err)
		}
		return err
	})
	limit := time.After(callLimit)
	for range who {
		select {
		case <-answers:
		case <-limit:
			return
		}
	}
}

// patch mends the damaged blocks of copy n.
func (l *Log) patch(n int) error {
	for _, at := range l.copies[n].damaged() {
		s, err := l.copies[n].State()
		if err != nil {
			return nil // it is rebuilt as a whole
		}
		block := make([]byte, blockSize)
		if err := l.readTerms(n, block, at, s.Terms); err != nil {
			return err
		}
		if err := l.copies[n].patch(at, block, s.Terms); err != nil {
			return err
		}
		l.log.Error("wal: mended a damaged block", "copy", n, "at", at.String())
	}
	return nil
}

// catchUp brings copy n to where copy from is, which was as top a moment ago, is
// the ballot's, and may have gone on.
func (l *Log) catchUp(n, from int, b Ballot, top State) error {
	c := l.copies[n]
	s, err := c.State()
	if err == nil && s.Promised != b {
		s, err = c.Promise(b)
	}
	switch {
	case err != nil:
		return err
	case !top.Begun:
		return l.bring(n, from, b, top)
	case s.open(b):
		if s.Members.generation() < top.Members.generation() {
			if err := c.SetMembers(b, top.Members); err != nil {
				return err
			}
		}
	case s.Owner == b:
		last := len(top.Terms) - 1
		if err := c.Begin(b, top.Terms[:last], top.History, top.Terms[last].Begin); err != nil {
			return err
		}
	default:
		if err := c.Truncate(b, top); err != nil {
			return err
		}
		if err := l.fill(n, from, b, top.Terms, top.End); err != nil {
			return err
		}
		if err := c.Join(b, top); err != nil {
			return err
		}
	}
	return l.follow(n, from, b, top.Terms)
}

// follow fills copy n until it is where copy from is: from then on it gets what
// is appended.
func (l *Log) follow(n, from int, b Ballot, terms []TermBegin) error {
	for range maxFollows {
		s, err := l.copies[from].State()
		if err != nil {
			return err
		}
		if err := l.fill(n, from, b, terms, s.End); errors.Is(err, errGap) {
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
// that whatever the copy had a part in, one of them had too. They are asked for
// what they are now, after the loss was seen.
func (l *Log) rebuild(n, from int, b Ballot) error {
	others := slices.DeleteFunc(l.everyone(), func(i int) bool { return i == n })
	ours, errs := l.each(context.Background(), everybody, others, func(i int) error {
		s, err := l.copies[i].refresh()
		if err == nil && s.Promised.compare(b) > 0 {
			err = ErrStale
		}
		return err
	})
	for _, err := range errs {
		if errors.Is(err, ErrStale) {
			return err
		}
	}
	if !l.writable(ours) {
		return fmt.Errorf("only %d other copies are there, which is no write quorum", len(ours))
	}
	c := l.copies[n]
	top, err := l.copies[from].State()
	if err != nil {
		return err
	}
	top.Members = l.configuration()
	if had, err := c.State(); !errors.Is(err, errRebuilding) || !slices.Equal(had.Terms, top.Terms) || had.Promised != b || had.End < top.Start {
		l.log.Info("wal: rebuild a copy", "copy", n, "bytes", uint64(top.End-top.Start))
		c.forget()
		fresh := top
		fresh.Promised = b
		if err := c.Rebuild(fresh); err != nil {
			return err
		}
	}
	if err := l.fill(n, from, b, top.Terms, top.End); err != nil {
		return err
	}
	if err := c.Rebuilt(top); err != nil {
		return err
	}
	l.log.Info("wal: rebuilt a copy", "copy", n)
	if !top.Begun {
		return nil
	}
	return l.follow(n, from, b, top.Terms)
}
