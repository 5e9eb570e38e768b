package decide_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/decide"
)

// decideOnce offers enough for everything and applies one decision.
func decideOnce(s *sim) {
	for i := range 20 {
		s.w.Offer.Addresses = append(s.w.Offer.Addresses, s.freeAddress(i))
	}
	s.w.Offer.Identity = &decide.Identity{Secret: []byte("sealed")}
	s.w = decide.Apply(s.w, decide.Decide(s.w, s.now))
}

func TestInstancesSpreadOverTheZones(t *testing.T) {
	s := newSim()
	for range 6 {
		s.createInstance(0)
	}
	decideOnce(s)
	zones := map[string]int{}
	for _, in := range s.w.Instances {
		zones[in.Status.AvailabilityZone]++
	}
	if len(zones) != 3 || zones["us-west-2a"] != 2 || zones["us-west-2b"] != 2 {
		t.Fatalf("six instances in zones %v, want two in each of three", zones)
	}
}

func TestAskedZoneIsHonouredOrWaitedFor(t *testing.T) {
	s := newSim()
	s.createInstance(0)
	s.w.Instances[0].Spec.AvailabilityZone = "us-west-2c"
	s.createInstance(0)
	s.w.Instances[1].Spec.AvailabilityZone = "us-west-2z"
	decideOnce(s)
	if zone := s.w.Instances[0].Status.AvailabilityZone; zone != "us-west-2c" {
		t.Errorf("placed in %q, want us-west-2c", zone)
	}
	if st := s.w.Instances[1].Status; st.Host != "" || st.Reason == "" {
		t.Errorf("instance in an unknown zone: %+v, want it unplaced with a reason", st)
	}
}

func TestOldestInstanceIsTheFirstWriter(t *testing.T) {
	s := newSim()
	s.createInstance(0)
	s.createInstance(0)
	s.w.Instances[0].CreateTime = s.now.Add(time.Second)
	oldest := s.w.Instances[1].ResourceID
	decideOnce(s)
	st := s.w.Cluster.Status
	if st.Writer != oldest || st.Term != 1 || st.Status != aurora.ClusterStatusAvailable {
		t.Fatalf("%+v, want writer %s of term 1", st, oldest)
	}
}

func TestServersRestartOneAtATimeReadersFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSim()
		for range 3 {
			s.createInstance(0)
		}
		s.settle(t)
		for i := range s.w.Instances {
			s.w.Instances[i].Generation++
		}
		var order []string
		for range 3 {
			s.decide(t)
			var turn []int
			for i := range s.w.Instances {
				if in := &s.w.Instances[i]; in.Status.Task.Generation > in.Server.ObservedGeneration {
					turn = append(turn, i)
				}
			}
			if len(turn) != 1 {
				t.Fatalf("%d servers have their turn, want one", len(turn))
			}
			order = append(order, s.w.Instances[turn[0]].ResourceID)
			s.execute(t, turn[0])
		}
		if slices.Index(order, s.w.Cluster.Status.Writer) != 2 {
			t.Fatalf("restarted %v, want the writer %s last", order, s.w.Cluster.Status.Writer)
		}
	})
}
