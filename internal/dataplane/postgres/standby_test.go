package postgres

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"
)

// newStandby is a running copy of primary.
func newStandby(t testing.TB, dir, name string, upstream Server) (Server, *Process) {
	t.Helper()
	s := newServer(t, dir, name)
	from := Upstream{SocketDir: upstream.SocketDir}
	if err := s.Copy(testContext(t), from); err != nil {
		t.Fatal(err)
	}
	return s, start(t, s, Config{Memory: testMemory, Upstream: &from})
}

func replayed(t *testing.T, s Server, to LSN) {
	t.Helper()
	eventually(t, "the standby has replayed "+to.String(), func() bool {
		st, err := s.Status(testContext(t))
		return err == nil && st.ReplayLSN >= to
	})
}

func current(t *testing.T, s Server) LSN {
	t.Helper()
	st, err := s.Status(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return st.CurrentLSN
}

func TestStandbyFollowsIsPromotedAndTakesOver(t *testing.T) {
	dir := workDir(t)
	first, process := newPrimary(t, dir)
	conn := master(t, first, tenantDatabase)
	mustExec(t, conn, `CREATE TABLE t (n int)`)
	second, _ := newStandby(t, dir, "second", first)
	third, thirdProcess := newStandby(t, dir, "third", first)
	mustExec(t, conn, `INSERT INTO t VALUES (1)`)
	for _, standby := range []Server{second, third} {
		replayed(t, standby, current(t, first))
		if n := value[int](t, master(t, standby, tenantDatabase), `SELECT count(*) FROM t`); n != 1 {
			t.Errorf("%s has %d rows", standby.Name, n)
		}
		st, err := standby.Status(testContext(t))
		if err != nil || !st.Standby || !st.Streaming || st.Timeline != 1 || st.ReplayLag != 0 {
			t.Errorf("status of %s is %+v, %v", standby.Name, st, err)
		}
	}
	if _, err := master(t, second, tenantDatabase).Exec(testContext(t), `INSERT INTO t VALUES (2)`); err == nil {
		t.Error("a standby took a write")
	}

	// A handover: the primary stops cleanly, one standby takes over, the other
	// two follow it.
	if err := process.Stop(testContext(t), StopFast, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	control, err := first.ControlData(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	replayed(t, second, control.CheckpointLSN)
	for range 2 {
		if err := second.Promote(testContext(t), 0); err != nil {
			t.Fatal(err)
		}
	}
	mustExec(t, master(t, second, tenantDatabase), `INSERT INTO t VALUES (3)`)
	if st, err := second.Status(testContext(t)); err != nil || st.Standby || st.Timeline != 2 {
		t.Errorf("status of the promoted server is %+v, %v", st, err)
	}
	config := Config{Memory: testMemory, Upstream: &Upstream{SocketDir: second.SocketDir}}
	if changed, err := third.Configure(testContext(t), config); err != nil || !changed {
		t.Fatalf("changed %v, %v", changed, err)
	}
	if err := thirdProcess.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := first.MakeStandby(testContext(t)); err != nil {
		t.Fatal(err)
	}
	start(t, first, config)
	for _, standby := range []Server{first, third} {
		replayed(t, standby, current(t, second))
		if n := value[int](t, master(t, standby, tenantDatabase), `SELECT count(*) FROM t`); n != 2 {
			t.Errorf("%s has %d rows after the handover", standby.Name, n)
		}
	}
}

func TestKilledPrimaryIsNoStandby(t *testing.T) {
	s, p := newPrimary(t, workDir(t))
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	if err := s.MakeStandby(testContext(t)); !errors.Is(err, ErrNotClean) {
		t.Errorf("made a standby of a server that crashed: %v", err)
	}
}

func TestStandbyStartsWithTheLimitsOfItsPrimary(t *testing.T) {
	dir := workDir(t)
	primary := newServer(t, dir, "primary")
	if err := primary.Init(testContext(t), options()); err != nil {
		t.Fatal(err)
	}
	start(t, primary, Config{Memory: testMemory, Parameters: map[string]string{"max_connections": "77", "max_worker_processes": "11"}})
	standby, _ := newStandby(t, dir, "standby", primary)
	if st, err := standby.Status(testContext(t)); err != nil || st.MaxConnections != 77 {
		t.Errorf("max_connections of the standby is %d, %v", st.MaxConnections, err)
	}
}

func TestCopyOfAnUpstreamThatIsAwayLeavesNothing(t *testing.T) {
	dir := workDir(t)
	s := newServer(t, dir, "standby")
	if err := s.Copy(testContext(t), Upstream{SocketDir: dir + "/run/nobody"}); err == nil {
		t.Fatal("copied from nobody")
	}
	if ok, err := s.HasData(); ok || err != nil {
		t.Errorf("data after a failed copy: %v, %v", ok, err)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	if err := s.Copy(ctx, Upstream{SocketDir: dir}); err == nil {
		t.Error("a cancelled copy succeeded")
	}
}
