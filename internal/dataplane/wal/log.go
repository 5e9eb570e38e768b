package wal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// replica is a copy of the log, wherever it is.
type replica interface {
	State() (State, error)
	Promise(term int64) (State, error)
	Truncate(term int64, newer State) error
	Fill(term int64, at LSN, data []byte) error
	Adopt(term int64, newer State, end LSN) error
	Begin(term int64, h History, begin LSN) error
	Rebuild(from State) error
	Rebuilt(newer State) error
	ReadAt(p []byte, at LSN) error
	noteCommitted(lsn LSN)
	lost() bool
	forget()
}

// group is replicas that become durable together. Append adds bytes to those
// that end where the bytes begin, and returns when they are durable.
type group interface {
	Append(term int64, at LSN, data []byte) error
}

// Log is the WAL of one cluster, in several copies.
type Log struct {
	cluster string
	copies  []replica
	groups  []group
	lanes   []*lane // of groups, when there are several
	write   int     // copies that make bytes committed
	read    int     // copies that any committed byte is on at least one of
	format  func(State) error
	log     *slog.Logger

	opening sync.Mutex // one Open, Begin or repair at a time

	mu      sync.Mutex
	term    int64 // that was opened here
	begun   bool
	least   LSN // Opened.RecordEnd: the term's writer has all before it
	gate    Gate
	changed chan struct{}  // closed when gate or term change
	wake    chan struct{}  // something for repair to do
	xmins   map[any]uint64 // what each reader still sees: epoch and xid
}

// feedback is the oldest of what readers still see; 0: nothing.
func (l *Log) feedback() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var oldest uint64
	for _, x := range l.xmins {
		if x != 0 && (oldest == 0 || x < oldest) {
			oldest = x
		}
	}
	return oldest
}

// Gate is what is committed: nobody may see a byte beyond it.
type Gate struct {
	History History
	LSN     LSN
}

// Opened is what a new term begins with.
type Opened struct {
	// End of the log: nothing beyond it was ever acknowledged, and everything
	// before it is committed now.
	End LSN
	// RecordEnd is where the last complete record before End ends: what a new
	// writer must have replayed.
	RecordEnd LSN
	Timeline  uint32 // that End is on; 0: the log is new
	// Begun says that the term's writer has had its time: it takes another term.
	Begun bool
}

// quorum sizes: with w of n for a write, n-w+1 see every write.
func quorum(copies int) (write, read int) {
	write = copies/2 + 1
	return write, copies - write + 1
}

func newLog(cluster string, copies []replica, groups []group, format func(State) error) *Log {
	l := &Log{cluster: cluster, copies: copies, groups: groups, format: format,
		changed: make(chan struct{}), wake: make(chan struct{}, 1), xmins: map[any]uint64{}, log: slog.With("cluster", cluster)}
	l.write, l.read = quorum(len(copies))
	if len(groups) > 1 {
		for _, g := range groups {
			l.lanes = append(l.lanes, newLane(l, g))
		}
	}
	return l
}

// callLimit is how long a copy may take to answer before it counts as away.
const callLimit = 2 * time.Second

// each calls f for the replicas at the same time and returns who succeeded, and
// everybody's errors. It waits for all, but for none longer than callLimit, and
// not for stragglers once enough have answered.
func (l *Log) each(ctx context.Context, enough int, who []int, f func(n int) error) (done []int, errs map[int]error) {
	type answer struct {
		n   int
		err error
	}
	answers := make(chan answer, len(who))
	for _, n := range who {
		go func() { answers <- answer{n, f(n)} }()
	}
	errs = map[int]error{}
	limit := time.NewTimer(callLimit)
	defer limit.Stop()
	var stragglers <-chan time.Time
	for range who {
		select {
		case a := <-answers:
			if a.err != nil {
				errs[a.n] = a.err
			} else {
				done = append(done, a.n)
			}
		case <-stragglers:
			return done, errs
		case <-limit.C:
			return done, errs
		case <-ctx.Done():
			return done, errs
		}
		if len(done) >= enough && stragglers == nil {
			stragglers = time.After(100 * time.Millisecond)
		}
	}
	return done, errs
}

func (l *Log) everyone() []int {
	all := make([]int, len(l.copies))
	for i := range all {
		all[i] = i
	}
	return all
}

// Open takes the log over for a term: lower terms get nothing acknowledged any
// more, and everything that they might have had acknowledged is committed. It can
// be repeated. create allows a log that holds nothing.
func (l *Log) Open(ctx context.Context, term int64, create bool) (Opened, error) {
	l.opening.Lock()
	defer l.opening.Unlock()
	states, err := l.revoke(ctx, term, create)
	if err != nil {
		return Opened{}, err
	}
	l.enter(term)
	best := l.best(states)
	top := states[best]
	if top.Term() == term && top.Begun {
		return Opened{End: top.End, Timeline: top.History.newest(), Begun: true}, nil
	}
	o := Opened{End: top.End, Timeline: top.History.newest()}
	if len(top.History) > 0 {
		if o.RecordEnd, err = lastRecordEnd(l.copies[best].ReadAt, top.Start, top.End); err != nil {
			return o, fmt.Errorf("copy %d: %w", best, err)
		}
		if o.RecordEnd > o.End { // a switch of the segment: zeros follow
			if err := l.copies[best].Fill(term, o.End, make([]byte, o.RecordEnd-o.End)); err != nil {
				return o, err
			}
			o.End, top.End = o.RecordEnd, o.RecordEnd
		}
	}
	who := make([]int, 0, len(states))
	for n := range states {
		who = append(who, n)
	}
	done, errs := l.each(ctx, l.write, who, func(n int) error {
		if n == best {
			return l.copies[n].Adopt(term, top, top.End)
		}
		return l.bring(n, best, term, top)
	})
	if len(done) < l.write {
		return o, l.noQuorum("open term", term, done, errs)
	}
	l.mu.Lock()
	l.least = o.RecordEnd
	l.mu.Unlock()
	l.open(Gate{top.History, top.End})
	return o, nil
}

// revoke has copies promise the term, and returns what they have.
func (l *Log) revoke(ctx context.Context, term int64, create bool) (map[int]State, error) {
	if create {
		if err := l.create(term); err != nil {
			return nil, err
		}
	}
	var mu sync.Mutex
	states := map[int]State{}
	done, errs := l.each(ctx, l.read, l.everyone(), func(n int) error {
		s, err := l.copies[n].Promise(term)
		if err == nil {
			mu.Lock()
			states[n] = s
			mu.Unlock()
		}
		return err
	})
	for _, err := range errs {
		if errors.Is(err, ErrStale) {
			return nil, fmt.Errorf("term %d of %s: %w", term, l.cluster, err)
		}
	}
	if len(done) < l.read {
		return nil, l.noQuorum("promise term", term, done, errs)
	}
	mu.Lock()
	defer mu.Unlock()
	answered := map[int]State{}
	for _, n := range done {
		answered[n] = states[n]
	}
	return answered, nil
}

// create formats the copies of a log that holds nothing anywhere.
func (l *Log) create(term int64) error {
	for _, c := range l.copies {
		if s, err := c.State(); !errors.Is(err, errBlank) && (err != nil || len(s.History) > 0) {
			return nil
		}
	}
	return l.format(State{Promised: term})
}

func (l *Log) noQuorum(what string, term int64, done []int, errs map[int]error) error {
	return &QuorumError{What: fmt.Sprintf("%s %d", what, term), Have: len(done), Errs: errs, Copies: len(l.copies)}
}

// QuorumError says that too few copies of a log could do something.
type QuorumError struct {
	What         string
	Have, Copies int
	Errs         map[int]error // by copy
}

func (e *QuorumError) Error() string {
	s := fmt.Sprintf("%s: only %d of %d copies of the log answered", e.What, e.Have, e.Copies)
	for _, err := range e.Errs {
		return s + ": " + err.Error()
	}
	return s
}

func (l *Log) best(states map[int]State) int {
	best := -1
	for n := range l.copies {
		if s, ok := states[n]; ok {
			if best < 0 {
				best = n
				continue
			}
			if top := states[best]; s.newer(&top) {
				best = n
			}
		}
	}
	return best
}

// bring makes copy n what copy from is (top), and the term's.
func (l *Log) bring(n, from int, term int64, top State) error {
	c := l.copies[n]
	s, err := c.State()
	if err != nil {
		return err
	}
	if s.Term() == term && s.End == top.End {
		return nil
	}
	if err := c.Truncate(term, top); err != nil {
		return err
	}
	if err := l.fill(n, from, term, top.End); err != nil {
		return err
	}
	return c.Adopt(term, top, top.End)
}

// fillChunk is how much is copied from one copy to another at a time.
const fillChunk = 1 << 20

// fill copies bytes from copy from until copy n ends at end.
func (l *Log) fill(n, from int, term int64, end LSN) error {
	c := l.copies[n]
	s, err := c.State()
	if err != nil && !errors.Is(err, errRebuilding) {
		return err
	}
	buf := make([]byte, min(fillChunk, max(0, end-s.End)))
	for at := s.End; at < end; {
		p := buf[:min(LSN(len(buf)), end-at)]
		if err := l.copies[from].ReadAt(p, at); err != nil {
			return err
		}
		if err := c.Fill(term, at, p); err != nil {
			return err
		}
		at += LSN(len(p))
	}
	return nil
}

// enter makes the term the one that is served here.
func (l *Log) enter(term int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if term != l.term {
		l.term, l.begun = term, false
		l.announce()
	}
}

// open moves the gate. It never goes back.
func (l *Log) open(g Gate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g.History.newest() == l.gate.History.newest() && g.LSN <= l.gate.LSN {
		return
	}
	l.gate = g
	l.announce()
}

// opened says whether the term is the one that was opened here last.
func (l *Log) opened(term int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.term == term
}

// mustHave is what the writer of the opened term must have at least.
func (l *Log) mustHave() LSN {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.least
}

func (l *Log) announce() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// Gate returns what is committed, and a channel that is closed when that changes.
func (l *Log) Gate() (Gate, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gate, l.changed
}

// Begin opens the log for the term's writer: its WAL follows h and goes on at
// from.
func (l *Log) Begin(ctx context.Context, term int64, h History, from LSN) error {
	l.opening.Lock()
	defer l.opening.Unlock()
	done, errs := l.each(ctx, l.write, l.everyone(), func(n int) error { return l.copies[n].Begin(term, h, from) })
	if len(done) < l.write {
		return l.noQuorum("begin term", term, done, errs)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.term != term {
		return ErrStale
	}
	l.begun = true
	l.gate = Gate{h, from}
	l.announce()
	return nil
}

// Resume takes up a term that has begun, after an end of our own process: the
// same server goes on writing. It returns where the newest copy ends.
func (l *Log) Resume(ctx context.Context, term int64) (LSN, error) {
	l.opening.Lock()
	defer l.opening.Unlock()
	states, err := l.revoke(ctx, term, false)
	if err != nil {
		return 0, err
	}
	best := l.best(states)
	top := states[best]
	if top.Term() != term || !top.Begun {
		return 0, fmt.Errorf("term %d of %s has not begun", term, l.cluster)
	}
	l.enter(term)
	for n := range states {
		if n != best {
			if err := l.catchUp(n, best, term, top); err != nil {
				l.log.Warn("wal: copy left behind", "copy", n, "error", err)
			}
		}
	}
	l.mu.Lock()
	l.begun = true
	if len(l.gate.History) == 0 || l.gate.History.newest() != top.History.newest() {
		l.gate = Gate{top.History, max(top.Committed, top.Terms[len(top.Terms)-1].Begin)}
	}
	l.announce()
	l.mu.Unlock()
	l.advance(term)
	return top.End, nil
}

// Append adds bytes of the term's writer and returns what is committed after it.
// With several groups it does not wait for them: see lane.
func (l *Log) Append(ctx context.Context, term int64, at LSN, data []byte) (LSN, error) {
	if len(l.groups) > 1 {
		return l.spread(ctx, term, at, data)
	}
	err := l.groups[0].Append(term, at, data)
	if errors.Is(err, ErrStale) {
		return 0, err
	}
	if err != nil {
		l.Repair()
	}
	return l.advance(term), nil
}

// advance moves the gate to what a write quorum has.
func (l *Log) advance(term int64) LSN {
	ends := make([]LSN, 0, len(l.copies))
	var h History
	for _, c := range l.copies {
		if s, err := c.State(); err == nil && s.Begun && s.Term() == term && s.Promised == term {
			ends = append(ends, s.End)
			h = s.History
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(ends) < l.write || l.term != term || !l.begun {
		return l.gate.LSN
	}
	slices.Sort(ends)
	if lsn := ends[len(ends)-l.write]; lsn > l.gate.LSN {
		l.gate = Gate{h, lsn}
		for _, c := range l.copies {
			c.noteCommitted(lsn)
		}
		l.announce()
	}
	return l.gate.LSN
}

// Read fills p with committed bytes, from any copy that has them.
func (l *Log) Read(p []byte, at LSN) error {
	var last error
	for _, c := range l.copies {
		if last = c.ReadAt(p, at); last == nil {
			return nil
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
