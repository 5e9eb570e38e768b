package link

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

// removal is a state with hosts, of which some are there.
type removal struct {
	*testing.T
	store *state.Store
}

func newRemoval(t *testing.T, present []string, away ...string) *removal {
	t.Helper()
	r := &removal{t, statetest.Start(t)}
	for _, id := range append(slices.Clone(present), away...) {
		r.must(state.Hosts(r.store).Create(t.Context(), id, aurora.Host{ID: id}))
	}
	for _, id := range present {
		r.must(state.Presence(r.store).Create(t.Context(), id, aurora.Presence{Host: id}))
	}
	return r
}

func (r *removal) must(_ int64, err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// cluster is one with a log, and a writer, on hosts.
func (r *removal) cluster(id string, hosts ...string) aurora.DBCluster {
	r.Helper()
	var c aurora.DBCluster
	c.ResourceID, c.Spec.Identifier = id, id
	c.Status.LogHosts, c.Status.Term, c.Status.Writer = hosts, 1, "db-"+id
	return c
}

func (r *removal) keep(c aurora.DBCluster) {
	r.Helper()
	r.must(state.DBClusters(r.store).Create(r.Context(), c.ResourceID, c))
}

func (r *removal) gone(id string) {
	r.Helper()
	if _, err := state.Hosts(r.store).Get(r.Context(), id); !errors.Is(err, state.ErrNotFound) {
		r.Errorf("the removed host %s: %v", id, err)
	}
}

func nobodyListens(string) {}

func TestOnlyAHostThatIsGoneAndNotNeededIsRemoved(t *testing.T) {
	r := newRemoval(t, []string{"own", "present"}, "instance", "quorum", "idle", "kept", "deleted", "free")
	var in aurora.DBInstance
	in.Spec.Identifier, in.Status.Host = "writer-1", "instance"
	r.must(state.DBInstances(r.store).Create(t.Context(), "db-1", in))
	in.Status.Host, in.DeleteRequested = "deleted", true
	r.must(state.DBInstances(r.store).Create(t.Context(), "db-2", in))
	r.keep(r.cluster("orders", "own", "quorum", "quorum"))
	idle := r.cluster("idle", "own", "present", "idle")
	idle.Status.Writer = ""
	r.keep(idle)
	kept := r.cluster("archive", "own")
	kept.Status.Retained = &aurora.RetainedData{Host: "kept"}
	r.keep(kept)
	goes := r.cluster("goes", "own", "deleted")
	goes.DeleteRequested = true
	r.keep(goes)
	for id, want := range map[string]string{
		"own": "cannot remove itself", "nobody": "no host", "present": "server stop",
		"instance": "DB instance writer-1 (delete it", "quorum": "log of DB cluster orders (only 1 of 3",
		"idle": "has no instance: create one", "kept": "data of DB cluster archive",
	} {
		if err := Remove(t.Context(), r.store, "own", id, nobodyListens); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", id, err, want)
		}
		if h, err := state.Hosts(r.store).Get(t.Context(), id); err == nil && h.Value.Leaving {
			t.Errorf("%s was not removed, and is leaving", id)
		}
	}
	r.must(state.Silences(r.store).Create(t.Context(), "free/orders", aurora.Silence{Host: "free"}))
	r.must(state.Sights(r.store).Create(t.Context(), "db-2", aurora.Sight{}))
	for _, id := range []string{"free", "deleted"} {
		if err := Remove(t.Context(), r.store, "own", id, nobodyListens); err != nil {
			t.Error(err)
		}
		r.gone(id)
	}
	if left, _, err := state.Silences(r.store).List(t.Context(), ""); err != nil || len(left) > 0 {
		t.Errorf("what the removed host has said is left: %v, %v", left, err)
	}
	if left, _, err := state.Sights(r.store).List(t.Context(), ""); err != nil || len(left) > 0 {
		t.Errorf("what was seen of a deleted instance is left: %v, %v", left, err)
	}
	if hosts, err := Roster(t.Context(), r.store, "own"); err != nil || len(hosts) != 6 {
		t.Errorf("%d hosts are left, %v", len(hosts), err)
	}
}

// TestRemovalWaitsForAHostThatWasOnlyBusy takes a host away whose sign of life is
// missing for a moment.
func TestRemovalWaitsForAHostThatWasOnlyBusy(t *testing.T) {
	r := newRemoval(t, []string{"own"}, "busy", "goes")
	c := r.cluster("orders", "own", "busy", "goes")
	r.keep(c)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	told := make(chan string, 10)
	done := make(chan error, 1)
	go func() { done <- Remove(ctx, r.store, "own", "goes", func(what string) { told <- what }) }()
	if what := <-told; !strings.Contains(what, "only 1 of 3") {
		t.Errorf("told %q", what)
	}
	r.must(state.Presence(r.store).Create(ctx, "busy", aurora.Presence{Host: "busy"}))
	if what := <-told; !strings.Contains(what, "made elsewhere") {
		t.Errorf("told %q", what)
	}
	_, err := state.DBClusters(r.store).Update(ctx, "orders", func(c *aurora.DBCluster) error {
		c.Status.LogHosts = []string{"own", "busy", "own"}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	r.gone("goes")
}

func TestRemovalWaitsUntilCopiesAreElsewhere(t *testing.T) {
	r := newRemoval(t, []string{"own", "second"}, "log")
	r.keep(r.cluster("orders", "own", "second", "log"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	told := make(chan string, 10)
	done := make(chan error, 1)
	go func() { done <- Remove(ctx, r.store, "own", "log", func(what string) { told <- what }) }()
	if what := <-told; !strings.Contains(what, "orders") {
		t.Errorf("told %q", what)
	}
	h, err := state.Hosts(r.store).Get(ctx, "log")
	if err != nil || !h.Value.Leaving {
		t.Errorf("%+v, %v", h.Value, err)
	}
	_, err = state.DBClusters(r.store).Update(ctx, "orders", func(c *aurora.DBCluster) error {
		c.Status.LogHosts = []string{"own", "second", "own"}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.gone("log")
}

func TestRemovalSaysWhatItDidNotWaitFor(t *testing.T) {
	r := newRemoval(t, []string{"own", "second"}, "log")
	c := r.cluster("orders", "own", "second", "log")
	c.Status.LogMove = &aurora.LogMove{Generation: 1, Hosts: []string{"own", "second", "own"}}
	c.Volume.LogMove.Problem = "the disk is full"
	r.keep(c)
	ctx, cancel := context.WithCancel(t.Context())
	err := Remove(ctx, r.store, "own", "log", func(string) { cancel() })
	if err == nil || !strings.Contains(err.Error(), "not removed yet") || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("the removal ended with %v", err)
	}
}
