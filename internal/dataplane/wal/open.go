package wal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Open takes the log over for a term: lower terms get nothing acknowledged any
// more, and everything that they might have had acknowledged is committed. It can
// be repeated. create allows a log that holds nothing.
func (l *Log) Open(ctx context.Context, term int64, create bool) (Opened, error) {
	l.opening.Lock()
	defer l.opening.Unlock()
	if create {
		if err := l.create(ctx); err != nil {
			return Opened{}, err
		}
	}
	b, states, err := l.revoke(ctx, term)
	if err != nil {
		return Opened{}, err
	}
	who := slices.Collect(maps.Keys(states))
	o, best, top, err := l.choose(b, states)
	if err != nil || o.Begun {
		return o, err
	}
	done, errs := l.each(ctx, l.writable, who, func(n int) error { return l.bring(n, best, b, top) })
	if !l.writable(done) {
		return o, l.noQuorum("open term", term, done, errs)
	}
	l.mu.Lock()
	l.waits, l.least, l.terms = true, o.RecordEnd, top.Terms
	l.mu.Unlock()
	l.open(Gate{top.History, top.End})
	return o, nil
}

// choose returns what the ballot begins with, and from which copy: the newest of
// those that have promised it. It takes copies out of states that cannot be read:
// they become the ballot's like any other that has something else.
func (l *Log) choose(b Ballot, states map[int]State) (o Opened, best int, top State, err error) {
	for {
		members, err := l.checkMembers(states)
		if err != nil {
			return o, best, top, err
		}
		l.enter(b)
		best = l.best(states)
		top = states[best]
		top.Members = members
		if top.Owner.Term == b.Term && top.Begun {
			return Opened{End: top.End, Timeline: top.History.newest(), Begun: true}, best, top, nil
		}
		o, err = l.endOf(b, best, &top, states)
		if err == nil || !l.goWithout(b, best, states, err) {
			return o, best, top, err
		}
	}
}

// endOf returns what a term begins with that goes on from a copy, which was as top.
func (l *Log) endOf(b Ballot, best int, top *State, states map[int]State) (o Opened, err error) {
	o = Opened{End: top.End, Timeline: top.History.newest()}
	if len(top.History) == 0 {
		return o, nil
	}
	if o.RecordEnd, err = l.lastRecord(best, *top); err != nil {
		return o, fmt.Errorf("read the log's end: %w", err)
	}
	if err := l.crossCheck(best, states, o.RecordEnd); err != nil {
		return o, err
	}
	if o.RecordEnd > o.End { // a switch of the segment: zeros follow
		if err := l.copies[best].Fill(b, top.Terms, o.End, make([]byte, o.RecordEnd-o.End)); err != nil {
			return o, err
		}
		o.End, top.End = o.RecordEnd, o.RecordEnd
	}
	return o, nil
}

// goWithout takes the newest copy out of those that have promised the ballot, if no
// copy gives what it has because its disk hangs, and if the others are a read quorum
// without it. That is as if its promise had not come in time: whatever was
// acknowledged, one of the others has it too. Without such a quorum it may be the
// only one of them that has it, and must be waited for.
func (l *Log) goWithout(b Ballot, best int, states map[int]State, why error) bool {
	if !errors.Is(why, errSlow) {
		return false
	}
	others := maps.Clone(states)
	delete(others, best)
	if !l.readable(slices.Collect(maps.Keys(others))) {
		l.log.Warn("wal: a copy cannot be read, and may have what was committed", "copy", best, "ballot", b.String(), "error", why)
		return false
	}
	l.log.Warn("wal: a term begins without a copy that cannot be read", "copy", best, "ballot", b.String(), "error", why)
	delete(states, best)
	return true
}

// lastRecord returns where the last complete record ends of what copy best has,
// which was as top. A copy on another host is best only if none here has as much.
func (l *Log) lastRecord(best int, top State) (LSN, error) {
	if !l.here(best) {
		if end, err := l.copies[best].RecordEnd(top.Start, top.End); err == nil {
			return end, nil
		}
	}
	read := func(p []byte, at LSN) error { return l.readTerms(best, p, at, top.Terms) }
	return l.recordEnd(read, top.Start, top.End)
}

// crossCheck has the other copies confirm where the last record of the best one
// ends. A record that only the best one cannot read is damaged there; its last
// block may have no checksum yet.
func (l *Log) crossCheck(best int, states map[int]State, recordEnd LSN) error {
	top := states[best]
	var who []int
	for n, s := range states {
		if n != best && s.End > recordEnd && top.End > recordEnd && slices.Equal(s.Terms, top.Terms) {
			who = append(who, n)
		}
	}
	answers := l.call(who, func(n int) error {
		s := states[n]
		end, err := l.copies[n].RecordEnd(s.Start, min(s.End, top.End))
		if err == nil && end > recordEnd {
			err = errBadBlock
		}
		return err
	})
	limit := time.After(callLimit)
	for range who {
		var a reply
		select {
		case a = <-answers:
		case <-limit:
			return nil
		}
		if errors.Is(a.err, errBadBlock) {
			err := fmt.Errorf("%w: copy %d reads on after %s", errBadBlock, a.n, recordEnd)
			l.copies[best].fail(err)
			return fmt.Errorf("copy %d: %w", best, err)
		}
	}
	return nil
}

// revoke has copies promise the next ballot of the term, and returns what they
// have.
func (l *Log) revoke(ctx context.Context, term int64) (b Ballot, states map[int]State, err error) {
	for range maxTries {
		b = Ballot{Term: term, Try: l.nextTry(l.highestTry(term))}
		if states, err = l.promise(ctx, b); !errors.Is(err, ErrStale) || l.highestTry(term) <= b.Try {
			break // or copies had promised a higher try than was known
		}
	}
	return b, states, err
}

const maxTries = 3

// highestTry is the highest of a term's tries that a copy has promised, as far as
// is known.
func (l *Log) highestTry(term int64) int64 {
	highest := int64(0)
	for _, c := range l.copies {
		if s, err := c.State(); (err == nil || errors.Is(err, errUnreachable)) && s.Promised.Term == term {
			highest = max(highest, s.Promised.Try)
		}
	}
	return highest
}

func (l *Log) promise(ctx context.Context, b Ballot) (map[int]State, error) {
	var mu sync.Mutex
	states := map[int]State{}
	done, errs := l.each(ctx, l.readable, l.everyone(), func(n int) error {
		s, err := l.copies[n].Promise(b)
		if err == nil {
			mu.Lock()
			states[n] = s
			mu.Unlock()
		}
		return err
	})
	for _, err := range errs {
		if errors.Is(err, ErrStale) {
			return nil, fmt.Errorf("term %d of %s: %w", b.Term, l.cluster, err)
		}
	}
	if !l.readable(done) {
		return nil, l.noQuorum("promise term", b.Term, done, errs)
	}
	mu.Lock()
	defer mu.Unlock()
	answered := map[int]State{}
	for _, n := range done {
		answered[n] = states[n]
	}
	return answered, nil
}

// create formats the copies of a log that holds nothing anywhere. Each must say so:
// a copy that is blank may have lost what one that cannot be asked still has.
func (l *Log) create(ctx context.Context) error {
	var mu sync.Mutex
	var blank []int
	holds := false
	known, errs := l.each(ctx, everybody, l.everyone(), func(n int) error {
		s, err := l.copies[n].refresh()
		mu.Lock()
		defer mu.Unlock()
		switch {
		case errors.Is(err, errBlank):
			blank = append(blank, n)
			return nil
		case err == nil && len(s.History) == 0:
			return nil
		case err == nil, !errors.Is(err, errUnreachable):
			holds = true
			return nil
		}
		return err
	})
	mu.Lock()
	defer mu.Unlock()
	if holds || len(blank) == 0 {
		return nil
	}
	if len(known) == len(l.copies) {
		known, errs = l.each(ctx, everybody, blank, func(n int) error { return l.copies[n].format(State{}) })
		if len(known) == len(blank) {
			return nil
		}
	}
	err := error(&QuorumError{What: "make the log", Have: len(known), Errs: errs, Copies: len(l.copies)})
	return fmt.Errorf("%w: all must answer", err)
}

func (l *Log) noQuorum(what string, term int64, done []int, errs map[int]error) error {
	return &QuorumError{What: fmt.Sprintf("%s %d", what, term), Have: len(done), Errs: errs, Copies: len(l.copies)}
}

// newTries counts by the clock. What other hosts' copies have promised may not be
// known, so a higher number than the highest known could be one that an earlier
// process used: two tries that are told apart by nothing could undo each other.
func newTries() func(seen int64) int64 {
	var mu sync.Mutex
	last := int64(0)
	return func(seen int64) int64 {
		mu.Lock()
		defer mu.Unlock()
		last = max(seen+1, last+1, time.Now().UnixMicro())
		return last
	}
}
