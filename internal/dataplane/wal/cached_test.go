package wal

import (
	"context"
	"errors"
	"testing"
)

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
