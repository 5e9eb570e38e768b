package wal

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var schedules = flag.Int("schedules", 3000, "how many random schedules of the log's protocol to try")

// recordLen is the length of every record in simulated WAL: a commit is one.
const recordLen = 4

func simRecordEnd(_ readAt, start, limit LSN) (LSN, error) {
	return max(start, limit/recordLen*recordLen), nil
}

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
	if err == nil {
		copy(p, c.data[at:])
	}
	return s, err
}
func (c *simCopy) RecordEnd(start, limit LSN) (LSN, error) { return simRecordEnd(nil, start, limit) }
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

// act lets something happen.
func (w *world) act() {
	h := w.hosts[w.IntN(len(w.hosts))]
	kinds := 25
	if w.rough {
		kinds = 31
	}
	switch w.IntN(kinds) {
	case 0, 1, 2:
		h.takeOver()
	case 3:
		w.loseCopy()
	case 4:
		w.tell("host %d begins again", h.id)
		fresh := w.newHost(h.id)
		fresh.target, fresh.tried, fresh.leads, fresh.local, fresh.shipped, fresh.timeline = h.target, h.tried, h.leads, h.local, h.shipped, h.timeline
		*h = *fresh
		h.resume()
	case 5, 6:
		if len(w.late) > 0 {
			i := w.IntN(len(w.late))
			f := w.late[i]
			w.late = append(w.late[:i], w.late[i+1:]...)
			w.tell("a message comes late")
			f()
		}
	case 7, 8:
		w.tell("host %d repairs", h.id)
		h.repair()
	case 9:
		w.restart(w.IntN(len(w.hosts)))
	case 10, 11, 12:
		h.lookAround()
	case 13, 14, 15, 16:
		if w.moving {
			h.move()
		} else {
			h.writeSome()
		}
	case 25, 26:
		w.loseCopy()
	case 27, 28:
		h.links[w.IntN(len(h.links))].down = true
	case 29:
		w.tell("host %d repairs", h.id)
		h.repair()
	default:
		h.writeSome()
	}
	if !w.rough || w.IntN(3) == 0 {
		h.runLanes()
	}
	w.check()
}

// restart has a host's copies served by a new process, which knows what they know.
func (w *world) restart(host int) {
	w.processes[host]++
	for n, c := range w.copies {
		if w.place[n] == host {
			c.stamp, c.shape = 0, w.newShape()
		}
	}
}

// loseCopy has one copy forget everything, if the others can stand it.
func (w *world) loseCopy() {
	away := 0
	for _, c := range w.copies {
		if _, err := c.State(); err == nil {
			c.lost = false
		}
		if c.lost {
			away++
		}
	}
	c := w.copies[w.IntN(len(w.copies))]
	if away == 0 && len(w.given) > 1 && !c.blank {
		w.tell("copy %d loses everything", c.n)
		c.forget()
		c.lost = true
	}
}

// lookAround finds hosts that were lost, and asks one how its copies are.
func (h *simHost) lookAround() {
	for _, l := range h.links {
		if l.down {
			l.down = h.w.IntN(2) == 0
		}
	}
	if len(h.others) > 0 {
		h.poll(h.others[h.w.IntN(len(h.others))])
	}
}

// runLanes has some lanes append something of what they hold.
func (h *simHost) runLanes() {
	lanes := h.lanes // a new process has others
	for _, i := range h.w.Perm(len(lanes)) {
		n := lanes[i]
		if h.w.IntN(3) > 0 && len(n.queue) > 0 {
			c, _ := n.next()
			n.append(c)
		}
	}
}

func (h *simHost) takeOver() {
	if !h.opening.TryLock() {
		return // in the middle of a call of its own
	}
	h.opening.Unlock()
	w := h.w
	if h.tried == 0 || w.IntN(3) == 0 {
		w.term++
		h.tried = w.term
		if _, leads := h.Log.leads(); !leads && w.IntN(2) == 0 {
			h.assemble(nil, nil) // as the state store says
		}
	}
	term := h.tried
	ctx := context.Background()
	w.check()
	before := LSN(len(w.committed)) // what higher terms do meanwhile is not this one's
	log := h.Log
	o, err := log.Open(ctx, term, term == 1 && !w.moved)
	if h.Log != log {
		return // the process has ended, and this with it
	}
	if h.renew(err) {
		h.takeOver()
		return
	}
	w.tell("host %d opens term %d: %+v, %v", h.id, term, o, err)
	if o.Begun {
		h.tried = 0
	}
	if err != nil || o.Begun {
		return
	}
	if o.RecordEnd < before {
		w.fail("term %d of host %d begins at %d, %d are committed", term, h.id, o.RecordEnd, before)
	}
	local := make([]byte, o.End)
	if o.End > 0 {
		if err := log.Read(local, 0); err != nil {
			w.tell("host %d cannot read: %v", h.id, err)
			return
		}
	}
	begin, history := o.End, append(History{}, log.gate.History...)
	if len(history) == 0 || w.IntN(3) > 0 { // a promotion
		begin = o.RecordEnd
		history = append(history, Timeline{uint32(term), begin})
	}
	err = log.Begin(ctx, term, history, begin)
	if h.Log != log {
		return
	}
	if err != nil {
		w.tell("host %d does not begin: %v", h.id, err)
		return
	}
	h.tried = 0
	h.leads, h.local, h.shipped, h.timeline = term, local[:begin], begin, history.newest()
	w.tell("host %d leads term %d from %d on timeline %d", h.id, term, begin, h.timeline)
}

func (h *simHost) resume() {
	if h.leads == 0 || !h.opening.TryLock() {
		return
	}
	h.opening.Unlock()
	log := h.Log
	end, err := log.Resume(context.Background(), h.leads)
	if h.Log != log {
		return
	}
	if h.renew(err) {
		h.resume()
		return
	}
	h.w.tell("host %d resumes term %d at %d: %v", h.id, h.leads, end, err)
	if err != nil || end > LSN(len(h.local)) {
		if err == nil {
			h.w.fail("the log has %d, the server of host %d only %d", end, h.id, len(h.local))
		}
		h.leads = 0
		return
	}
	h.shipped = end
}

// renew does what Host.with does.
func (h *simHost) renew(err error) bool {
	var other *membersError
	var none *QuorumError
	switch m := h.configuration(); {
	case errors.As(err, &other):
		h.w.tell("host %d finds %+v", h.id, other.found)
		h.assemble(other.found, nil)
		return true
	case errors.As(err, &none) && m != nil && !slices.Equal(join(m.Now, m.Next), h.w.given) && h.w.IntN(2) == 0:
		h.assemble(nil, nil)
		return true
	}
	return false
}

// move does the next step of what Host.move does.
func (h *simHost) move() {
	w := h.w
	if h.leads == 0 || !h.serves(h.ballot) || !h.opening.TryLock() {
		return
	}
	h.opening.Unlock()
	m := h.configuration()
	if m == nil {
		m = &Members{Now: w.given}
	}
	if len(m.Next) > 0 { // whoever began it
		h.target = m.Next
		if w.IntN(8) == 0 {
			h.target = m.Now
		}
		log := h.Log
		err := log.settle(context.Background(), h.ballot, h.target)
		w.tell("host %d ends the change to %v: %v", h.id, h.target, err)
		if err != nil || h.Log != log {
			return
		}
		w.moves++
		w.given, h.target = h.target, nil
		h.assemble(h.configuration(), nil)
		h.resume()
		return
	}
	if h.target == nil || slices.Equal(h.target, m.Now) {
		h.target, w.moved = w.target(m.Now), true
		w.tell("host %d moves the copies from %v to %v", h.id, m.Now, h.target)
	}
	if !slices.Equal(h.places, join(m.Now, h.target)) {
		h.assemble(h.configuration(), h.target)
		h.resume()
		return
	}
	for n, p := range h.places {
		if s, err := h.copies[n].State(); slices.Contains(h.target, p) && (err != nil || !s.open(h.ballot)) {
			h.repair()
			return
		}
	}
	err := h.propose(context.Background(), h.ballot, m.Now, h.target)
	w.tell("host %d has %v count too: %v", h.id, h.target, err)
}

// target is another list of copies.
func (w *world) target(now []Place) []Place {
	list := slices.Clone(now)
	if w.IntN(3) == 0 {
		list = nil
		for _, n := range w.Perm(len(w.copies))[:1+w.IntN(len(w.copies)/2)] {
			list = append(list, w.placeOf(n))
		}
		return list
	}
	for range 1 + w.IntN(2) {
		if n := w.placeOf(w.IntN(len(w.copies))); !slices.Contains(list, n) {
			switch i := w.IntN(len(list) + 1); {
			case i == len(list) || w.IntN(4) == 0:
				list = append(list, n)
			default:
				list[i] = n
			}
		} else if len(list) > 2 && w.IntN(2) == 0 {
			list = list[:len(list)-1]
		}
	}
	return list
}

func (h *simHost) writeSome() {
	if h.leads == 0 || h.ballot.Term != h.leads {
		return
	}
	for range 1 + h.w.IntN(6) {
		h.local = append(h.local, byte(h.w.Uint32()))
	}
	from := h.shipped
	h.shipped = LSN(len(h.local))
	log := h.Log
	gate, err := log.Append(context.Background(), h.leads, from, h.local[from:])
	if h.Log != log {
		return
	}
	if err != nil {
		h.w.tell("host %d ends: %v", h.id, err)
		if h.w.IntN(2) == 0 {
			h.resume()
		} else {
			h.leads = 0
		}
		return
	}
	h.w.tell("host %d wrote up to %d, committed %d", h.id, h.shipped, gate)
}

// check holds what every host's readers may see against what was seen before.
func (w *world) check() {
	for _, h := range w.hosts {
		gate, _ := h.Gate()
		end := gate.LSN / recordLen * recordLen
		if len(gate.History) == 0 || end == 0 {
			continue
		}
		seen := w.shown(h, end)
		for i := range seen {
			if i < len(w.committed) && w.committed[i] != seen[i] {
				w.fail("byte %d was committed as %d, host %d shows %d", i, w.committed[i], h.id, seen[i])
			}
		}
		if len(seen) > len(w.committed) {
			w.committed = append(w.committed, seen[len(w.committed):]...)
		}
	}
}

// shown is what a reader can be shown by a host, from any copy that it may read.
func (w *world) shown(h *simHost, end LSN) []byte {
	for _, c := range w.copies {
		s, err := c.State()
		if err == nil && s.Owner == h.ballot && s.Begun == h.begun && s.End >= end {
			return c.data[:end]
		}
	}
	return nil // it can show nobody anything
}

// TestNothingCommittedIsEverLostOrChanged (invariants 1 to 3 and 5) tries random
// schedules of terms, appends, losses of messages and of copies, restarts, and
// messages that come late or twice.
func TestNothingCommittedIsEverLostOrChanged(t *testing.T) {
	began, total, moves := time.Now(), 0, 0
	for seed := range uint64(*schedules) {
		copies, apart := []int{6, 3, 6, 1, 6, 5}[seed%6], seed%3 > 0
		w := newWorld(t, seed, copies, apart)
		w.tell("seed %d, %d copies, apart %v", seed, copies, apart)
		w.hosts[0].takeOver()
		for range 60 + w.IntN(300) {
			w.act()
		}
		total, moves = total+len(w.committed), moves+w.moves
	}
	if total == 0 || moves == 0 && *schedules > 100 {
		t.Error("nothing was ever committed, or moved")
	}
	t.Logf("%d schedules, %d bytes committed, %d changes of the copies, %v", *schedules, total, moves, time.Since(began).Round(time.Millisecond))
}

// quietWorld has three copies, one on each host, and messages that arrive.
func quietWorld(t *testing.T) *world {
	w := newWorld(t, 1, 3, true)
	w.quiet, w.place = true, []int{0, 1, 2, 0}
	w.given = []Place{w.placeOf(0), w.placeOf(1), w.placeOf(2)}
	for id := range w.hosts {
		w.hosts[id] = w.newHost(id)
	}
	return w
}

func (h *simHost) write(n int) {
	from := h.shipped
	h.local = append(h.local, make([]byte, n)...)
	for i := range n {
		h.local[int(from)+i] = byte(10*h.id + i)
	}
	h.shipped = LSN(len(h.local))
	_, _ = h.Append(context.Background(), h.leads, from, h.local[from:])
	for _, n := range h.lanes {
		for len(n.queue) > 0 {
			c, _ := n.next()
			n.append(c)
		}
	}
}

func TestFormerLeaderDoesNotRebuildACopyThatAnotherHadAPartIn(t *testing.T) {
	w := quietWorld(t)
	former, leader := w.hosts[0], w.hosts[1]
	former.takeOver()
	former.write(8)
	// The new leader does not reach the former one, which hears of nothing.
	leader.links[0].down = true
	leader.takeOver()
	leader.write(12)
	w.check()
	if len(w.committed) == 0 || leader.gate.LSN <= former.gate.LSN {
		t.Fatalf("committed %d by the former leader, %d by the next one", former.gate.LSN, leader.gate.LSN)
	}
	w.copies[2].forget()
	former.poll(former.others[1])
	if _, err := former.copies[2].State(); !errors.Is(err, errBlank) {
		t.Fatalf("the loss was not heard of: %v", err)
	}
	before := former.gate.LSN
	former.repair()
	former.write(4)
	former.repair()
	former.write(4)
	w.check()
	if former.gate.LSN != before || !w.copies[2].blank {
		t.Errorf("the former leader went on to %d, copy 2: %+v", former.gate.LSN, w.copies[2].state)
	}
	// The leader rebuilds it.
	leader.links[0].down = false
	leader.poll(leader.others[0])
	leader.poll(leader.others[1])
	leader.repair()
	leader.repair()
	for n, c := range w.copies[:3] {
		if s, err := c.State(); err != nil || !s.open(leader.ballot) || s.End != leader.shipped {
			t.Errorf("copy %d: %+v, %v", n, s, err)
		}
	}
	former.poll(former.others[0])
	if _, leads := former.Log.leads(); leads {
		t.Error("the former leader has heard of the next one and goes on")
	}
}

func TestAnswersOfBeforeALossAreForgotten(t *testing.T) {
	b := Ballot{1, 1}
	open := State{Promised: b, Owner: b, Begun: true}
	told := func(stamp, shape uint64, s State, err error) *copyState {
		return &copyState{Stamp: stamp, Shape: shape, State: &s, End: s.End, Problem: toWire(err)}
	}
	at := func(end LSN) State { s := open; s.End = end; return s }
	type answer struct {
		epoch uint64
		told  *copyState
	}
	for _, c := range []struct {
		name    string
		answers []answer
		end     LSN
		problem error
	}{
		{"in order", []answer{{1, told(1, 1, at(5), nil)}, {1, told(2, 1, at(9), nil)}}, 9, nil},
		{"out of order", []answer{{1, told(2, 1, at(9), nil)}, {1, told(1, 1, at(5), nil)}}, 9, nil},
		{"of before a loss", []answer{{1, told(2, 2, State{}, errBlank)}, {1, told(1, 1, at(9), nil)}}, 0, errBlank},
		{"of a process that has ended", []answer{{2, told(1, 7, at(3), nil)}, {1, told(99, 1, at(9), nil)}}, 3, nil},
		{"of a process that has begun", []answer{{1, told(99, 1, at(9), nil)}, {2, told(1, 7, State{}, errBlank)}}, 0, errBlank},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRemote(t.Context(), &simLink{}, "c", Place{"h", "z", 0})
			for _, a := range c.answers {
				_, _ = r.note(a.epoch, a.told, r.known())
			}
			if s, err := r.State(); s.End != c.end || !errors.Is(err, c.problem) {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

func TestTriesAreHigherThanAnyThatWasSeenAndNeverTheSame(t *testing.T) {
	next, used := newTries(), map[int64]bool{}
	for i, seen := int64(0), int64(0); i < 1000; i++ {
		try := next(seen)
		if try <= seen || used[try] {
			t.Fatalf("%d after %d", try, seen)
		}
		used[try] = true
		seen = try + i%3 - 1
	}
}
