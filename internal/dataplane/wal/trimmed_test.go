package wal

import "testing"

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
