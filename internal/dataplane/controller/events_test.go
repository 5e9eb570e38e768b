package controller_test

import (
	"slices"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/controller"
	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

// told are the ids of the events of a source, the oldest first.
func (r *region) told(source string) []string {
	r.Helper()
	all, err := state.Events(r.Context(), r.store, time.Now().Add(-time.Hour))
	if err != nil {
		r.Fatal(err)
	}
	var ids []string
	for _, e := range all {
		if e.SourceID == source {
			ids = append(ids, e.EventID)
		}
	}
	return ids
}

func TestEventsAreThereWithWhatTheyTellOf(t *testing.T) {
	r := start(t, nil)
	r.createAvailable("one")
	if got, want := r.told("one"), []string{"RDS-EVENT-0170"}; !slices.Equal(got, want) {
		t.Errorf("after its creation: %q, want %q", got, want)
	}
	r.deleteCluster("cluster-one")
	if got, want := r.told("one"), []string{"RDS-EVENT-0170", "RDS-EVENT-0171"}; !slices.Equal(got, want) {
		t.Errorf("after its end: %q, want %q", got, want)
	}
}

func TestOldEventsAreForgotten(t *testing.T) {
	r := &region{T: t, store: statetest.Start(t)}
	now := time.Now()
	for _, ago := range []time.Duration{state.EventRetention + time.Minute, state.EventRetention - time.Hour} {
		if _, err := r.store.Commit(t.Context(), state.EventOp(aurora.Event{SourceID: "x"}, now.Add(-ago))); err != nil {
			t.Fatal(err)
		}
	}
	r.run(func(*controller.Config) {})
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		left, err := state.Events(t.Context(), r.store, now.Add(-2*state.EventRetention))
		if err == nil && len(left) == 1 && left[0].Time.After(now.Add(-state.EventRetention)) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d events are left, %v", len(left), err)
		}
	}
}
