package state_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

// messages are those of the events from a time on.
func messages(t *testing.T, store *state.Store, from time.Time) []string {
	t.Helper()
	events, err := state.Events(t.Context(), store, from)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range events {
		if e.ID == "" || e.Time.Before(from) {
			t.Errorf("event %+v", e)
		}
		all = append(all, e.Message)
	}
	return all
}

func TestAnEventIsStoredOnlyWithItsChange(t *testing.T) {
	store, begin := statetest.Start(t), time.Now()
	table := state.NewTable[thing](store, "test/things")
	tell := func(before, after thing) []aurora.Event {
		return []aurora.Event{{Message: fmt.Sprint(before.N)}, {Message: fmt.Sprint(after.N)}}
	}
	if _, err := table.Create(t.Context(), "a", thing{1}); err != nil {
		t.Fatal(err)
	}
	for _, refusal := range []error{state.ErrUnchanged, errors.New("refused")} {
		_, _ = table.UpdateTelling(t.Context(), "a", func(*thing) error { return refusal }, tell)
	}
	if _, err := store.Commit(t.Context(), table.CheckOp("a", 0), state.EventOp(aurora.Event{}, time.Now())); !errors.Is(err, state.ErrConflict) {
		t.Errorf("a condition that does not hold: %v", err)
	}
	if got := messages(t, store, begin); len(got) > 0 {
		t.Errorf("told of what was not done: %q", got)
	}
	if _, err := table.UpdateTelling(t.Context(), "a", func(v *thing) error { v.N = 2; return nil }, tell); err != nil {
		t.Fatal(err)
	}
	if got := messages(t, store, begin); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("told %q", got)
	}
}

func TestPrunedEventsAreThoseBeforeATime(t *testing.T) {
	store, begin := statetest.Start(t), time.Now().Truncate(time.Second)
	const batches, perBatch = 12, 100
	for b := range batches {
		var ops []state.Op
		for i := range perBatch {
			at := begin.Add(time.Duration(b*perBatch+i) * time.Second)
			ops = append(ops, state.EventOp(aurora.Event{Message: fmt.Sprint(b*perBatch + i)}, at))
		}
		if _, err := store.Commit(t.Context(), ops...); err != nil {
			t.Fatal(err)
		}
	}
	for _, gone := range []int{0, 1, 1150, 1150} {
		if err := state.PruneEvents(t.Context(), store, begin.Add(time.Duration(gone)*time.Second)); err != nil {
			t.Fatal(err)
		}
		left := messages(t, store, begin)
		if len(left) != batches*perBatch-gone || left[0] != fmt.Sprint(gone) {
			t.Fatalf("%d events are left, from %q on, want those from %d on", len(left), left[:1], gone)
		}
	}
}
