package state_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

func TestPresenceIsThereWhileItIsKeptAndComesBackAfterALostLease(t *testing.T) {
	store := statetest.Start(t)
	table := state.Presence(store)
	mirror, err := state.NewMirror(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	await := func(what string, want bool) {
		t.Helper()
		limit := time.After(20 * time.Second)
		for {
			changed := mirror.Changed()
			if _, ok := mirror.Get("h"); ok == want {
				return
			}
			select {
			case <-changed:
			case <-limit:
				t.Fatalf("%s: present is not %v", what, want)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		state.KeepPresence(ctx, store, aurora.Presence{Host: "h", Since: time.Now()})
	}()
	await("while it is kept", true)
	first, err := table.Get(t.Context(), "h")
	if err != nil {
		t.Fatal(err)
	}
	if err := state.RevokeLeases(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	for {
		changed := mirror.Changed()
		if item, ok := mirror.Get("h"); ok && item.Revision > first.Revision {
			break
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Second):
			t.Fatal("the presence does not come back after its lease was lost")
		}
	}
	cancel()
	<-kept
	if _, err := table.Get(t.Context(), "h"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("after an end in order: %v, want ErrNotFound at once", err)
	}
}
