package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

// TestOnlyServerThatCannotBeStartedComesBackFromTheLog damages the data of the only
// server of a cluster, so that PostgreSQL does not start from it any more.
func TestOnlyServerThatCannotBeStartedComesBackFromTheLog(t *testing.T) {
	s := startSystem(t)
	c := s.createCluster("one")
	w := s.createInstance(c, "w")
	s.settled(c, w)
	s.exec(w, "CREATE TABLE t AS SELECT 'kept'::text AS v")
	s.eventually("the base copy is there", func() bool { return s.cluster(c).Volume.Base.Zone != "" })

	t.Run("in another zone", func(t *testing.T) {
		was := s.damaged(c, w, "global/pg_control")
		base := s.layout.Base(s.cluster(c).Volume.Base.Zone, c)
		if err := os.Rename(base, base+".away"); err != nil { // nothing can be made of it for now
			t.Fatal(err)
		}
		s.startNode()
		s.eventually("it is to be built from the log", func() bool {
			in := s.instance(w)
			return in.Status.Task.Build == aurora.BuildLog && in.Server.Phase == aurora.PhaseFailed && contains(in.Server.Message, "base copy")
		})
		if in := s.instance(w); !in.Status.Recovering || in.Status.AvailabilityZone == was.Status.AvailabilityZone {
			t.Errorf("%+v", in.Status)
		}
		if _, err := os.Stat(filepath.Join(s.layout.Instance(was.Status.AvailabilityZone, c, w), "data", "PG_VERSION")); err != nil {
			t.Errorf("the only copy was removed before there was another one: %v", err)
		}
		if err := os.Rename(base+".away", base); err != nil {
			t.Fatal(err)
		}
		s.isWhole(c, w, was.Server.Term, "kept")
	})
	t.Run("where it was", func(t *testing.T) {
		s.exec(w, "UPDATE t SET v = 'kept twice'")
		zone := s.instance(w).Status.AvailabilityZone
		was := s.damaged(c, w, "pg_wal/0*")
		_, err := state.DBInstances(s.store).Update(t.Context(), w, func(in *aurora.DBInstance) error {
			in.Status.Recovery = time.Now().Add(-time.Hour) // or it would have to wait
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		s.startNode()
		s.eventually("the data is set aside", func() bool {
			_, err := os.Stat(filepath.Join(s.layout.Instance(zone, c, w), "data.aside"))
			return err == nil || s.instance(w).Server.Term > was.Server.Term
		})
		s.isWhole(c, w, was.Server.Term, "kept twice")
	})
}

// TestServersThatCannotBeStartedAreMadeAnewBesideOthers: a reader from the writer; a
// writer after a reader took over.
func TestServersThatCannotBeStartedAreMadeAnewBesideOthers(t *testing.T) {
	s := startSystem(t)
	c := s.createCluster("one")
	a, b := s.createInstance(c, "a"), s.createInstance(c, "b")
	s.settled(c, a, b)
	writer, reader := a, b
	if s.cluster(c).Status.Writer == b {
		writer, reader = b, a
	}
	s.exec(writer, "CREATE TABLE t AS SELECT 'kept'::text AS v")
	s.reads(reader, "SELECT v FROM t", "kept")
	term := s.cluster(c).Status.Term
	s.damaged(c, reader, "global/pg_control")
	s.startNode()
	s.eventually("the reader's data is made anew", func() bool { return s.instance(reader).Server.Rebuilt == 1 })
	s.settled(c, a, b)
	s.reads(reader, "SELECT v FROM t", "kept")
	if now := s.cluster(c).Status.Term; now != term {
		t.Errorf("term %d, was %d", now, term)
	}
	s.damaged(c, writer, "global/pg_control")
	s.startNode()
	s.eventually("the reader is the writer", func() bool { return s.cluster(c).Status.Writer == reader })
	s.eventually("the old writer's data is made anew", func() bool { return s.instance(writer).Server.Rebuilt == 1 })
	s.settled(c, a, b)
	s.reads(writer, "SELECT v FROM t", "kept")
}

// damaged stops the node, kills an instance's server and overwrites files of its data
// with zeros.
func (s *system) damaged(cluster, instance, pattern string) aurora.DBInstance {
	s.Helper()
	s.stopNode()
	in := s.instance(instance)
	if err := syscall.Kill(in.Server.PID, syscall.SIGKILL); err != nil {
		s.Fatal(err)
	}
	s.eventually("the server is dead", func() bool { // or a zombie, for it may be a child of ours
		_, err := os.Readlink(filepath.Join("/proc", itoa(in.Server.PID), "exe"))
		return err != nil
	})
	files, err := filepath.Glob(filepath.Join(s.layout.Instance(in.Status.AvailabilityZone, cluster, instance), "data", pattern))
	if err != nil || len(files) == 0 {
		s.Fatal(files, err)
	}
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			s.Fatal(err)
		}
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			s.Fatal(err)
		}
		_, err = f.Write(make([]byte, info.Size()))
		if err := errors.Join(err, f.Close()); err != nil {
			s.Fatal(err)
		}
	}
	return in
}

// isWhole waits until a cluster's only instance serves in a later term with all that
// was committed, and nothing of what it had before is left.
func (s *system) isWhole(cluster, instance string, term int64, value string) {
	s.Helper()
	s.eventually("the writer is back", func() bool {
		st, server := s.cluster(cluster).Status, s.instance(instance).Server
		return st.Term > term && server.Term == st.Term && server.Phase == aurora.PhaseRunning
	})
	s.reads(instance, "SELECT v FROM t", value)
	s.exec(instance, "UPDATE t SET v = v")
	s.settled(cluster, instance)
	in := s.instance(instance)
	if in.Server.FailedStarts != (aurora.FailedStarts{}) || in.Server.Lost || in.Status.Unstartable {
		s.Errorf("%+v, %+v", in.Server, in.Status)
	}
	own := s.layout.Instance(in.Status.AvailabilityZone, cluster, instance)
	s.eventually("nothing of the old data is left", func() bool {
		dirs, _ := filepath.Glob(s.layout.Instance("*", cluster, instance))
		inside, _ := filepath.Glob(filepath.Join(own, "data?*"))
		return len(dirs) == 1 && dirs[0] == own && len(inside) == 0
	})
	s.eventually("users are told", func() bool {
		events, err := state.Events(s.Context(), s.store, time.Time{})
		if err != nil {
			s.Fatal(err)
		}
		told := map[string]bool{}
		for _, e := range events {
			told[e.EventID] = true
		}
		return told["RDS-EVENT-0036"] && told["RDS-EVENT-0020"] && told["RDS-EVENT-0021"]
	})
}
