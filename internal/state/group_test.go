package state_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

// TestAGroupFindsWhatALookAtAllFinds changes things at random.
func TestAGroupFindsWhatALookAtAllFinds(t *testing.T) {
	store := statetest.Start(t)
	table := state.NewTable[thing](store, "test/things")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	rev, err := table.Create(ctx, "before", thing{1})
	if err != nil {
		t.Fatal(err)
	}
	mirror, err := state.NewMirror(ctx, table)
	if err != nil {
		t.Fatal(err)
	}
	of := func(v *thing) string { return fmt.Sprint(v.N % 3) }
	group := mirror.GroupBy(of)
	for range 200 {
		key := fmt.Sprint("k", rand.IntN(10))
		switch item, err := table.Get(ctx, key); {
		case err != nil:
			rev, err = table.Create(ctx, key, thing{rand.IntN(9)})
			if err != nil {
				t.Fatal(err)
			}
		case rand.IntN(2) == 0:
			if err := table.Delete(ctx, key); err != nil {
				t.Fatal(err)
			}
		default:
			item.Value.N = rand.IntN(9)
			rev, err = store.Commit(ctx, table.PutOp(key, item.Value, item.Revision))
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	last, err := table.Create(ctx, "last", thing{2})
	if err != nil {
		t.Fatal(err)
	}
	if err := mirror.WaitRevision(ctx, max(rev, last)); err != nil {
		t.Fatal(err)
	}
	for name := range map[string]bool{"0": true, "1": true, "2": true, "none": true} {
		var want []string
		for _, item := range mirror.All() {
			if of(&item.Value) == name {
				want = append(want, item.Key)
			}
		}
		var got []string
		for _, item := range group.In(name) {
			got = append(got, item.Key)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
