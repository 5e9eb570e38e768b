package node_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

func TestWriterAndReaderAreBuiltServeAndGo(t *testing.T) {
	s := startSystem(t)
	begin := time.Now()
	c := s.createCluster("one")
	s.settled(c)
	t.Logf("cluster available after %v", time.Since(begin))
	w, r := s.createInstance(c, "w"), s.createInstance(c, "r")
	s.settled(c, w, r)
	t.Logf("writer and reader available after %v", time.Since(begin))
	s.exec(w, "CREATE TABLE t AS SELECT 42::text AS v")
	s.reads(r, "SELECT v FROM t", "42")
	if st := s.cluster(c).Status; st.Writer != w || st.Term != 1 || st.WriterEndpoint.Host == "" || st.ReaderEndpoint.Host == "" {
		t.Errorf("cluster is %+v", st)
	}
	for _, id := range []string{w, r} {
		in := s.instance(id)
		if in.Server.SharedBuffers != 64<<20 || in.Server.Version == "" || in.Status.Endpoint.Host == "" {
			t.Errorf("%s is %+v, %+v", id, in.Status, in.Server)
		}
	}
	begin = time.Now()
	for _, id := range []string{w, r} {
		s.deleteInstance(id)
	}
	s.deleteCluster(c)
	s.clusterGone(c)
	t.Logf("deleted after %v", time.Since(begin))
	s.nothingLeft()
}

func TestKilledServerComesBackAtOnce(t *testing.T) {
	s := startSystem(t)
	c := s.createCluster("one")
	w := s.createInstance(c, "w")
	s.settled(c, w)
	s.exec(w, "CREATE TABLE t AS SELECT 42::text AS v")
	pid := s.instance(w).Server.PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	s.eventually("another server runs", func() bool {
		server := s.instance(w).Server
		return server.Phase == aurora.PhaseRunning && server.PID != pid
	})
	t.Logf("back after %v", time.Since(begin))
	s.reads(w, "SELECT v FROM t", "42")
}
