package node_test

import (
	"slices"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

func TestFaultsThatUsersAskForComeTrue(t *testing.T) {
	s := startSystem(t)
	c := s.createCluster("one")
	w := s.createInstance(c, "w")
	r := s.createInstance(c, "r")
	s.settled(c, w, r)
	w = s.cluster(c).Status.Writer
	if r == w {
		r = s.createdFirst(c)
	}
	s.exec(w, "CREATE TABLE t AS SELECT 1::text AS v")
	s.reads(r, "SELECT v FROM t", "1")

	// The instance crashes, and is restarted although there is a reader.
	before := s.instance(w).Server.PID
	s.exec(w, "SELECT aurora_inject_crash('instance')")
	s.eventually("the writer was restarted", func() bool {
		in, st := s.instance(w), s.cluster(c).Status
		return st.Term == 2 && st.Writer == w && in.Server.Term == 2 && in.Server.PID != before && in.Server.PID != 0
	})
	s.settled(c, w, r)
	s.reads(w, "SELECT v FROM t", "1")
	told, err := state.Events(s.Context(), s.store, time.Now().Add(-time.Hour))
	told = slices.DeleteFunc(told, func(e aurora.Event) bool { return e.SourceType == aurora.SourceDBSnapshot }) // come when they come
	if err != nil || len(told) < 2 || told[len(told)-2].EventID != "RDS-EVENT-0004" || told[len(told)-1].EventID != "RDS-EVENT-0006" {
		t.Errorf("events: %+v, %v", told, err)
	}

	// What ships the WAL crashes: commits go on after it.
	s.exec(w, "SELECT aurora_inject_crash('dispatcher')")
	s.exec(w, "UPDATE t SET v = '2'")
	s.reads(r, "SELECT v FROM t", "2")

	// A copy of the log fails: nobody but who looks notices.
	s.exec(w, "SELECT aurora_inject_disk_failure(100, 1, false, 5)")
	s.eventually("the copy is away", func() bool { return s.cluster(c).Volume.Log.Whole == 5 })
	s.exec(w, "UPDATE t SET v = '3'")
	s.reads(r, "SELECT v FROM t", "3")
	s.eventually("the copy is whole again", func() bool { return s.cluster(c).Volume.Log.Whole == 6 })

	// The reader replays nothing for a while.
	s.reads(w, "SELECT count(*)::text FROM aurora_replica_status()", "2")
	s.exec(w, "SELECT aurora_inject_replica_failure(100, 4, '')")
	s.eventually("the replay is paused", func() bool {
		return s.query(r, "SELECT pg_get_wal_replay_pause_state()") == "paused"
	})
	s.exec(w, "UPDATE t SET v = '4'")
	if got := s.query(r, "SELECT v FROM t"); got != "3" {
		t.Errorf("a reader that replays nothing shows %s", got)
	}
	s.reads(r, "SELECT v FROM t", "4")
}

// createdFirst is the member that does not write.
func (s *system) createdFirst(cluster string) string {
	s.Helper()
	for _, name := range []string{"w", "r"} {
		if id := "db-" + name; id != s.cluster(cluster).Status.Writer {
			return id
		}
	}
	s.Fatal("no member but the writer")
	return ""
}

func TestWriterHandsItsRoleToTheReaderThatAUserNames(t *testing.T) {
	s := startSystem(t)
	c := s.createCluster("one")
	w := s.createInstance(c, "w")
	s.settled(c, w)
	a, b := s.createInstance(c, "a"), s.createInstance(c, "b")
	s.settled(c, w, a, b)
	s.exec(w, "CREATE TABLE t AS SELECT 1::text AS v")
	for i, target := range []string{b, a, w} {
		from := s.cluster(c).Status.Writer
		s.exec(from, "UPDATE t SET v = v::int + 1")
		s.changeCluster(c, func(c *aurora.DBCluster) {
			c.Spec.Failover = aurora.FailoverRequest{Generation: c.Spec.Failover.Generation + 1, Target: target}
		})
		s.eventually("the target writes", func() bool {
			st := s.cluster(c).Status
			return st.Writer == target && st.FailedOver == "" && st.Handover == nil
		})
		s.settled(c, w, a, b)
		if st := s.cluster(c).Status; st.Term != int64(i+2) {
			t.Errorf("term %d after %d handovers", st.Term, i+1)
		}
		for _, id := range []string{w, a, b} {
			s.reads(id, "SELECT v FROM t", string(rune('2'+i)))
		}
	}
}

func TestWriterOfAnotherClassStartsAnewAsAReader(t *testing.T) {
	s := startSystem(t)
	c := s.createCluster("one")
	w := s.createInstance(c, "w")
	s.settled(c, w)
	r := s.createInstance(c, "r")
	s.settled(c, w, r)
	s.exec(w, "CREATE TABLE t AS SELECT 1::text AS v")
	before := s.instance(r).Server.PID
	s.changeInstance(w, func(in *aurora.DBInstance) { in.Spec.Class = "db.r6g.large" })
	s.settled(c, w, r)
	if st := s.cluster(c).Status; st.Writer != r || s.instance(r).Server.PID != before || s.instance(w).Server.Class != "db.r6g.large" {
		t.Errorf("%+v, %+v", st, s.instance(w).Server)
	}
	s.exec(r, "UPDATE t SET v = '2'")
	s.reads(w, "SELECT v FROM t", "2")
}
