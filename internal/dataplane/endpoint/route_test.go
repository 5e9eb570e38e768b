package endpoint

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

const clusterID = "cluster-TEST"

// cluster is a cluster whose writer is w1, in term 1, open to everybody.
func cluster() aurora.DBCluster {
	return aurora.DBCluster{
		Meta: aurora.Meta{ResourceID: clusterID},
		Spec: aurora.DBClusterSpec{Identifier: "demo", VpcSecurityGroupIDs: []string{"sg-open"}},
		Status: aurora.DBClusterStatus{
			Term: 1, Writer: "db-w1",
			WriterEndpoint: aurora.Address{Host: "127.42.0.1", Port: 5432, Published: "192.0.2.1:15432"},
			ReaderEndpoint: aurora.Address{Host: "127.42.0.2", Port: 5432},
		},
	}
}

func openGroup() aurora.SecurityGroup {
	return aurora.SecurityGroup{GroupID: "sg-open", VpcID: "vpc-1", Name: "open", Ingress: []aurora.SecurityGroupRule{
		{Protocol: "tcp", FromPort: 0, ToPort: 65535, CIDR: "0.0.0.0/0"}}}
}

// instance serves in the role and term given.
func instance(name string, role aurora.ServerRole, term int64) aurora.DBInstance {
	return aurora.DBInstance{
		Meta:   aurora.Meta{ResourceID: "db-" + name},
		Spec:   aurora.DBInstanceSpec{Identifier: name, ClusterResourceID: clusterID},
		Status: aurora.DBInstanceStatus{Endpoint: aurora.Address{Host: "127.42.1." + name[1:], Port: 5432}},
		Server: aurora.ServerReport{Phase: aurora.PhaseRunning, Role: role, Term: term, SocketDir: "/run/" + name},
	}
}

func planOf(c aurora.DBCluster, instances ...aurora.DBInstance) Plan {
	return NewRouter(aurora.Names{}).Plan(Snapshot{Clusters: []aurora.DBCluster{c}, Instances: instances, Groups: []aurora.SecurityGroup{openGroup()}})
}

func (p Plan) endpoint(t *testing.T, id string) Endpoint {
	t.Helper()
	i := slices.IndexFunc(p.Endpoints, func(e Endpoint) bool { return e.ID == id })
	if i < 0 {
		t.Fatalf("no endpoint %s in %v", id, p.Endpoints)
	}
	return p.Endpoints[i]
}

func names(backends []Backend) string {
	var all []string
	for _, b := range backends {
		all = append(all, b.Name)
	}
	return strings.Join(all, " ")
}

func TestEachEndpointHasItsAddressesAndBackends(t *testing.T) {
	p := planOf(cluster(), instance("w1", aurora.RoleWriter, 1), instance("r1", aurora.RoleReader, 1), instance("r2", aurora.RoleReader, 1))
	for id, want := range map[string]string{
		clusterID + "/writer": "writer [127.42.0.1:5432 192.0.2.1:15432] w1",
		clusterID + "/reader": "reader [127.42.0.2:5432] r1 r2",
		"db-w1":               "instance [127.42.1.1:5432] w1",
		"db-r2":               "instance [127.42.1.2:5432] r2",
	} {
		e := p.endpoint(t, id)
		if got := fmt.Sprintf("%s %v %s", e.Kind, e.Addresses, names(e.Backends)); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	if b := p.endpoint(t, "db-w1").Backends[0]; b.Socket != "/run/w1/.s.PGSQL.5432" {
		t.Errorf("socket %s", b.Socket)
	}
}

func TestWriterEndpointLeadsOnlyToARunningWriterOfTheCurrentTerm(t *testing.T) {
	cases := map[string]struct {
		change func(*aurora.DBCluster, *aurora.DBInstance)
		want   string
	}{
		"running writer":      {func(*aurora.DBCluster, *aurora.DBInstance) {}, "w1"},
		"being deleted":       {func(_ *aurora.DBCluster, w *aurora.DBInstance) { w.DeleteRequested = true }, "w1"},
		"starting":            {func(_ *aurora.DBCluster, w *aurora.DBInstance) { w.Server.Phase = aurora.PhaseStarting }, ""},
		"of an older term":    {func(c *aurora.DBCluster, _ *aurora.DBInstance) { c.Status.Term = 2 }, ""},
		"not yet known":       {func(_ *aurora.DBCluster, w *aurora.DBInstance) { w.Server.Term = 2 }, ""},
		"still a reader":      {func(_ *aurora.DBCluster, w *aurora.DBInstance) { w.Server.Role = aurora.RoleReader }, ""},
		"not the one chosen":  {func(c *aurora.DBCluster, _ *aurora.DBInstance) { c.Status.Writer = "db-r1" }, ""},
		"stalled":             {func(_ *aurora.DBCluster, w *aurora.DBInstance) { w.Server.Stalled = true }, ""},
		"its task is to come": {func(_ *aurora.DBCluster, w *aurora.DBInstance) { w.Status.Task.Term = 2 }, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c, w := cluster(), instance("w1", aurora.RoleWriter, 1)
			tc.change(&c, &w)
			e := planOf(c, w).endpoint(t, clusterID+"/writer")
			if names(e.Backends) != tc.want || (len(e.Backends) == 0 && e.Waiting == "") || e.Hopeless {
				t.Errorf("%+v, want backend %q", e, tc.want)
			}
		})
	}
}

func TestReaderEndpointSkipsReadersThatDoNotServeAndFallsBackToTheWriter(t *testing.T) {
	down, leaving, old := instance("r1", aurora.RoleReader, 2), instance("r2", aurora.RoleReader, 2), instance("r3", aurora.RoleReader, 1)
	down.Server.Phase, leaving.DeleteRequested = aurora.PhaseFailed, true
	c := cluster()
	c.Status.Term = 2
	p := planOf(c, instance("w1", aurora.RoleWriter, 2), down, leaving, old)
	e := p.endpoint(t, clusterID+"/reader")
	if len(e.Backends) != 0 || e.Fallback == nil || e.Fallback.Name != "w1" {
		t.Errorf("backends %v, fallback %v", e.Backends, e.Fallback)
	}
	if slices.ContainsFunc(p.Endpoints, func(e Endpoint) bool { return e.ID == "db-r2" }) {
		t.Error("an instance that is being deleted still has its endpoint")
	}
}

func TestClusterWithoutInstancesIsNotWaitedFor(t *testing.T) {
	e := planOf(cluster()).endpoint(t, clusterID+"/writer")
	if !e.Hopeless || !strings.Contains(e.Waiting, "demo has no DB instance") {
		t.Errorf("%+v", e)
	}
}

func TestEndpointsWithoutAnAddressAreNotServed(t *testing.T) {
	c := cluster()
	c.Status.ReaderEndpoint = aurora.Address{}
	if p := planOf(c); len(p.Endpoints) != 1 {
		t.Errorf("%+v", p.Endpoints)
	}
}

func TestFateOfSessions(t *testing.T) {
	writer, reader := Backend{Instance: "db-w1", Role: aurora.RoleWriter, Term: 1}, Backend{Instance: "db-r1", Role: aurora.RoleReader, Term: 1}
	cases := map[string]struct {
		on     Backend
		change func(c *aurora.DBCluster, w, r *aurora.DBInstance)
		want   Fate
	}{
		"nothing happens":             {writer, func(c *aurora.DBCluster, w, r *aurora.DBInstance) {}, Keep},
		"the writer changes":          {writer, func(c *aurora.DBCluster, w, r *aurora.DBInstance) { c.Status.Term, c.Status.Writer = 2, "db-r1" }, Cut},
		"the writer fails":            {writer, func(c *aurora.DBCluster, w, r *aurora.DBInstance) { w.Server.Phase = aurora.PhaseFailed }, Cut},
		"a new term in place":         {writer, func(c *aurora.DBCluster, w, r *aurora.DBInstance) { c.Status.Term, w.Server.Term = 2, 2 }, Cut},
		"the writer stalls":           {writer, func(c *aurora.DBCluster, w, r *aurora.DBInstance) { w.Server.Stalled = true }, Cut},
		"a reader is no writer":       {reader, func(c *aurora.DBCluster, w, r *aurora.DBInstance) { r.Server.Stalled = true }, Keep},
		"writer waits to be replaced": {writer, func(c *aurora.DBCluster, w, r *aurora.DBInstance) { w.DeleteRequested = true }, Keep},
		"reader is promoted": {reader, func(c *aurora.DBCluster, w, r *aurora.DBInstance) {
			r.Server.Role, r.Server.Term = aurora.RoleWriter, 2
		}, Keep},
		"reader is deleted": {reader, func(c *aurora.DBCluster, w, r *aurora.DBInstance) { r.DeleteRequested = true }, Drain},
		"reader is gone":    {reader, func(c *aurora.DBCluster, w, r *aurora.DBInstance) { r.Spec.ClusterResourceID = "" }, Cut},
		"reader stops":      {reader, func(c *aurora.DBCluster, w, r *aurora.DBInstance) { r.Server.Phase = aurora.PhaseStopped }, Cut},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c, w, r := cluster(), instance("w1", aurora.RoleWriter, 1), instance("r1", aurora.RoleReader, 1)
			tc.change(&c, &w, &r)
			if got, why := planOf(c, w, r).Fate(tc.on); got != tc.want || (got != Keep) != (why != "") {
				t.Errorf("fate %d (%s), want %d", got, why, tc.want)
			}
		})
	}
}

// Nouns arrive from several tables, so a snapshot may mix new and old ones, and
// a restored state store may go back in time.
func TestInvariant4NoRouteLeadsToAnOlderTermThanSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		router, seen := NewRouter(aurora.Names{}), int64(0)
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			s := drawSnapshot(t)
			c := s.Clusters[0]
			seen = max(seen, c.Status.Term)
			for _, in := range s.Instances {
				seen = max(seen, in.Server.Term, in.Status.Task.Term)
			}
			p := router.Plan(s)
			for _, e := range p.Endpoints {
				targets := e.Backends
				if e.Fallback != nil {
					targets = append(slices.Clone(targets), *e.Fallback)
				}
				for _, b := range targets {
					if b.Term < seen {
						t.Fatalf("%s leads to term %d of %s, but term %d was seen", e.ID, b.Term, b.Instance, seen)
					}
					if b.Role == aurora.RoleWriter && b.Instance != c.Status.Writer {
						t.Fatalf("%s leads to %s as writer, which is not the cluster's", e.ID, b.Instance)
					}
					if fate, why := p.Fate(b); fate == Cut {
						t.Fatalf("%s leads to %s and would cut the session at once: %s", e.ID, b.Instance, why)
					}
				}
			}
			for _, in := range s.Instances {
				old := Backend{Instance: in.ResourceID, Role: aurora.RoleWriter, Term: seen - 1}
				if fate, _ := p.Fate(old); fate != Cut {
					t.Fatalf("a session on the writer of term %d lives on in term %d", seen-1, seen)
				}
			}
		}
	})
}

func drawSnapshot(t *rapid.T) Snapshot {
	c := cluster()
	c.Status.Term = rapid.Int64Range(1, 5).Draw(t, "term")
	c.Status.Writer = rapid.SampledFrom([]string{"", "db-w1", "db-w2", "db-w3"}).Draw(t, "writer")
	var instances []aurora.DBInstance
	for _, name := range []string{"w1", "w2", "w3"} {
		role := rapid.SampledFrom([]aurora.ServerRole{aurora.RoleWriter, aurora.RoleReader, aurora.RoleStopped}).Draw(t, "role")
		in := instance(name, role, rapid.Int64Range(1, 5).Draw(t, "server term"))
		in.Status.Task.Term = rapid.Int64Range(1, 5).Draw(t, "task term")
		in.Server.Phase = rapid.SampledFrom([]aurora.ServerPhase{aurora.PhaseRunning, aurora.PhaseStarting, aurora.PhaseFailed}).Draw(t, "phase")
		in.DeleteRequested = rapid.Bool().Draw(t, "deleted")
		instances = append(instances, in)
	}
	return Snapshot{Clusters: []aurora.DBCluster{c}, Instances: instances}
}

func TestStoppedClusterRefusesAtOnce(t *testing.T) {
	c, w := cluster(), instance("w1", aurora.RoleStopped, 1)
	w.Server.Phase, c.Spec.Stopped = aurora.PhaseStopped, &time.Time{}
	p := planOf(c, w)
	for _, id := range []string{clusterID + "/writer", clusterID + "/reader", "db-w1"} {
		if e := p.endpoint(t, id); !e.Hopeless || e.Waiting != "DB cluster demo is stopped" {
			t.Errorf("%s: %q, hopeless: %v", id, e.Waiting, e.Hopeless)
		}
	}
}

func TestCustomEndpointLeadsToWhatWasChosenInItsRole(t *testing.T) {
	w, a, b := instance("w1", aurora.RoleWriter, 1), instance("r2", aurora.RoleReader, 1), instance("r3", aurora.RoleReader, 1)
	for _, tc := range []struct {
		name     string
		endpoint aurora.CustomEndpoint
		want     string
		hopeless bool
	}{
		{"any of all", aurora.CustomEndpoint{Type: "ANY"}, "r2 r3 w1", false},
		{"readers of all", aurora.CustomEndpoint{Type: "READER"}, "r2 r3", false},
		{"the writer of all", aurora.CustomEndpoint{Type: "WRITER"}, "w1", false},
		{"chosen ones", aurora.CustomEndpoint{Type: "ANY", StaticMembers: []string{"db-r2", "db-w1"}}, "r2 w1", false},
		{"the readers among chosen ones", aurora.CustomEndpoint{Type: "READER", StaticMembers: []string{"db-r2", "db-w1"}}, "r2", false},
		{"a chosen one that is no reader now", aurora.CustomEndpoint{Type: "READER", StaticMembers: []string{"db-w1"}}, "", false},
		{"all but one", aurora.CustomEndpoint{Type: "READER", ExcludedMembers: []string{"db-r2"}}, "r3", false},
		{"one that is gone", aurora.CustomEndpoint{Type: "ANY", StaticMembers: []string{"db-gone"}}, "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := cluster()
			tc.endpoint.ResourceID, tc.endpoint.Identifier = "cluster-endpoint-1", "mine"
			c.Spec.CustomEndpoints = []aurora.CustomEndpoint{tc.endpoint}
			c.Status.CustomEndpoints = []aurora.CustomEndpointStatus{{ResourceID: "cluster-endpoint-1", Address: aurora.Address{Host: "127.42.0.9", Port: 5432}}}
			e := planOf(c, w, a, b).endpoint(t, clusterID+"/cluster-endpoint-1")
			var got []string
			for _, backend := range e.Backends {
				got = append(got, backend.Name)
			}
			slices.Sort(got)
			if strings.Join(got, " ") != tc.want || e.Hopeless != tc.hopeless || e.Fallback != nil || e.Addresses[0] != "127.42.0.9:5432" {
				t.Errorf("%v, want %s: %+v", got, tc.want, e)
			}
		})
	}
}

func TestReadersThatLagLeaveTheReaderEndpoint(t *testing.T) {
	lagging := func(name string) aurora.DBInstance {
		in := instance(name, aurora.RoleReader, 1)
		in.Status.Lagging = true
		return in
	}
	for name, c := range map[string]struct {
		instances []aurora.DBInstance
		want      string
	}{
		"one of two lags": {[]aurora.DBInstance{lagging("r1"), instance("r2", aurora.RoleReader, 1)}, "r2"},
		"all lag":         {[]aurora.DBInstance{lagging("r1"), lagging("r2")}, "r1 r2"},
		"the only one":    {[]aurora.DBInstance{lagging("r1")}, "r1"},
	} {
		t.Run(name, func(t *testing.T) {
			of := cluster()
			of.Spec.CustomEndpoints = []aurora.CustomEndpoint{{ResourceID: "cluster-endpoint-1", Identifier: "mine", Type: "READER"}}
			of.Status.CustomEndpoints = []aurora.CustomEndpointStatus{{ResourceID: "cluster-endpoint-1", Address: aurora.Address{Host: "127.42.0.9", Port: 5432}}}
			p := planOf(of, append(c.instances, instance("w1", aurora.RoleWriter, 1))...)
			if got := names(p.endpoint(t, clusterID+"/reader").Backends); got != c.want {
				t.Errorf("the reader endpoint leads to %s, want %s", got, c.want)
			}
			if got := names(p.endpoint(t, clusterID+"/cluster-endpoint-1").Backends); got != c.want {
				t.Errorf("a custom endpoint for readers leads to %s, want %s", got, c.want)
			}
			if got := names(p.endpoint(t, "db-r1").Backends); got != "r1" {
				t.Errorf("its own endpoint leads to %q", got)
			}
		})
	}
}
