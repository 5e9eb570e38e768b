package decide_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/decide"
)

// readers are the instances beside the writer.
func (s *sim) readers() (all []*aurora.DBInstance) {
	for i := range s.w.Instances {
		if in := &s.w.Instances[i]; in.ResourceID != s.w.Cluster.Status.Writer {
			all = append(all, in)
		}
	}
	return all
}

func TestRestartInPlaceWhereThatIsClearlySooner(t *testing.T) {
	const gib = 1 << 30
	stuck, far := aurora.ServerReport{Stuck: true}, aurora.ServerReport{ReplayBytes: gib}
	noReaderYet := aurora.ServerReport{Role: aurora.RoleWriter}
	for name, c := range map[string]struct {
		redo    int64 // of the writer
		readers [2]aurora.ServerReport
		spoil   func(w *aurora.DBInstance)
		inPlace bool
	}{
		"readers have all":                 {0, [2]aurora.ServerReport{}, nil, false},
		"both readers replay nothing":      {0, [2]aurora.ServerReport{stuck, stuck}, nil, true},
		"both readers are far behind":      {0, [2]aurora.ServerReport{far, far}, nil, true},
		"nobody is a reader yet":           {0, [2]aurora.ServerReport{noReaderYet, stuck}, nil, true},
		"one reader has all":               {0, [2]aurora.ServerReport{far, {}}, nil, false},
		"a reader has a little to replay":  {0, [2]aurora.ServerReport{stuck, {ReplayBytes: 128 << 20}}, nil, false},
		"the writer has as much to replay": {gib, [2]aurora.ServerReport{far, far}, nil, false},
		"its disk may hang":                {0, [2]aurora.ServerReport{stuck, stuck}, func(w *aurora.DBInstance) { w.Server.Suspect = "no answer" }, false},
		"its data is lost":                 {0, [2]aurora.ServerReport{stuck, stuck}, func(w *aurora.DBInstance) { w.Server.Lost = true }, false},
		"it has no quorum where it is":     {0, [2]aurora.ServerReport{stuck, stuck}, func(w *aurora.DBInstance) { w.Server.Stalled = true }, false},
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := settled(t, 3)
				w := s.writerNow()
				was := w.ResourceID
				w.Server.ReplayBytes = c.redo
				for i, in := range s.readers() {
					in.Server.Stuck, in.Server.ReplayBytes = c.readers[i].Stuck, c.readers[i].ReplayBytes
					in.Server.Role = cmp.Or(c.readers[i].Role, in.Server.Role)
				}
				s.crash(s.writerAt())
				if c.spoil != nil {
					c.spoil(s.writerNow())
				}
				s.decide(t)
				if got := s.w.Cluster.Status.Writer == was; got != c.inPlace {
					t.Fatalf("in place: %v", got)
				}
				if !c.inPlace {
					return
				}
				// It has only one try: a crash in recovery is no accident.
				s.writerNow().Server.EndedTerm = s.w.Cluster.Status.Term
				s.decide(t)
				if s.w.Cluster.Status.Writer == was {
					t.Fatal("it is restarted again and again")
				}
			})
		})
	}
}

func TestRestartInPlaceIsGivenTheTimeThatItNeeds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 2)
		w := s.writerNow()
		was := w.ResourceID
		w.Server.ReplayBytes = 256 << 20 // eight seconds, with what is written after it
		s.readers()[0].Server.Stuck = true
		s.crash(s.writerAt())
		s.decide(t)
		s.now = s.now.Add(17 * time.Second)
		if s.decide(t); s.w.Cluster.Status.Writer != was {
			t.Fatal("a reader that replays nothing took over while the writer recovered")
		}
		s.now = s.now.Add(2 * time.Second)
		if s.decide(t); s.w.Cluster.Status.Writer == was {
			t.Fatal("nobody takes over from a writer that does not recover")
		}
	})
}

func TestReaderWithLessToReplayComesFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 3)
		readers := s.readers()
		readers[0].Spec.PromotionTier, readers[1].Spec.PromotionTier = 0, 15
		readers[0].Server.Stuck = rapid.Bool().Draw(t, "stuck")
		if !readers[0].Server.Stuck {
			readers[0].Server.ReplayBytes = 512 << 20
		}
		want := readers[1].ResourceID
		s.crash(s.writerAt())
		if s.decide(t); s.w.Cluster.Status.Writer != want {
			t.Fatal("the reader of the better tier, which has much to replay, takes over")
		}
	})
}

func TestHeirThatTurnsOutToBeStuckIsReplacedSoon(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 3)
		s.crash(s.writerAt())
		s.decide(t)
		heir := s.writerNow()
		heir.Server.Stuck, heir.Server.Phase = true, aurora.PhaseStarting
		s.now = s.now.Add(4 * time.Second)
		if s.decide(t); s.w.Cluster.Status.Writer == heir.ResourceID {
			t.Fatal("it was waited for")
		}
	})
}

func TestHeirThatDoesNotBeginIsReplacedSoonAndOnlyOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 4)
		s.crash(s.writerAt())
		s.decide(t)
		first := s.w.Cluster.Status.Writer
		s.now = s.now.Add(3 * time.Second)
		if s.decide(t); s.w.Cluster.Status.Writer != first {
			t.Fatal("it was given up too early")
		}
		begun := rapid.Bool().Draw(t, "it has begun")
		if begun {
			s.writerNow().Server.Phase = aurora.PhaseStarting
		}
		s.now = s.now.Add(2 * time.Second)
		if s.decide(t); s.w.Cluster.Status.Writer == first != begun {
			t.Fatalf("begun %v, the writer is %s, was %s", begun, s.w.Cluster.Status.Writer, first)
		}
		if begun {
			return
		}
		second, term := s.w.Cluster.Status.Writer, s.w.Cluster.Status.Term
		s.now = s.now.Add(8 * time.Second)
		if s.decide(t); s.w.Cluster.Status.Writer != second {
			t.Fatal("on a slow machine the role goes around")
		}
		s.execute(t, s.writerAt())
		if s.decide(t); s.w.Cluster.Status.Term != term || s.w.Cluster.Status.Hurried {
			t.Fatalf("%+v", s.w.Cluster.Status)
		}
	})
}

func TestSwitchoverIsRefusedWhereNoReaderCanTakeOver(t *testing.T) {
	for name, spoil := range map[string]func(r *aurora.ServerReport){
		"it replays nothing": func(r *aurora.ServerReport) { r.Stuck = true },
		"it lags":            func(r *aurora.ServerReport) { r.Lagging = true },
		"it is far behind":   func(r *aurora.ServerReport) { r.ReplayBytes = 1 << 30 },
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := settled(t, 2)
				spoil(&s.readers()[0].Server)
				term := s.w.Cluster.Status.Term
				s.w.Cluster.Spec.Failover.Generation++
				actions := s.decide(t)
				if st := s.w.Cluster.Status; st.Handover != nil || st.Term != term || st.FailedOver != "" {
					t.Fatalf("it was begun: %v", actions)
				}
				if !announced(actions, "RDS-EVENT-0069") {
					t.Fatalf("nobody is told: %v", actions)
				}
			})
		})
	}
}

func TestSwitchoverIsGivenUpWhenEveryReaderIsStuck(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 3)
		was, term := s.w.Cluster.Status.Writer, s.w.Cluster.Status.Term
		s.w.Cluster.Spec.Failover.Generation++
		s.decide(t)
		s.execute(t, s.writerAt()) // it stops
		s.decide(t)
		s.readers()[0].Server.Stuck = true
		s.now = s.now.Add(3 * time.Second)
		if s.decide(t); s.w.Cluster.Status.Term != term {
			t.Fatal("it was given up although a reader replays")
		}
		s.readers()[1].Server.Stuck = true
		actions := s.decide(t)
		if st := s.w.Cluster.Status; st.Writer != was || st.Term != term+1 || !announced(actions, "RDS-EVENT-0070") {
			t.Fatalf("writer %s in term %d: %v", st.Writer, st.Term, actions)
		}
	})
}

func TestLaggingReadersAreTold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settled(t, 2)
		reader := s.readers()[0]
		reader.Server.Lagging = true
		if actions := s.decide(t); !s.readers()[0].Status.Lagging || !announced(actions, "RDS-EVENT-0045") {
			t.Fatalf("%v", actions)
		}
		if reason := s.readers()[0].Status.Reason; !strings.Contains(reason, "behind") {
			t.Fatal(reason)
		}
		s.readers()[0].Server.Lagging = false
		if actions := s.decide(t); s.readers()[0].Status.Lagging || !announced(actions, "RDS-EVENT-0046") {
			t.Fatalf("%v", actions)
		}
	})
}

func announced(actions []decide.Action, id string) bool {
	return slices.ContainsFunc(actions, func(a decide.Action) bool {
		announce, ok := a.(decide.Announce)
		return ok && announce.Event.EventID == id
	})
}
