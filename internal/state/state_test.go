package state_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

type thing struct{ N int }

func TestUpdateLosesNoConcurrentWrite(t *testing.T) {
	store := statetest.Start(t)
	table := state.NewTable[thing](store, "test/things")
	ctx := t.Context()
	if _, err := table.Create(ctx, "a", thing{}); err != nil {
		t.Fatal(err)
	}
	const writers, rounds = 4, 10
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range rounds {
				if _, err := table.Update(ctx, "a", func(v *thing) error { v.N++; return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	item, err := table.Get(ctx, "a")
	if err != nil || item.Value.N != writers*rounds {
		t.Fatalf("N = %d, %v; want %d", item.Value.N, err, writers*rounds)
	}
}

func TestTakenNameLeavesNothingBehind(t *testing.T) {
	store := statetest.Start(t)
	table := state.NewTable[thing](store, "test/things")
	ctx := t.Context()
	name := state.Name{Kind: state.KindDBCluster, Account: "1", Region: "r", Name: "n"}
	if _, err := table.Create(ctx, "a", thing{1}, name.Claim("a")); err != nil {
		t.Fatal(err)
	}
	if _, err := table.Create(ctx, "b", thing{2}, name.Claim("b")); !errors.Is(err, state.ErrExists) {
		t.Fatalf("second claim: %v, want ErrExists", err)
	}
	if _, err := table.Get(ctx, "b"); !errors.Is(err, state.ErrNotFound) {
		t.Fatalf("b after refused create: %v, want ErrNotFound", err)
	}
	if err := table.Delete(ctx, "a", name.Release("a")); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Lookup(ctx, name); !errors.Is(err, state.ErrNotFound) {
		t.Fatalf("name after delete: %v, want ErrNotFound", err)
	}
}

func TestMirrorFollowsItsTable(t *testing.T) {
	store := statetest.Start(t)
	table := state.NewTable[thing](store, "test/things")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := table.Create(ctx, "before", thing{1}); err != nil {
		t.Fatal(err)
	}
	mirror, err := state.NewMirror(ctx, table)
	if err != nil {
		t.Fatal(err)
	}
	var rev int64
	for i := range 20 {
		if rev, err = table.Create(ctx, fmt.Sprint("k", i), thing{i}); err != nil {
			t.Fatal(err)
		}
	}
	if err := mirror.WaitRevision(ctx, rev); err != nil {
		t.Fatal(err)
	}
	if got := len(mirror.All()); got != 21 {
		t.Fatalf("mirror has %d items, want 21", got)
	}
	changed := mirror.Changed()
	if err := table.Delete(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	<-changed
	if _, ok := mirror.Get("before"); ok {
		t.Fatal("mirror still has a deleted key")
	}
}

func TestUnchangedHoldsUntilAValueIsCreatedOrChanged(t *testing.T) {
	store := statetest.Start(t)
	table, other := state.NewTable[thing](store, "test/things"), state.NewTable[thing](store, "test/others")
	ctx := t.Context()
	unchanged := func() bool {
		t.Helper()
		_, revision, err := table.List(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.Create(ctx, fmt.Sprint(revision), thing{}); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Commit(ctx, table.UnchangedOp(revision)); err != nil {
			t.Errorf("unchanged table: %v", err)
		}
		_, err = table.Create(ctx, fmt.Sprint(revision), thing{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = store.Commit(ctx, table.UnchangedOp(revision))
		return !errors.Is(err, state.ErrConflict)
	}
	for range 2 { // a new value, and then one more
		if unchanged() {
			t.Error("a changed table was taken for an unchanged one")
		}
	}
}
