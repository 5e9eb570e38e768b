package wal

import (
	"context"
	"testing"
	"time"
)

// direct is the way to a host that is always there.
type direct struct{ host *Host }

func (d direct) call(_ context.Context, q *copyRequest, data []byte, _ time.Duration) (copyAnswer, []byte, error) {
	a, body, _ := d.host.orders.obey(q, data)
	a.epoch = 1
	return a, body, nil
}

func (d direct) reachable() error { return nil }

// TestCopyOfAnotherHostThatLacksWhatWasTrimmedIsRebuilt, though it is well itself.
func TestCopyOfAnotherHostThatLacksWhatWasTrimmedIsRebuilt(t *testing.T) {
	other, err := OpenHost(t.Context(), HostConfig{Layout: newLayout(t, "xa"), HostID: "other"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	a, b, c := testCopy(t), testCopy(t), newRemote(t.Context(), direct{other}, "cluster", Place{"other", "xa", 2})
	ballot := Ballot{1, 1}
	_, _ = c.refresh() // it is blank
	for _, step := range []func() error{
		func() error { return c.format(State{}) },
		func() error { _, err := c.Promise(ballot); return err },
		func() error { return c.Adopt(ballot, State{}, 0) },
		func() error { return c.Begin(ballot, nil, History{{1, 0}}, 0) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	for _, to := range []*Copy{a, b} {
		appendAll(t, make([]byte, segmentSize+1000), to)
		to.noteCommitted(segmentSize + 1000)
		if err := to.Trim(ballot, segmentSize); err != nil {
			t.Fatal(err)
		}
	}
	l := newLog("cluster", []replica{a, b, c}, []group{diskGroup{a, b}})
	l.ballot, l.begun = ballot, true
	eventually(t, "the copy has what the others have", func() bool {
		l.repair()
		s, err := c.State()
		return err == nil && s.Start == segmentSize && s.End == a.state.End
	})
}

// TestCopyThatLacksWhatWasTrimmedIsRebuilt: the log is trimmed while a copy is
// behind, and again while it is being rebuilt.
func TestCopyThatLacksWhatWasTrimmedIsRebuilt(t *testing.T) {
	a, b, c := testCopy(t), testCopy(t), testCopy(t)
	ballot := Ballot{1, 1}
	write := func(size LSN) {
		t.Helper()
		for _, to := range []*Copy{a, b} {
			if err := (diskGroup{to}).Append(ballot, to.state.End, make([]byte, size)); err != nil {
				t.Fatal(err)
			}
		}
	}
	trim := func(before LSN) {
		t.Helper()
		for _, of := range []*Copy{a, b} {
			of.noteCommitted(of.state.End)
			if err := of.Trim(ballot, before); err != nil {
				t.Fatal(err)
			}
		}
	}
	l := newLog("cluster", []replica{a, b, c}, []group{diskGroup{a, b, c}})
	l.ballot, l.begun = ballot, true
	whole := func(what string) {
		t.Helper()
		eventually(t, what, func() bool {
			l.repair()
			s, err := c.State()
			return err == nil && s.End == a.state.End
		})
	}
	const segment = 16 << 20
	write(2*segment + 1000)
	trim(2 * segment)
	whole("a copy that was behind is rebuilt")

	had, err := c.State()
	if err != nil {
		t.Fatal(err)
	}
	c.forget()
	if err := c.Rebuild(had); err != nil { // nothing is in it yet
		t.Fatal(err)
	}
	write(2 * segment)
	trim(4 * segment)
	whole("a copy whose rebuilding was overtaken is rebuilt")
	if s, _ := c.State(); s.Start < 4*segment {
		t.Errorf("it begins at %s", s.Start)
	}
}
