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
	Promise(b Ballot) (State, error)
	Truncate(b Ballot, newer State) error
	Fill(b Ballot, terms []TermBegin, at LSN, data []byte) error
	Adopt(b Ballot, newer State, end LSN) error
	Begin(b Ballot, terms []TermBegin, h History, begin LSN) error
	Join(b Ballot, newer State) error
	SetMembers(b Ballot, m *Members) error
	Rebuild(from State) error
	Rebuilt(newer State) error
	// ReadAt returns the state that the copy had while it was read.
	ReadAt(p []byte, at LSN) (State, error)
	RecordEnd(start, limit LSN) (LSN, error)
	Trim(b Ballot, before LSN) error
	// refresh is State, newer than the call.
	refresh() (State, error)
	// format makes a blank copy one of a log that holds nothing.
	format(s State) error
	noteCommitted(lsn LSN)
	fail(err error)
	damaged() []LSN
	patch(at LSN, data []byte, terms []TermBegin) error
	forgetIfLost() bool
	forget()
	awayFor(d time.Duration, share float64)
	// place says on which host the copy is, empty: ours, and on which of its disks.
	place() (host, disk string)
}

// group is replicas that become durable together. Append adds bytes to those
// that end where the bytes begin, and returns when they are durable.
type group interface {
	Append(b Ballot, at LSN, data []byte) error
}

// Log is the WAL of one cluster, in several copies.
type Log struct {
	cluster string
	copies  []replica
	near    []int // all copies, those on this host first
	groups  []group
	lanes   []*lane // of groups, when there are several
	places  []Place // of copies, where there is another configuration than the Cluster's
	chunk   LSN     // how much is copied from one copy to another at a time
	log     *slog.Logger

	recordEnd func(read readAt, start, limit LSN) (LSN, error)
	// nextTry is a try of a term, higher than one that was seen, that nobody else uses.
	nextTry func(seen int64) int64
	// call runs f for each of who and returns the answers as they come.
	call func(who []int, f func(n int) error) <-chan reply

	opening   sync.Mutex   // one Open, Begin or Resume at a time
	repairing []sync.Mutex // one repair of each copy at a time

	mu       sync.Mutex
	ballot   Ballot      // that was opened here
	waits    bool        // the copies are the ballot's, and its writer may begin
	begun    bool        // it has
	terms    []TermBegin // of the WAL that the writer goes on from
	least    LSN         // Opened.RecordEnd: the term's writer has all before it
	members  *Members    // the configuration, if the copies have one
	proposed int64       // the highest generation of one that was proposed
	sets     [][]int     // copies that count: each needs a quorum
	handed   LSN         // up to where lanes were given the begun term's bytes
	gate     Gate
	changed  chan struct{}  // closed when gate or term change
	wake     chan struct{}  // something for repair to do
	xmins    map[any]uint64 // what each reader still sees: epoch and xid
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

func newLog(cluster string, copies []replica, groups []group) *Log {
	l := &Log{cluster: cluster, copies: copies, groups: groups, chunk: fillChunk,
		changed: make(chan struct{}), wake: make(chan struct{}, 1), xmins: map[any]uint64{}, log: slog.With("cluster", cluster), recordEnd: lastRecordEnd, call: atOnce}
	l.sets = [][]int{l.everyone()}
	l.repairing = make([]sync.Mutex, len(copies))
	l.nextTry = func(seen int64) int64 { return seen + 1 }
	for _, here := range []bool{true, false} {
		for n, c := range copies {
			if host, _ := c.place(); (host == "") == here {
				l.near = append(l.near, n)
			}
		}
	}
	if len(l.near) > 0 && !l.here(l.near[len(l.near)-1]) {
		l.nextTry = newTries()
	}
	if len(groups) > 1 {
		for _, g := range groups {
			l.lanes = append(l.lanes, newLane(l, g))
		}
	}
	return l
}

// here says whether a copy is on this host.
func (l *Log) here(n int) bool {
	host, _ := l.copies[n].place()
	return host == ""
}

// reply is what one copy answered.
type reply struct {
	n   int
	err error
}

// atOnce asks all at the same time.
func atOnce(who []int, f func(n int) error) <-chan reply {
	answers := make(chan reply, len(who))
	for _, n := range who {
		go func() { answers <- reply{n, f(n)} }()
	}
	return answers
}

const (
	// callLimit is how long a copy may take to answer before it counts as away.
	callLimit = 2 * time.Second
	// stragglerLimit is how long others are waited for when enough have answered.
	stragglerLimit = 100 * time.Millisecond
)

// each calls f for the replicas at the same time and returns who succeeded, and
// everybody's errors. It waits for all, but for none longer than callLimit, and
// not for stragglers once enough have answered.
func (l *Log) each(ctx context.Context, enough func(done []int) bool, who []int, f func(n int) error) (done []int, errs map[int]error) {
	answers := l.call(who, f)
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
		if stragglers == nil && enough(done) {
			stragglers = time.After(stragglerLimit)
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
	for _, n := range l.near {
		if s, ok := states[n]; ok && l.counts(n) {
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

// bring makes copy n what copy from is (top), and the ballot's.
func (l *Log) bring(n, from int, b Ballot, top State) error {
	c := l.copies[n]
	if n != from {
		if err := c.Truncate(b, top); err != nil {
			return err
		}
		if err := l.fill(n, from, b, top.Terms, top.End); err != nil {
			return err
		}
	}
	return c.Adopt(b, top, top.End)
}

const fillChunk = 1 << 20

// fill copies bytes from copy from, which has these terms, until copy n ends at
// end.
func (l *Log) fill(n, from int, b Ballot, terms []TermBegin, end LSN) error {
	c := l.copies[n]
	s, err := c.State()
	if err != nil && !errors.Is(err, errRebuilding) {
		return err
	}
	buf := make([]byte, min(l.chunk, max(0, end-s.End)))
	for at := s.End; at < end; {
		p := buf[:min(LSN(len(buf)), end-at)]
		if err := l.readTerms(from, p, at, terms); err != nil {
			return err
		}
		if err := c.Fill(b, terms, at, p); err != nil {
			return err
		}
		at += LSN(len(p))
	}
	return nil
}

// enter makes the ballot the one that is served here.
func (l *Log) enter(b Ballot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b != l.ballot {
		l.ballot, l.waits, l.begun = b, false, false
		l.announce()
	}
}

// serves says whether the ballot's writer may append here.
func (l *Log) serves(b Ballot) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ballot == b && l.begun
}

// leads says which ballot was opened here and not taken over, if any was.
func (l *Log) leads() (Ballot, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ballot, l.waits || l.begun
}

// stepDown ends what is done here for a ballot, because a copy has promised itself
// to a higher one. If it was in vain, the term's writer opens another try.
func (l *Log) stepDown(b Ballot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ballot == b && (l.waits || l.begun) {
		l.log.Info("wal: this host does not lead the log any more", "ballot", b.String())
		l.waits, l.begun = false, false
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

// opened says whether the term was opened here, and has not begun.
func (l *Log) opened(term int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ballot.Term == term && l.waits
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

// Begin opens the log, after Open, for the term's writer: its WAL follows h and
// goes on at from.
func (l *Log) Begin(ctx context.Context, term int64, h History, from LSN) error {
	l.opening.Lock()
	defer l.opening.Unlock()
	l.mu.Lock()
	b, terms, waits := l.ballot, l.terms, l.waits
	l.mu.Unlock()
	if b.Term != term || !waits {
		return fmt.Errorf("term %d is not open: %w", term, ErrStale)
	}
	done, errs := l.each(ctx, l.writable, l.everyone(), func(n int) error { return l.copies[n].Begin(b, terms, h, from) })
	if !l.writable(done) {
		return l.noQuorum("begin term", term, done, errs)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waits, l.begun, l.handed = false, true, from
	l.gate = Gate{h, from}
	l.announce()
	return nil
}

// Append adds bytes of the term's writer and returns what is committed after it.
// With several groups it does not wait for them: see lane.
func (l *Log) Append(ctx context.Context, term int64, at LSN, data []byte) (LSN, error) {
	l.mu.Lock()
	b, begun := l.ballot, l.begun
	l.mu.Unlock()
	if b.Term != term || !begun {
		return 0, ErrStale
	}
	if len(l.groups) > 1 {
		return l.spread(ctx, b, at, data)
	}
	err := l.groups[0].Append(b, at, data)
	if errors.Is(err, ErrStale) {
		return 0, err
	}
	if err != nil {
		l.Repair()
	}
	return l.advance(b), nil
}

// advance moves the gate to what a write quorum has of all sets that count.
func (l *Log) advance(b Ballot) LSN {
	ends, h := l.ends(b)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ballot != b || !l.begun {
		return l.gate.LSN
	}
	if lsn := durable(ends, l.sets); lsn > l.gate.LSN {
		l.gate = Gate{h, lsn}
		for _, c := range l.copies {
			c.noteCommitted(lsn)
		}
		l.announce()
	}
	return l.gate.LSN
}

// ends is where the copies end that are the ballot's, 0 of the others, and the
// history that they have.
func (l *Log) ends(b Ballot) (ends []LSN, h History) {
	ends = make([]LSN, len(l.copies))
	for n, c := range l.copies {
		if s, err := c.State(); err == nil && s.open(b) {
			ends[n], h = s.End, s.History
		}
	}
	return ends, h
}

// durable is up to where a write quorum of each set has everything.
func durable(ends []LSN, sets [][]int) LSN {
	lsn := ^LSN(0)
	for _, set := range sets {
		of := make([]LSN, len(set))
		for i, n := range set {
			of[i] = ends[n]
		}
		slices.Sort(of)
		write, _ := quorum(len(set))
		lsn = min(lsn, of[len(of)-write])
	}
	return lsn
}
