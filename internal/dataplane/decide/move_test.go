package decide_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// copiesAreKnown: nodes delete copies that no stored list has, so that all that count
// must be in one, unless the order says that there may be others.
func copiesAreKnown(t *rapid.T, s *sim) {
	st := s.w.Cluster.Status
	if st.LogMove != nil && st.LogMove.Again {
		return
	}
	for _, list := range s.counting {
		if !slices.Equal(list, st.LogHosts) && (st.LogMove == nil || !slices.Equal(list, st.LogMove.Hosts)) {
			t.Fatalf("copies on %v count, and stored are %v and %+v", list, st.LogHosts, st.LogMove)
		}
	}
}

// withHosts is a settled cluster on hosts that stand for these zones.
func withHosts(t *rapid.T, instances int, zones ...string) *sim {
	s := newSim()
	s.w.Hosts = nil
	for i, zone := range zones {
		s.w.Hosts = append(s.w.Hosts, aurora.Host{ID: string(rune('1' + i)), Zones: []aurora.HostZone{{Suffix: zone}}})
	}
	for range instances {
		s.createInstance(1)
	}
	s.settle(t)
	return s
}

// onHosts counts the copies of each host, as stored.
func (s *sim) onHosts() map[string]int {
	count := map[string]int{}
	for _, h := range s.w.Cluster.Status.LogHosts {
		count[h]++
	}
	return count
}

// moved decides and works until no copies are being moved.
func (s *sim) moved(t *rapid.T) {
	for range 10 {
		s.decide(t)
		for i := range s.w.Instances {
			s.execute(t, i)
		}
		if s.w.Cluster.Status.LogMove == nil {
			return
		}
		s.moveLog(false)
	}
	t.Fatalf("copies are still being moved: %+v", s.w.Cluster.Status)
}

// otherHost is one without the writer.
func (s *sim) otherHost(t *rapid.T) string {
	hosts := slices.DeleteFunc(slices.Clone(s.w.Hosts), func(h aurora.Host) bool { return h.ID == s.writerNow().Status.Host })
	return rapid.SampledFrom(hosts).Draw(t, "host").ID
}

func TestCopiesOfAHostThatIsLostForLongAreMadeElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		zones []string
		most  int // copies on one host, in the end
	}{
		"three hosts":                   {[]string{"a", "b", "c"}, 3},
		"four hosts, two of one zone":   {[]string{"a", "b", "c", "c"}, 3},
		"six hosts, two of each zone":   {[]string{"a", "a", "b", "b", "c", "c"}, 2},
		"three hosts of one zone":       {[]string{"a", "a", "a"}, 3},
		"four hosts, two of both zones": {[]string{"a", "a", "b", "b"}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := withHosts(t, 2, c.zones...)
				lost := s.otherHost(t)
				s.loseHost(lost, false)
				before := slices.Clone(s.w.Cluster.Status.LogHosts)
				s.now = s.now.Add(4 * time.Minute)
				s.moved(t)
				if !slices.Equal(before, s.w.Cluster.Status.LogHosts) {
					t.Fatal("a host that may come back was not waited for")
				}
				s.now = s.now.Add(2 * time.Minute)
				s.moved(t)
				for host, n := range s.onHosts() {
					if host == lost || n > c.most {
						t.Fatalf("%s is lost, and copies are on %v", lost, s.onHosts())
					}
				}
				for n, host := range s.w.Cluster.Status.LogHosts {
					if before[n] != lost && host != before[n] {
						t.Fatalf("copy %d was on %s and is on %s", n, before[n], host)
					}
				}
				s.settle(t)
			})
		})
	}
}

func TestCopiesAreSpreadAgainWhenTheHostIsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := withHosts(t, 2, "a", "b", "c")
		lost := s.otherHost(t)
		s.loseHost(lost, false)
		s.now = s.now.Add(time.Hour)
		s.moved(t)
		if on := s.onHosts(); len(on) != 2 {
			t.Fatalf("copies are on %v", on)
		}
		s.settle(t)
		for host, n := range s.onHosts() {
			if n != 2 {
				t.Fatalf("all hosts are there, and %s has %d copies of %v", host, n, s.onHosts())
			}
		}
	})
}

func TestCopiesStayWhenNoSpreadOfThemWouldSurviveMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := withHosts(t, 2, "a", "b")
		before := s.onHosts()
		s.settle(t)
		if on := s.onHosts(); on["1"] != before["1"] || on["2"] != before["2"] || on["1"] != 3 {
			t.Fatalf("copies were on %v and are on %v", before, on)
		}
	})
}

func TestCopiesOfAHostThatLeavesAreMadeElsewhereAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := withHosts(t, 2, "a", "b", "c", "c")
		leaves := s.otherHost(t)
		s.loseHost(leaves, false)
		for i := range s.w.Hosts {
			s.w.Hosts[i].Leaving = s.w.Hosts[i].ID == leaves
		}
		s.moved(t)
		if n := s.onHosts()[leaves]; n > 0 {
			t.Fatalf("%d copies are on the host that leaves", n)
		}
	})
}

func TestCopiesAreNotMovedWithoutAQuorumOrAWriter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := withHosts(t, 1, "a", "b", "c")
		if rapid.Bool().Draw(t, "two hosts are lost") {
			for _, h := range s.w.Hosts {
				if h.ID != s.writerNow().Status.Host {
					s.w.Lost[h.ID] = s.now
				}
			}
		} else {
			s.loseHost(s.writerNow().Status.Host, true) // cut off from the state store only
		}
		s.now = s.now.Add(time.Hour)
		s.decide(t)
		if m := s.w.Cluster.Status.LogMove; m != nil {
			t.Fatalf("the copies are to be moved: %+v", m)
		}
	})
}

func TestAnotherHostGetsTheCopiesWhenTheOneThatWasToIsLostToo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := withHosts(t, 2, "a", "b", "c", "c", "c")
		var lost string
		for host := range s.onHosts() {
			if zone := s.zoneOf(host); zone == "c" && host != s.writerNow().Status.Host {
				lost = max(lost, host)
			}
		}
		s.w.Lost[lost], s.w.Silent = s.now, true
		s.now = s.now.Add(time.Hour)
		s.decide(t)
		first := s.w.Cluster.Status.LogMove
		s.moveLog(true)
		var second string
		for n, host := range first.Hosts {
			if host != s.w.Cluster.Status.LogHosts[n] {
				second = host
			}
		}
		if second == s.writerNow().Status.Host || s.onHosts()[second] > 0 {
			t.Skip("losing it too is another matter")
		}
		s.w.Lost[second] = s.now
		s.now = s.now.Add(time.Hour)
		s.decide(t)
		if m := s.w.Cluster.Status.LogMove; m == nil || !m.Again || m.Generation == first.Generation {
			t.Fatalf("first %+v, then %+v", first, m)
		}
		s.moved(t)
		if on := s.onHosts(); on[lost] > 0 || on[second] > 0 {
			t.Fatalf("%s and %s are lost, and copies are on %v", lost, second, on)
		}
	})
}

func (s *sim) zoneOf(host string) string {
	for _, h := range s.w.Hosts {
		if h.ID == host {
			return h.Zones[0].Suffix
		}
	}
	return ""
}
