package wal

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"
)

var schedules = flag.Int("schedules", 3000, "how many random schedules of the log's protocol to try")

// recordLen is the length of every record in simulated WAL: a commit is one.
const recordLen = 4

func simRecordEnd(_ readAt, start, limit LSN) (LSN, error) {
	return max(start, limit/recordLen*recordLen), nil
}

// world is copies with unreliable messages to them, and hosts that take the log
// over from each other without asking.
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
}

// simCopy is a copy whose messages get lost, come late or twice.
type simCopy struct {
	w     *world
	n     int
	state State
	data  []byte
	blank bool
}

var errLost = errors.New("lost")

// deliver runs a step, or not, or says that it did not; others may act before it.
func (c *simCopy) deliver(step func() error) error {
	w := c.w
	if w.depth < 2 && w.IntN(40) == 0 {
		w.depth++
		w.act()
		w.depth--
	}
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
	return step()
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

func (c *simCopy) change(f func(s *State) error) error {
	s, err := c.State()
	if err != nil {
		return err
	}
	if err := f(&s); err != nil {
		return err
	}
	c.state = s
	return nil
}

func (c *simCopy) Promise(b Ballot) (State, error) {
	err := c.deliver(func() error { return c.change(func(s *State) error { return s.promise(b) }) })
	return c.state, err
}
func (c *simCopy) Truncate(b Ballot, newer State) error {
	return c.deliver(func() error { return c.change(func(s *State) error { return s.truncate(b, newer) }) })
}
func (c *simCopy) Adopt(b Ballot, newer State, end LSN) error {
	return c.deliver(func() error { return c.change(func(s *State) error { return s.adopt(b, newer, end) }) })
}
func (c *simCopy) Begin(b Ballot, terms []TermBegin, h History, begin LSN) error {
	return c.deliver(func() error { return c.change(func(s *State) error { return s.begin(b, terms, h, begin) }) })
}
func (c *simCopy) Join(b Ballot, newer State) error {
	return c.deliver(func() error { return c.change(func(s *State) error { return s.join(b, newer) }) })
}
func (c *simCopy) Fill(b Ballot, terms []TermBegin, at LSN, data []byte) error {
	data = append([]byte(nil), data...)
	return c.deliver(func() error {
		if c.blank {
			return errBlank
		}
		if err := c.state.fill(b, terms, at); err != nil {
			return err
		}
		c.put(at, data)
		return nil
	})
}
func (c *simCopy) append(b Ballot, at LSN, data []byte) error {
	data = append([]byte(nil), data...)
	return c.deliver(func() error {
		s, err := c.State()
		if err != nil {
			return err
		}
		if err := s.extend(b, at); err != nil {
			return err
		}
		c.put(at, data)
		return nil
	})
}
func (c *simCopy) put(at LSN, data []byte) {
	c.data = append(c.data[:at], data...)
	c.state.End = at + LSN(len(data))
}
func (c *simCopy) Rebuild(from State) error {
	from.Rebuilding, from.Begun, from.End, from.Committed = true, false, from.Start, from.Start
	c.state, c.blank, c.data = from, false, nil
	return nil
}
func (c *simCopy) Rebuilt(newer State) error {
	return c.deliver(func() error { return c.state.rebuilt(newer) })
}
func (c *simCopy) ReadAt(p []byte, at LSN) error {
	if at+LSN(len(p)) > c.state.End {
		return errShort
	}
	copy(p, c.data[at:])
	return nil
}
func (c *simCopy) noteCommitted(lsn LSN) {
	c.state.Committed = max(c.state.Committed, min(lsn, c.state.End))
}
func (c *simCopy) fail(error)     {}
func (c *simCopy) damaged() []LSN { return nil }
func (c *simCopy) patch(LSN, []byte, []TermBegin) error {
	return nil
}
func (c *simCopy) lost() bool { return false }
func (c *simCopy) forget()    { c.state, c.data, c.blank = State{}, nil, true }

type simGroup []*simCopy

func (g simGroup) Append(b Ballot, at LSN, data []byte) error {
	var errs error
	for _, c := range g {
		errs = errors.Join(errs, c.append(b, at, data))
	}
	return errs
}

// simHost is a log process with a server beside it.
type simHost struct {
	*Log
	w        *world
	id       int
	leads    int64
	tried    int64  // a term that it has and has not begun
	local    []byte // the server's WAL
	shipped  LSN
	timeline uint32
}

func newWorld(t *testing.T, seed uint64, copies int) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 1)), t: t}
	for n := range copies {
		w.copies = append(w.copies, &simCopy{w: w, n: n, blank: true})
	}
	for id := range 3 {
		w.hosts = append(w.hosts, w.newHost(id))
	}
	return w
}

func (w *world) newHost(id int) *simHost {
	replicas := make([]replica, len(w.copies))
	for i, c := range w.copies {
		replicas[i] = c
	}
	h := &simHost{w: w, id: id}
	h.Log = newLog("sim", replicas, []group{simGroup(w.copies)}, func(s State) error {
		for _, c := range w.copies {
			c.state, c.blank = s, false
		}
		return nil
	})
	h.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	h.recordEnd = simRecordEnd
	h.call = func(who []int, f func(int) error) <-chan reply {
		answers := make(chan reply, len(who))
		for _, i := range w.Perm(len(who)) {
			answers <- reply{who[i], f(who[i])}
		}
		return answers
	}
	return h
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
	switch w.IntN(20) {
	case 0, 1, 2:
		h.takeOver()
	case 3:
		w.loseCopy()
	case 4:
		w.tell("host %d begins again", h.id)
		fresh := w.newHost(h.id)
		fresh.tried, fresh.leads, fresh.local, fresh.shipped, fresh.timeline = h.tried, h.leads, h.local, h.shipped, h.timeline
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
	default:
		h.writeSome()
	}
	w.check()
}

// loseCopy has one copy forget everything, if the others can stand it.
func (w *world) loseCopy() {
	away := 0
	for _, c := range w.copies {
		if c.blank || c.state.Rebuilding {
			away++
		}
	}
	if away == 0 && len(w.copies) > 1 {
		c := w.copies[w.IntN(len(w.copies))]
		w.tell("copy %d loses everything", c.n)
		c.forget()
		w.late = nil // messages to what is gone
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
	}
	term := h.tried
	ctx := context.Background()
	before := LSN(len(w.committed)) // what higher terms do meanwhile is not this one's
	o, err := h.Open(ctx, term, term == 1)
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
		if err := h.Read(local, 0); err != nil {
			w.tell("host %d cannot read: %v", h.id, err)
			return
		}
	}
	begin, history := o.End, append(History{}, h.gate.History...)
	if len(history) == 0 || w.IntN(3) > 0 { // a promotion
		begin = o.RecordEnd
		history = append(history, Timeline{uint32(term), begin})
	}
	if err := h.Begin(ctx, term, history, begin); err != nil {
		w.tell("host %d does not begin: %v", h.id, err)
		return
	}
	h.tried = 0
	h.leads, h.local, h.shipped, h.timeline = term, local[:begin], begin, history.newest()
	w.tell("host %d leads term %d from %d on timeline %d", h.id, term, begin, h.timeline)
}

func (h *simHost) resume() {
	if h.leads == 0 {
		return
	}
	end, err := h.Resume(context.Background(), h.leads)
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

func (h *simHost) writeSome() {
	if h.leads == 0 || h.ballot.Term != h.leads {
		return
	}
	for range 1 + h.w.IntN(6) {
		h.local = append(h.local, byte(h.w.Uint32()))
	}
	from := h.shipped
	h.shipped = LSN(len(h.local))
	gate, err := h.Append(context.Background(), h.leads, from, h.local[from:])
	if err != nil {
		h.w.tell("host %d ends: %v", h.id, err)
		h.leads = 0
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
		seen := make([]byte, end)
		if h.Read(seen, 0) != nil {
			continue // it can show nobody anything
		}
		for i := range seen {
			if i < len(w.committed) && w.committed[i] != seen[i] {
				w.fail("byte %d was committed as %d, host %d shows %d", i, w.committed[i], h.id, seen[i])
			}
		}
		if int(end) > len(w.committed) {
			w.committed = append(w.committed, seen[len(w.committed):]...)
		}
	}
}

// TestNothingCommittedIsEverLostOrChanged (invariants 1 to 3 and 5) tries random
// schedules of terms, appends, losses of messages and of copies, restarts, and
// messages that come late or twice.
func TestNothingCommittedIsEverLostOrChanged(t *testing.T) {
	began, total := time.Now(), 0
	for seed := range uint64(*schedules) {
		copies := []int{6, 3, 6, 1}[seed%4]
		w := newWorld(t, seed, copies)
		w.tell("seed %d, %d copies", seed, copies)
		w.hosts[0].takeOver()
		for range 60 + w.IntN(200) {
			w.act()
		}
		total += len(w.committed)
	}
	if total == 0 {
		t.Error("nothing was ever committed")
	}
	t.Logf("%d schedules, %d bytes committed, %v", *schedules, total, time.Since(began).Round(time.Millisecond))
}
