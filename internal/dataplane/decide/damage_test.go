package decide_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestReaderWithDamagedPagesIsMadeAnew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 3)
		id := s.readers()[0].ResourceID
		s.readers()[0].Server.Damaged = "postgres"
		s.readers()[1].Server.Damaged = "postgres"
		actions := s.decide(t)
		if !announced(actions, "RDS-EVENT-0036") || !announced(actions, "RDS-EVENT-0020") {
			t.Fatalf("nobody is told: %v", actions)
		}
		if first, second := s.readers()[0].Status.Task, s.readers()[1].Status.Task; first.Rebuild != 1 || second.Rebuild != 0 {
			t.Fatalf("one at a time: %+v, %+v", first, second)
		}
		s.settle(t)
		for _, in := range s.readers() {
			if in.Server.Damaged != "" || in.Server.Rebuilt != 1 || in.Status.Damaged || in.Status.Recovering || in.Status.Reason != "" {
				t.Fatalf("%+v, %+v", in.Status, in.Server)
			}
		}
		// The same again soon is no accident any more.
		s.readers()[0].Server.Damaged = "postgres"
		if s.decide(t); s.readers()[0].Status.Task.Rebuild != 1 {
			t.Fatalf("%s is made anew again and again", id)
		}
		s.now = s.now.Add(11 * time.Minute)
		if s.decide(t); s.readers()[0].Status.Task.Rebuild != 2 {
			t.Fatalf("%s is never made anew again", id)
		}
	})
}

func TestWriterWithDamagedPagesHandsOver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 3)
		was := s.writerNow().ResourceID
		s.readers()[0].Server.Damaged = "postgres"
		s.writerNow().Server.Damaged = "postgres"
		healthy := s.readers()[1].ResourceID
		if s.decide(t); s.readers()[0].Status.Task.Rebuild != 0 {
			t.Fatal("a reader is made anew from damaged pages")
		}
		s.settle(t)
		if now := s.writerNow().ResourceID; now != healthy {
			t.Fatalf("the writer is %s, want %s", now, healthy)
		}
		for _, in := range s.readers() {
			if in.Server.Damaged != "" {
				t.Fatalf("%s is not made anew", in.ResourceID)
			}
		}
		// The new one has damaged pages too: it is not for ever that the role goes around.
		s.writerNow().Server.Damaged = "postgres"
		s.settle(t)
		if now := s.writerNow().ResourceID; now == was {
			t.Fatal("the role goes around")
		}
	})
}

func TestOnlyInstanceWithDamagedPagesStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 1)
		s.writerNow().Server.Damaged = "postgres"
		s.settle(t)
		if in := s.writerNow(); s.w.Cluster.Status.Term != 1 || !in.Status.Damaged || in.Status.Reason == "" {
			t.Fatalf("%+v", in.Status)
		}
	})
}
