package endpoint

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/layout"
)

func TestEachHostSeesServersWhereItReachesThem(t *testing.T) {
	l := layout.Layout{Root: "/data"}
	c := aurora.DBCluster{}
	c.ResourceID, c.Status.Writer, c.Status.Term = "cluster-1", "db-w", 3
	c.Status.WriterEndpoint = aurora.Address{Host: "127.42.0.1", Port: 5432, Published: "10.0.0.1:15432"}
	instance := func(id, host string, role aurora.ServerRole) aurora.DBInstance {
		in := aurora.DBInstance{}
		in.ResourceID, in.Status.Host = id, host
		in.Spec.ClusterResourceID = "cluster-1"
		in.Server = aurora.ServerReport{Phase: aurora.PhaseRunning, Role: role, Term: 3, SocketDir: l.InstanceSocketDir(id)}
		return in
	}
	s := hostView{
		host: "here", layout: l, publish: "10.0.0.2",
		lost: map[string]bool{"gone": true, "cutoff": true}, stalled: map[string]bool{"db-own": true},
	}.of(Snapshot{Clusters: []aurora.DBCluster{c}, Instances: []aurora.DBInstance{
		instance("db-w", "cutoff", aurora.RoleWriter), instance("db-own", "here", aurora.RoleReader),
		instance("db-there", "there", aurora.RoleReader), instance("db-gone", "gone", aurora.RoleReader),
	}})
	if at := s.Clusters[0].Status.WriterEndpoint; at.Published != "10.0.0.2:15432" || at.Host != "127.42.0.1" {
		t.Errorf("the writer endpoint is at %+v", at)
	}
	for i, want := range []struct {
		phase   aurora.ServerPhase
		socket  string
		stalled bool
	}{
		{aurora.PhaseRunning, l.Via("cutoff").InstanceSocketDir("db-w"), false}, // it may be cut off from the state only
		{aurora.PhaseRunning, l.InstanceSocketDir("db-own"), true},
		{aurora.PhaseRunning, l.Via("there").InstanceSocketDir("db-there"), false},
		{aurora.PhaseNone, l.Via("gone").InstanceSocketDir("db-gone"), false},
	} {
		in := s.Instances[i]
		if in.Server.Phase != want.phase || in.Server.SocketDir != want.socket || in.Server.Stalled != want.stalled {
			t.Errorf("%s: %+v, want %+v", in.ResourceID, in.Server, want)
		}
	}
}

func TestWritersWithoutQuorumAreSeenWithoutTheState(t *testing.T) {
	l := layout.Layout{Root: t.TempDir()}
	if err := os.MkdirAll(l.Stalls(), 0o700); err != nil {
		t.Fatal(err)
	}
	s := watchStalls(t.Context(), l)
	_, changed := s.get()
	if err := os.WriteFile(filepath.Join(l.Stalls(), "db-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
			t.Fatal("nothing was noticed")
		}
		var now map[string]bool
		if now, changed = s.get(); now["db-1"] != want {
			t.Errorf("stalled: %v, want %v", now, want)
		}
		_ = os.Remove(filepath.Join(l.Stalls(), "db-1"))
	}
}
