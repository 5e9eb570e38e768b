package link

import (
	"errors"
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

func TestOnlyAHostThatIsGoneAndNotNeededIsRemoved(t *testing.T) {
	store := statetest.Start(t)
	ctx := t.Context()
	must := func(_ int64, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"own", "present", "instance", "log", "kept", "free"} {
		must(state.Hosts(store).Create(ctx, id, aurora.Host{ID: id}))
	}
	must(state.Presence(store).Create(ctx, "present", aurora.Presence{Host: "present"}))
	var in aurora.DBInstance
	in.Spec.Identifier, in.Status.Host = "writer-1", "instance"
	must(state.DBInstances(store).Create(ctx, "db-1", in))
	var c aurora.DBCluster
	c.Spec.Identifier, c.Status.LogHosts = "orders", []string{"own", "log"}
	c.Status.Retained = &aurora.RetainedData{Host: "kept"}
	must(state.DBClusters(store).Create(ctx, "cluster-1", c))
	for id, want := range map[string]string{
		"own": "cannot remove itself", "nobody": "no host", "present": "server stop",
		"instance": "DB instance writer-1", "log": "log of DB cluster orders", "kept": "data of DB cluster orders",
	} {
		if err := Remove(ctx, store, "own", id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", id, err, want)
		}
	}
	if err := Remove(ctx, store, "own", "free"); err != nil {
		t.Error(err)
	}
	if _, err := state.Hosts(store).Get(ctx, "free"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("the removed host: %v", err)
	}
	if hosts, err := Roster(ctx, store, "own"); err != nil || len(hosts) != 5 {
		t.Errorf("%d hosts are left, %v", len(hosts), err)
	}
}
