package decide_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// settled is a cluster of some instances, a host each.
func settled(t *rapid.T, instances int) *sim {
	s := newSim()
	for range instances {
		s.createInstance(1)
	}
	s.settle(t)
	return s
}

func (s *sim) writerNow() *aurora.DBInstance {
	for i := range s.w.Instances {
		if s.w.Instances[i].ResourceID == s.w.Cluster.Status.Writer {
			return &s.w.Instances[i]
		}
	}
	return &aurora.DBInstance{}
}

func (s *sim) writerAt() int {
	for i := range s.w.Instances {
		if s.w.Instances[i].ResourceID == s.w.Cluster.Status.Writer {
			return i
		}
	}
	return -1
}

func TestWriterOfALostHostIsReplacedAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 3)
		lost := s.writerNow().Status.Host
		s.loseHost(lost, false)
		s.decide(t)
		if now := s.writerNow(); now.Status.Host == lost || s.w.Cluster.Status.Term != 2 {
			t.Fatalf("the writer is %s of term %d on %s", now.ResourceID, s.w.Cluster.Status.Term, now.Status.Host)
		}
	})
}

func TestWriterCutOffFromTheStateStoreOnlyGoesOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 3)
		s.loseHost(s.writerNow().Status.Host, true)
		s.now = s.now.Add(time.Minute)
		if actions := s.decide(t); s.w.Cluster.Status.Term != 1 {
			t.Fatalf("decided %v", actions)
		}
	})
}

func TestLoneWriterOfALostHostIsBuiltAgainAfterAWhile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 1)
		s.write(0)
		lost := s.writerNow().Status.Host
		s.loseHost(lost, false)
		if s.decide(t); s.w.Cluster.Status.Term != 1 {
			t.Fatal("its host was not waited for")
		}
		s.now = s.now.Add(6 * time.Second)
		s.decide(t)
		now := s.writerNow()
		if now.Status.Host == lost || now.Status.Task.Build != aurora.BuildLog {
			t.Fatalf("it is on %s, built by %q", now.Status.Host, now.Status.Task.Build)
		}
		s.execute(t, s.writerAt())
		s.settle(t)
	})
}

func TestWriterThatNobodyHearsIsReplaced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 3)
		writer := s.writerNow().Status.Host
		var others []string
		for _, h := range s.w.Hosts {
			if h.ID != writer {
				others = append(others, h.ID)
			}
		}
		s.now = s.now.Add(time.Minute)
		s.w.Unheard = others[:1] // four copies of six hear it: it has its quorum
		if actions := s.decide(t); s.w.Cluster.Status.Term != 1 {
			t.Fatalf("decided %v", actions)
		}
		s.w.Unheard = others
		s.decide(t)
		if now := s.writerNow().Status.Host; now == writer || s.w.Cluster.Status.Term != 2 {
			t.Fatalf("the writer is on %s in term %d", now, s.w.Cluster.Status.Term)
		}
		if actions := s.decide(t); s.w.Cluster.Status.Term != 2 {
			t.Fatalf("the new one was not given the time: %v", actions)
		}
	})
}

func TestWriterWhoseLogIsElsewhereIsReplacedThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 2)
		before := s.writerNow().Status.Host
		s.stall(s.writerAt(), true)
		s.decide(t)
		if now := s.writerNow().Status.Host; now == before {
			t.Fatal("it is still the writer")
		}
		s.settle(t)
		// With another host lost nobody has a quorum: it stays what it is.
		s.stall(s.writerAt(), true)
		for _, h := range s.w.Hosts {
			if h.ID != s.writerNow().Status.Host {
				s.loseHost(h.ID, false)
				break
			}
		}
		term := s.w.Cluster.Status.Term
		if s.decide(t); s.w.Cluster.Status.Term != term {
			t.Fatal("it was replaced by one that has no quorum either")
		}
	})
}
