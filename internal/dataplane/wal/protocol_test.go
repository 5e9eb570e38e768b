package wal

import (
	"context"
	"errors"
	"flag"
	"slices"
	"testing"
	"time"
)

var schedules = flag.Int("schedules", 3000, "how many random schedules of the log's protocol to try")

// recordLen is the length of every record in simulated WAL: a commit is one.
const recordLen = 4

func simRecordEnd(read readAt, start, limit LSN) (LSN, error) {
	if limit > start {
		if err := read(make([]byte, 1), limit-1); err != nil {
			return 0, err
		}
	}
	return max(start, limit/recordLen*recordLen), nil
}

// act lets something happen.
func (w *world) act() {
	h := w.hosts[w.IntN(len(w.hosts))]
	kinds := 27
	if w.rough {
		kinds = 33
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
		c := w.copies[w.IntN(len(w.copies))]
		c.slow = !c.slow && w.IntN(2) == 0
	case 27, 28:
		w.loseCopy()
	case 29, 30:
		h.links[w.IntN(len(h.links))].down = true
	case 31:
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
		if err := log.readCommitted(local, 0); err != nil {
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
