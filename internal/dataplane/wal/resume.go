package wal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Resume takes up a term that has begun, after an end of the shipper or of our
// own process: the same server goes on writing. It returns where the newest copy
// ends.
func (l *Log) Resume(ctx context.Context, term int64) (LSN, error) {
	l.opening.Lock()
	defer l.opening.Unlock()
	unreadable := map[int]bool{}
	for range l.copies {
		b, states, err := l.revoke(ctx, term)
		if err != nil {
			return 0, err
		}
		states = l.readableWithout(states, unreadable)
		best := l.best(states)
		end, err := l.resume(ctx, b, best, states)
		if !l.goWithout(b, best, states, err) {
			return end, err
		}
		unreadable[best] = true
	}
	return 0, fmt.Errorf("resume term %d of %s: %w", term, l.cluster, errSlow)
}

// readableWithout leaves copies out of states, if the rest is a read quorum.
func (l *Log) readableWithout(states map[int]State, out map[int]bool) map[int]State {
	rest := maps.Clone(states)
	maps.DeleteFunc(rest, func(n int, _ State) bool { return out[n] })
	if l.readable(slices.Collect(maps.Keys(rest))) {
		return rest
	}
	return states
}

// resume takes the term up with the ballot, from the newest copy that has promised
// it. It fails with errSlow if others need what only that one has, and its disk
// hangs.
func (l *Log) resume(ctx context.Context, b Ballot, best int, states map[int]State) (end LSN, err error) {
	top := states[best]
	if top.Owner.Term != b.Term || !top.Begun {
		return 0, fmt.Errorf("term %d of %s has not begun", b.Term, l.cluster)
	}
	if top.Members, err = l.checkMembers(states); err != nil {
		return 0, err
	}
	l.enter(b)
	if err := l.copies[best].Join(b, top); err != nil {
		return 0, err
	}
	top.Owner = b
	var others []int
	for n := range states {
		if n != best {
			others = append(others, n)
		}
	}
	with := func(done []int) bool { return l.writable(append([]int{best}, done...)) }
	done, errs := l.each(ctx, with, others, func(n int) error { return l.catchUp(n, best, b, top) })
	for n, err := range errs {
		l.log.Warn("wal: copy left behind", "copy", n, "error", err)
		if errors.Is(err, errSlow) && !with(done) && l.readable(others) {
			return 0, err
		}
	}
	l.takeUp(b, top)
	return top.End, nil
}

// takeUp serves the ballot, which owns what top was.
func (l *Log) takeUp(b Ballot, top State) {
	l.mu.Lock()
	l.begun, l.handed = true, top.End
	if len(l.gate.History) == 0 || l.gate.History.newest() != top.History.newest() {
		l.gate = Gate{top.History, max(top.Committed, top.Terms[len(top.Terms)-1].Begin)}
	}
	l.announce()
	l.mu.Unlock()
	l.advance(b)
}
