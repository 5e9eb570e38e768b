package decide_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

func TestReaderThatCannotBeStartedIsMadeAnew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 3)
		id := s.readers()[0].ResourceID
		i := s.index(id)
		s.breakData(i)
		s.execute(t, i)
		actions := s.decide(t)
		if in := s.instance(id); in.Status.Task.Rebuild != 1 || !in.Status.Recovering || in.Status.Reason == "" {
			t.Fatalf("%+v", in.Status)
		}
		if !announced(actions, "RDS-EVENT-0036") || !announced(actions, "RDS-EVENT-0020") {
			t.Fatalf("nobody is told: %v", actions)
		}
		term := s.w.Cluster.Status.Term
		s.settle(t)
		if in := s.instance(id); s.w.Cluster.Status.Term != term || in.Status.Recovering || in.Status.Unstartable || in.Status.Reason != "" {
			t.Fatalf("%+v", in.Status)
		}
	})
}

func TestWriterThatCannotBeStartedIsReplacedByAReader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 2)
		was := s.w.Cluster.Status.Writer
		s.writerNow().Server.Restarting = rapid.Bool().Draw(t, "it was being restarted")
		s.breakData(s.writerAt())
		s.writerNow().Server.FailedStarts = failedStarts
		if s.decide(t); s.w.Cluster.Status.Writer == was {
			t.Fatal("it is restarted")
		}
		s.settle(t)
		if in := s.instance(was); in.Server.Rebuilt != 1 || in.Status.Unstartable {
			t.Fatalf("%+v", in.Server)
		}
	})
}

func TestOnlyServerThatCannotBeStartedIsBuiltFromTheLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 1)
		s.write(s.writerAt())
		base, term := s.w.Cluster.Volume.Base, s.w.Cluster.Status.Term
		s.breakData(s.writerAt())
		s.writerNow().Server.FailedStarts, s.writerNow().Server.Lost = failedStarts, true
		actions := s.decide(t)
		in := s.writerNow()
		if in.Status.Task.Build != aurora.BuildLog || in.Status.AvailabilityZone != base.Zone || s.w.Cluster.Status.Term != term+1 {
			t.Fatalf("%+v", in.Status)
		}
		if !announced(actions, "RDS-EVENT-0036") || !announced(actions, "RDS-EVENT-0020") || !in.Status.Recovering {
			t.Fatalf("nobody is told: %v", actions)
		}
		s.execute(t, s.writerAt())
		if actions := s.decide(t); !announced(actions, "RDS-EVENT-0021") || len(s.aside) > 0 {
			t.Fatalf("%v", actions)
		}
		// The same again at once: what is made of the log cannot be started either.
		again := func() {
			s.breakData(s.writerAt())
			s.writerNow().Server.FailedStarts, s.writerNow().Server.Lost = failedStarts, true
			s.decide(t)
		}
		term = s.w.Cluster.Status.Term
		if again(); s.w.Cluster.Status.Term != term || s.writerNow().Status.Reason == "" {
			t.Fatalf("it is made anew again and again: %+v", s.writerNow().Status)
		}
		s.writerNow().Spec.RestartGeneration++ // a user wants to have it tried again
		if s.decide(t); s.w.Cluster.Status.Term != term+1 || s.writerNow().Status.Task.Build != "" {
			t.Fatalf("it is not tried again: %+v", s.writerNow().Status.Task)
		}
		s.execute(t, s.writerAt())
		s.decide(t)
		s.now = s.now.Add(11 * time.Minute)
		if s.decide(t); s.w.Cluster.Status.Term != term+2 || s.writerNow().Status.Task.Build != aurora.BuildLog {
			t.Fatalf("it is never made anew again: %+v", s.writerNow().Status.Task)
		}
	})
}

func TestOnlyServerThatCannotBeStartedWaitsForItsBaseCopy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 1)
		s.breakData(s.writerAt())
		s.writerNow().Server.FailedStarts, s.writerNow().Server.Lost = failedStarts, true
		term, base := s.w.Cluster.Status.Term, s.w.Cluster.Volume.Base
		s.w.Cluster.Volume.Base = aurora.BaseCopy{}
		if !rapid.Bool().Draw(t, "there is none") {
			s.w.Cluster.Volume.Base = base
			s.w.Lost = map[string]time.Time{base.Host: s.now}
		}
		if s.decide(t); s.w.Cluster.Status.Term != term || s.w.Cluster.Status.Reason == "" {
			t.Fatalf("%+v", s.w.Cluster.Status)
		}
		s.w.Cluster.Volume.Base = base
		s.w.Lost = map[string]time.Time{}
		if s.decide(t); s.writerNow().Status.Task.Build != aurora.BuildLog {
			t.Fatalf("%+v", s.writerNow().Status.Task)
		}
	})
}

// index is where an instance is.
func (s *sim) index(id string) int {
	for i := range s.w.Instances {
		if s.w.Instances[i].ResourceID == id {
			return i
		}
	}
	return -1
}
