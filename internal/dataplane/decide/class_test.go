package decide_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

func TestWriterOfAnotherClassHandsItsRoleOverOnceReadersAreReady(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 2)
		id := s.writerNow().ResourceID
		for i := range s.w.Instances {
			s.w.Instances[i].Spec.Class = "db.r6g.xlarge"
			s.w.Instances[i].Generation++
		}
		s.decide(t)
		if h := s.w.Cluster.Status.Handover; h != nil {
			t.Fatalf("while the reader has the old class: %+v", h)
		}
		for i := range s.w.Instances {
			if s.w.Instances[i].ResourceID != id {
				s.execute(t, i)
			}
		}
		s.decide(t)
		if h := s.w.Cluster.Status.Handover; h == nil || h.From != id {
			t.Fatalf("when the reader is ready: %+v", h)
		}
		s.settle(t)
		if s.writerNow().ResourceID == id {
			t.Fatalf("%s still writes", id)
		}
		settledAsWanted(t, s)
		for _, in := range s.w.Instances {
			if in.Server.Class != "db.r6g.xlarge" || in.Server.Role == aurora.RoleNone {
				t.Fatalf("%+v", in.Server)
			}
		}
	})
}

func TestOnlyWriterIsRestartedForAnotherClass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 1)
		w := s.writerNow()
		w.Spec.Class = "db.r6g.xlarge"
		w.Generation++
		s.decide(t)
		if h := s.w.Cluster.Status.Handover; h != nil || s.writerNow().Status.Task.Generation != s.writerNow().Generation {
			t.Fatalf("%+v, %+v", h, s.writerNow().Status.Task)
		}
	})
}
