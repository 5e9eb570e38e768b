package decide_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/decide"
)

// check holds a decision against the invariants of DESIGN.md.
func (s *sim) check(t *rapid.T, before decide.World, actions []decide.Action) {
	invariant1OneWriterPerTerm(t, s, before)
	invariant7Deterministic(t, s, before, actions)
	copiesAreKnown(t, s)
	for i := range s.w.Instances {
		if s.w.Cluster.Status.Initialized && s.w.Instances[i].Status.Task.Build == aurora.BuildInitdb {
			t.Fatalf("initdb of %s in an initialized cluster", s.w.Instances[i].ResourceID)
		}
	}
	owners := map[string]bool{}
	for address, owner := range s.w.Addresses {
		if key := owner + address[:3]; owners[key] {
			t.Fatalf("%s has two addresses: %v", owner, s.w.Addresses)
		} else {
			owners[key] = true
		}
	}
}

func invariant1OneWriterPerTerm(t *rapid.T, s *sim, before decide.World) {
	old, st := before.Cluster.Status, s.w.Cluster.Status
	if st.Term < old.Term {
		t.Fatalf("the term went back from %d to %d", old.Term, st.Term)
	}
	if st.Writer != "" {
		if had, ok := s.writers[st.Term]; ok && had != st.Writer {
			t.Fatalf("term %d has two writers, %s and %s", st.Term, had, st.Writer)
		}
		s.writers[st.Term] = st.Writer
	}
	for i := range s.w.Instances {
		in := &s.w.Instances[i]
		if in.Status.Task.Role == aurora.RoleWriter && (in.ResourceID != st.Writer || in.Status.Task.Term != st.Term) {
			t.Fatalf("%s is to be writer of term %d beside %s of term %d", in.ResourceID, in.Status.Task.Term, st.Writer, st.Term)
		}
	}
}

// Invariant 2 is checked where it could be broken, in sim.leads: no server leads
// without everything that clients were told of.
func invariant7Deterministic(t *rapid.T, s *sim, before decide.World, actions []decide.Action) {
	shuffled := before
	shuffled.Instances = slices.Clone(before.Instances)
	slices.Reverse(shuffled.Instances)
	shuffled.Lost = maps.Clone(before.Lost)
	shuffled.Hosts = slices.Clone(before.Hosts)
	slices.Reverse(shuffled.Hosts)
	if again := decide.Decide(shuffled, s.now); !reflect.DeepEqual(again, actions) {
		t.Fatalf("two decisions on one world:\n%v\n%v", actions, again)
	}
	if rest := decide.Decide(s.w, s.now); len(rest) > 0 {
		t.Fatalf("applied %v, and still to do: %v", actions, rest)
	}
}

// TestInvariantsHoldInAnyHistory lets users, nodes and crashes happen in any
// order, checks every decision on the way, and at the end that all settles.
func TestInvariantsHoldInAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSim()
		pick := func(t *rapid.T) int {
			if len(s.w.Instances) == 0 {
				t.Skip("no instance")
			}
			return rapid.IntRange(0, len(s.w.Instances)-1).Draw(t, "instance")
		}
		t.Repeat(map[string]func(*rapid.T){
			"create instance": func(t *rapid.T) {
				if len(s.w.Instances) > 4 || s.w.Cluster.DeleteRequested {
					t.Skip("not possible")
				}
				s.createInstance(rapid.IntRange(0, 2).Draw(t, "tier"))
			},
			"delete instance": func(t *rapid.T) { s.deleteInstance(pick(t)) },
			"modify instance": func(t *rapid.T) { s.w.Instances[pick(t)].Generation++ },
			"change class": func(t *rapid.T) {
				in := &s.w.Instances[pick(t)]
				in.Spec.Class = rapid.SampledFrom([]string{"db.r6g.large", "db.r6g.xlarge"}).Draw(t, "class")
				in.Generation++
			},
			"reboot instance": func(t *rapid.T) {
				in := &s.w.Instances[pick(t)]
				in.Spec.RestartGeneration++
				in.Generation++
			},
			"modify cluster": func(*rapid.T) { s.w.Cluster.Generation++ },
			"change password": func(*rapid.T) {
				s.w.Cluster.Spec.MasterPasswordGeneration++
				s.w.Cluster.Generation++
			},
			"change port": func(t *rapid.T) {
				s.w.Cluster.Spec.Port = rapid.IntRange(5432, 5434).Draw(t, "port")
				s.w.Cluster.Generation++
			},
			"node works":  func(t *rapid.T) { s.execute(t, pick(t)) },
			"node works ": func(t *rapid.T) { s.execute(t, pick(t)) },
			"server ends": func(t *rapid.T) { s.crash(pick(t)) },
			"server fails": func(t *rapid.T) {
				s.w.Instances[pick(t)].Server.Phase = aurora.PhaseFailed
			},
			"host is lost": func(t *rapid.T) {
				host := s.w.Hosts[rapid.IntRange(0, 2).Draw(t, "host")].ID
				s.loseHost(host, rapid.Bool().Draw(t, "heard"))
			},
			"host returns": func(*rapid.T) { s.w.Lost, s.w.Silent = map[string]time.Time{}, false },
			"host leaves": func(t *rapid.T) {
				for i := range s.w.Hosts {
					s.w.Hosts[i].Leaving = false
				}
				s.w.Hosts[rapid.IntRange(0, 2).Draw(t, "host")].Leaving = true
			},
			"host stays": func(*rapid.T) {
				for i := range s.w.Hosts {
					s.w.Hosts[i].Leaving = false
				}
			},
			"copies move":       func(t *rapid.T) { s.moveLog(rapid.Bool().Draw(t, "half")) },
			"log has no quorum": func(t *rapid.T) { s.stall(pick(t), true) },
			"page is damaged":   func(t *rapid.T) { s.damage(pick(t)) },
			"server lags":       func(t *rapid.T) { s.owe(t, pick(t)) },
			"server hangs":      func(t *rapid.T) { s.suspect(pick(t)) },
			"disk is lost":      func(t *rapid.T) { s.loseDisk(pick(t)) },
			"data breaks":       func(t *rapid.T) { s.breakData(pick(t)) },
			"failover": func(t *rapid.T) {
				s.w.Cluster.Spec.Failover = aurora.FailoverRequest{Generation: s.w.Cluster.Spec.Failover.Generation + 1}
				s.w.Cluster.Generation++
			},
			"stop": func(*rapid.T) {
				s.w.Cluster.Spec.Stopped = &s.now
				s.w.Cluster.Generation++
			},
			"start": func(*rapid.T) {
				s.w.Cluster.Spec.Stopped = nil
				s.w.Cluster.Generation++
			},
			"create endpoint": func(*rapid.T) {
				s.created++
				s.w.Cluster.Spec.CustomEndpoints = append(slices.Clone(s.w.Cluster.Spec.CustomEndpoints), aurora.CustomEndpoint{ResourceID: fmt.Sprint("cluster-endpoint-", s.created)})
			},
			"delete endpoint": func(t *rapid.T) {
				if len(s.w.Cluster.Spec.CustomEndpoints) == 0 {
					t.Skip("no endpoint")
				}
				s.w.Cluster.Spec.CustomEndpoints = slices.Clone(s.w.Cluster.Spec.CustomEndpoints[1:])
			},
			"commit":     func(t *rapid.T) { s.write(pick(t)) },
			"decide":     func(t *rapid.T) { s.decide(t) },
			"time goes":  func(*rapid.T) { s.now = s.now.Add(7 * time.Second) },
			"hours go":   func(*rapid.T) { s.now = s.now.Add(time.Hour) },
			"remove all": func(t *rapid.T) { s.maybeDeleteCluster(t) },
		})
		if s.w.Cluster.Spec.Stopped != nil {
			s.settle(t)
			stoppedAsWanted(t, s)
			s.w.Cluster.Spec.Stopped = nil
			s.w.Cluster.Generation++
		}
		s.settle(t)
		settledAsWanted(t, s)
	})
}

func (s *sim) maybeDeleteCluster(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "really") == 0 {
		s.deleteCluster()
	} else {
		t.Skip("kept")
	}
}

// stoppedAsWanted checks that no server of a stopped cluster runs, and that
// statuses say so.
func stoppedAsWanted(t *rapid.T, s *sim) {
	if s.w.Cluster.DeleteRequested {
		return
	}
	if st := s.w.Cluster.Status; st.Status != aurora.ClusterStatusStopped || st.ObservedGeneration != s.w.Cluster.Generation {
		t.Fatalf("the stopped cluster is %+v", st)
	}
	for i := range s.w.Instances {
		if in := &s.w.Instances[i]; in.Server.Phase == aurora.PhaseRunning {
			t.Fatalf("in a stopped cluster %s runs: %+v", in.ResourceID, in.Status)
		}
	}
}

// settledAsWanted checks that statuses are final and that nothing is left over.
func settledAsWanted(t *rapid.T, s *sim) {
	if s.w.Cluster.DeleteRequested {
		if !s.w.Removed || len(s.lsn) > 0 || len(s.w.Addresses) > 0 {
			t.Fatalf("the deleted cluster left something: %v %v", s.lsn, s.w.Addresses)
		}
		return
	}
	st := s.w.Cluster.Status
	if st.Status != aurora.ClusterStatusAvailable || st.ObservedGeneration != s.w.Cluster.Generation {
		t.Fatalf("cluster is %+v", st)
	}
	if len(s.w.Instances) > 0 != (st.Writer != "") {
		t.Fatalf("%d instances, writer %q", len(s.w.Instances), st.Writer)
	}
	if s.acked > 0 && st.Writer != "" && s.lsn[st.Writer] < s.acked {
		t.Fatalf("the writer %s has %d, clients were told %d", st.Writer, s.lsn[st.Writer], s.acked)
	}
	for i := range s.w.Instances {
		in := &s.w.Instances[i]
		if in.DeleteRequested || in.Status.Status != aurora.InstanceStatusAvailable || in.Status.ObservedGeneration != in.Generation {
			t.Fatalf("instance %s is %+v, %+v", in.ResourceID, in.Status, in.Server)
		}
	}
	if want := 2 * (2 + len(s.w.Instances) + len(s.w.Cluster.Spec.CustomEndpoints)); len(s.w.Addresses) != want {
		t.Fatalf("%d addresses for %d instances, want %d", len(s.w.Addresses), len(s.w.Instances), want)
	}
}
