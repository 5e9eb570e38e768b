package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// world is copies on three hosts, with unreliable messages to them, and logs on
// these hosts that take over from each other without asking.
type world struct {
	*rand.Rand
	t      *testing.T
	copies []*simCopy
	hosts  []*simHost
	term   int64 // the state store's: one winner each
	late   []func()
	// committed has every byte that anybody was told of; none may ever change.
	committed []byte
	depth     int
	story     []string
	apart     bool    // a host's copies are its own: others reach them by messages
	quiet     bool    // all messages arrive
	rough     bool    // more is lost, and less is heard of it
	place     []int   // the host of each copy
	moving    bool    // the copies go elsewhere all the time
	given     []Place // the copies that count, as the state store knows
	moves     int     // that were completed
	moved     bool    // or begun to be: the log is not made any more
	shapes    uint64
	processes [3]uint64 // how many processes each host's copies have had
	clock     int64
	tries     map[int64]bool // that were used
}

// simCopy is a copy. simLocal and simLink say how reliably it is reached.
type simCopy struct {
	w     *world
	n     int
	state State
	data  []byte
	blank bool
	lost  bool // and not yet rebuilt
	slow  bool // its disk hangs for reads
	shape uint64
	stamp uint64
}

var errLost = errors.New("lost")

// deliver runs a step, or not, or says that it did not; others may act before it
// and before its answer.
func (w *world) deliver(step func() error) error {
	if w.quiet {
		return step()
	}
	w.interrupt(40)
	switch w.IntN(24) {
	case 0:
		return errLost
	case 1:
		_ = step()
		return errLost
	case 2:
		w.late = append(w.late, func() { _ = step() })
		return errLost
	case 3:
		w.late = append(w.late, func() { _ = step() })
	}
	err := step()
	w.interrupt(80)
	return err
}

func (w *world) interrupt(oneIn int) {
	if w.depth < 2 && w.IntN(oneIn) == 0 {
		w.depth++
		for range 1 + w.IntN(4) {
			w.act()
		}
		w.depth--
	}
}

func (c *simCopy) State() (State, error) {
	switch {
	case c.blank:
		return State{}, errBlank
	case c.state.Rebuilding:
		return c.state, errRebuilding
	}
	return c.state, nil
}

func (c *simCopy) refresh() (State, error) { return c.State() }

func (c *simCopy) change(f func(s *State) error) error {
	s, err := c.State()
	if err != nil {
		return err
	}
	return c.changeAny(s, f)
}

func (c *simCopy) changeAny(s State, f func(s *State) error) error {
	if err := f(&s); err != nil {
		return err
	}
	c.state, c.shape = s, c.w.newShape()
	return nil
}

func (w *world) newShape() uint64 {
	w.shapes++
	return w.shapes
}

func (c *simCopy) Promise(b Ballot) (State, error) {
	err := c.change(func(s *State) error { return s.promise(b) })
	return c.state, err
}
func (c *simCopy) Truncate(b Ballot, newer State) error {
	return c.change(func(s *State) error { return s.truncate(b, newer) })
}
func (c *simCopy) Adopt(b Ballot, newer State, end LSN) error {
	return c.change(func(s *State) error { return s.adopt(b, newer, end) })
}
func (c *simCopy) Begin(b Ballot, terms []TermBegin, h History, begin LSN) error {
	return c.change(func(s *State) error { return s.begin(b, terms, h, begin) })
}
func (c *simCopy) Join(b Ballot, newer State) error {
	return c.change(func(s *State) error { return s.join(b, newer) })
}
func (c *simCopy) SetMembers(b Ballot, m *Members) error {
	return c.change(func(s *State) error { return s.setMembers(b, m) })
}
func (c *simCopy) Fill(b Ballot, terms []TermBegin, at LSN, data []byte) error {
	if c.blank {
		return errBlank
	}
	if err := c.state.fill(b, terms, at); err != nil {
		return err
	}
	c.put(at, data)
	return nil
}
func (c *simCopy) append(b Ballot, at LSN, data []byte) error {
	s, err := c.State()
	if err != nil {
		return err
	}
	if s.open(b) && s.End > at {
		skip := min(s.End-at, LSN(len(data)))
		at, data = at+skip, data[skip:]
	}
	if err := s.extend(b, at); err != nil && len(data) > 0 {
		return err
	}
	c.put(at, data)
	return nil
}
func (c *simCopy) put(at LSN, data []byte) {
	if len(data) > 0 {
		c.data = append(c.data[:at:at], data...)
		c.state.End = at + LSN(len(data))
	}
}
func (c *simCopy) Rebuild(from State) error {
	c.state, c.blank, c.data, c.shape = from.toRebuild(), false, nil, c.w.newShape()
	return nil
}
func (c *simCopy) Rebuilt(newer State) error {
	return c.changeAny(c.state, func(s *State) error { return s.rebuilt(newer) })
}
func (c *simCopy) format(s State) error {
	if c.blank {
		c.state, c.blank, c.shape = s, false, c.w.newShape()
	}
	return nil
}
func (c *simCopy) anew(shape uint64, rebuild bool, s State) error {
	switch {
	case c.shape != shape || !c.blank && (!rebuild || !c.state.Rebuilding):
		return errChanged
	case rebuild:
		return c.Rebuild(s)
	}
	return c.format(s)
}
func (c *simCopy) rebuiltAs(shape uint64, newer State) error {
	if c.shape != shape {
		return errChanged
	}
	return c.Rebuilt(newer)
}
func (c *simCopy) ReadAt(p []byte, at LSN) (State, error) {
	s, err := c.State()
	if err == nil && at+LSN(len(p)) > s.End {
		err = errShort
	}
	if err == nil && c.slow {
		err = errSlow
	}
	if err == nil {
		copy(p, c.data[at:])
	}
	return s, err
}
func (c *simCopy) RecordEnd(start, limit LSN) (LSN, error) {
	return simRecordEnd(func(p []byte, at LSN) error { _, err := c.ReadAt(p, at); return err }, start, limit)
}
func (c *simCopy) noteCommitted(lsn LSN) {
	c.state.Committed = max(c.state.Committed, min(lsn, c.state.End))
}
func (c *simCopy) tell(shape uint64) copyState {
	c.stamp++
	_, err := c.State()
	told := copyState{Stamp: c.stamp, Shape: c.shape, End: c.state.End, Committed: c.state.Committed, Problem: toWire(err)}
	if c.shape != shape {
		s := c.state
		told.State = &s
	}
	return told
}
func (c *simCopy) Trim(Ballot, LSN) error               { return nil }
func (c *simCopy) fail(error)                           {}
func (c *simCopy) damaged() []LSN                       { return nil }
func (c *simCopy) patch(LSN, []byte, []TermBegin) error { return nil }
func (c *simCopy) forgetIfLost() bool                   { return false }
func (c *simCopy) awayFor(time.Duration, float64)       {}
func (c *simCopy) place() (host, disk string)           { return "", "" }
func (c *simCopy) forget() {
	c.state, c.data, c.blank, c.shape = State{}, nil, true, c.w.newShape()
}

// simLocal is a copy on the log's own host, whose disk may fail at a step.
type simLocal struct{ *simCopy }

func (c simLocal) Promise(b Ballot) (s State, err error) {
	err = c.w.deliver(func() error { s, err = c.simCopy.Promise(b); return err })
	return s, err
}
func (c simLocal) Truncate(b Ballot, newer State) error {
	return c.w.deliver(func() error { return c.simCopy.Truncate(b, newer) })
}
func (c simLocal) Adopt(b Ballot, newer State, end LSN) error {
	return c.w.deliver(func() error { return c.simCopy.Adopt(b, newer, end) })
}
func (c simLocal) Begin(b Ballot, terms []TermBegin, h History, begin LSN) error {
	return c.w.deliver(func() error { return c.simCopy.Begin(b, terms, h, begin) })
}
func (c simLocal) Join(b Ballot, newer State) error {
	return c.w.deliver(func() error { return c.simCopy.Join(b, newer) })
}
func (c simLocal) SetMembers(b Ballot, m *Members) error {
	return c.w.deliver(func() error { return c.simCopy.SetMembers(b, m) })
}
func (c simLocal) Fill(b Ballot, terms []TermBegin, at LSN, data []byte) error {
	data = append([]byte(nil), data...)
	return c.w.deliver(func() error { return c.simCopy.Fill(b, terms, at, data) })
}
func (c simLocal) Rebuilt(newer State) error {
	shape := c.shape // nothing is late on a host itself, but for what hangs in its disk
	return c.w.deliver(func() error { return c.rebuiltAs(shape, newer) })
}

type simGroup []*simCopy

func (g simGroup) Append(b Ballot, at LSN, data []byte) error {
	data = append([]byte(nil), data...)
	var errs error
	for _, c := range g {
		errs = errors.Join(errs, c.w.deliver(func() error { return c.append(b, at, data) }))
	}
	return errs
}

// simLink is the way from one host to the copies of another: requests and answers
// get lost, requests come late or twice, and answers in another order.
type simLink struct {
	w    *world
	to   int
	down bool
}

func (l *simLink) reachable() error {
	if l.down {
		return &unreachable{fmt.Sprint(l.to), errLost}
	}
	return nil
}

func (l *simLink) call(_ context.Context, q *copyRequest, data []byte, _ time.Duration) (a copyAnswer, body []byte, err error) {
	w := l.w
	if err := l.reachable(); err != nil {
		return a, nil, err
	}
	late := *q
	kept := append([]byte(nil), data...)
	err = w.deliver(func() error {
		a, body = w.order(&late, kept)
		a.epoch = w.processes[l.to]
		return nil
	})
	if err != nil {
		l.down = w.IntN(2) == 0
		return copyAnswer{}, nil, &unreachable{fmt.Sprint(l.to), err}
	}
	return a, body, nil
}

// order does what orders.obey does.
func (w *world) order(q *copyRequest, data []byte) (a copyAnswer, body []byte) {
	var err error
	for _, name := range q.Copies {
		c := w.copies[name.Number]
		switch q.Op {
		case opAppend:
			note(c, q)
			err = errors.Join(err, c.append(q.Ballot, q.At, data))
		case opState:
			note(c, q)
		default:
			body, a.LSN, err = obey(c, q, data)
		}
	}
	for _, name := range q.Copies {
		a.Copies = append(a.Copies, w.copies[name.Number].tell(name.Shape))
	}
	a.Error = toWire(err)
	return a, body
}

// simHost is a log process with a server beside it.
type simHost struct {
	*Log
	w        *world
	id       int
	target   []Place // where it moves the copies
	links    []*simLink
	others   []*hostGroup
	leads    int64
	tried    int64  // a term that it has and has not begun
	local    []byte // the server's WAL
	shipped  LSN
	timeline uint32
}

func newWorld(t *testing.T, seed uint64, copies int, apart bool) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 1)), t: t, apart: apart, tries: map[int64]bool{}, hosts: make([]*simHost, 3)}
	w.rough = apart && w.IntN(2) == 0
	w.moving = w.IntN(2) == 0
	anywhere := w.IntN(3) == 0
	for n := range 2 * copies {
		at := n % len(w.hosts)
		if anywhere {
			at = w.IntN(len(w.hosts))
		}
		w.place = append(w.place, at)
		if n < copies {
			w.given = append(w.given, w.placeOf(n))
		}
		w.copies = append(w.copies, &simCopy{w: w, n: n, blank: true, shape: w.newShape()})
	}
	for id := range w.hosts {
		w.hosts[id] = w.newHost(id)
	}
	return w
}

func (w *world) placeOf(n int) Place {
	return Place{Host: fmt.Sprint(w.place[n]), Zone: "z", Number: n}
}

func (w *world) newHost(id int) *simHost {
	h := &simHost{w: w, id: id}
	for to := range w.hosts {
		h.links = append(h.links, &simLink{w: w, to: to})
	}
	h.assemble(nil, nil)
	return h
}

// assemble does what Host.assemble does.
func (h *simHost) assemble(m *Members, more []Place) {
	w, id := h.w, h.id
	counting := [][]Place{w.given}
	if m != nil {
		counting = [][]Place{m.Now, m.Next}
	}
	places := join(join(nil, slices.Concat(counting...)), more)
	h.others = nil
	var groups []group
	var here simGroup
	others := map[int]*hostGroup{}
	replicas := make([]replica, len(places))
	for n, p := range places {
		c, at := w.copies[p.Number], w.place[p.Number]
		if !w.apart || at == id {
			replicas[n], here = simLocal{c}, append(here, c)
			continue
		}
		if others[at] == nil {
			others[at] = &hostGroup{via: h.links[at], ctx: context.Background()}
			groups, h.others = append(groups, others[at]), append(h.others, others[at])
		}
		r := newRemote(context.Background(), h.links[at], "sim", p)
		replicas[n], others[at].copies = r, append(others[at].copies, r)
	}
	if len(here) > 0 {
		groups = append(groups, here)
	}
	h.Log = newLog("sim", replicas, groups)
	h.configure(m, places, counting...)
	h.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	h.recordEnd = simRecordEnd
	h.chunk = LSN(4 + w.IntN(40))
	if w.apart {
		h.nextTry = w.nextTry
	}
	h.call = func(who []int, f func(int) error) <-chan reply {
		answers := make(chan reply, len(who))
		for _, i := range w.Perm(len(who)) {
			answers <- reply{who[i], f(who[i])}
		}
		return answers
	}
}

// nextTry is what clocks give that are sometimes set back: it is never the same.
func (w *world) nextTry(seen int64) int64 {
	w.clock += int64(1 + w.IntN(3))
	if w.IntN(10) == 0 {
		w.clock = max(0, w.clock-int64(w.IntN(10)))
	}
	try := max(seen+1, w.clock)
	for w.tries[try] {
		try++
	}
	w.tries[try] = true
	return try
}

func (w *world) tell(format string, args ...any) {
	w.story = append(w.story, fmt.Sprintf(format, args...))
}

func (w *world) fail(format string, args ...any) {
	for _, line := range w.story {
		w.t.Log(line)
	}
	for _, c := range w.copies {
		w.t.Logf("copy %d: blank %v, %+v", c.n, c.blank, c.state)
	}
	w.t.Fatalf(format, args...)
}
