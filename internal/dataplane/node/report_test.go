package node

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

// A report that nobody acts on is left out when an urgent one follows, and stored
// when none does.
func TestReportsThatNobodyActsOn(t *testing.T) {
	store := statetest.Start(t)
	table := state.DBInstances(store)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := table.Create(ctx, "db-1", aurora.DBInstance{}); err != nil {
		t.Fatal(err)
	}
	mirror, err := state.NewMirror(ctx, table)
	if err != nil {
		t.Fatal(err)
	}
	r := newReporter(table, "db-1", aurora.ServerReport{})
	done := make(chan struct{})
	go func() { defer close(done); r.run(ctx) }()
	var seen []aurora.ServerPhase
	await := func(want aurora.ServerPhase) {
		t.Helper()
		for ctx.Err() == nil {
			changed := mirror.Changed()
			item, _ := mirror.Get("db-1")
			if phase := item.Value.Server.Phase; len(seen) == 0 || seen[len(seen)-1] != phase {
				seen = append(seen, phase)
			}
			if item.Value.Server.Phase == want {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
		t.Fatalf("%s was not stored", want)
	}
	await("")
	r.set(aurora.ServerReport{Phase: aurora.PhaseStarting}, false)
	r.set(aurora.ServerReport{Phase: aurora.PhaseRunning}, true)
	await(aurora.PhaseRunning)
	r.set(aurora.ServerReport{Phase: aurora.PhaseBuilding}, false)
	await(aurora.PhaseBuilding)
	if want := []aurora.ServerPhase{"", aurora.PhaseRunning, aurora.PhaseBuilding}; !slices.Equal(seen, want) {
		t.Errorf("stored %q, want %q", seen, want)
	}
	cancel()
	<-done
}
