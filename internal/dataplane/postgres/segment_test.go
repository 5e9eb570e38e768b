package postgres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestStandbyThatDiedWhileItReceivedANewTimelineStartsAgain: of the segment in which
// a timeline began it has a part only, which ends in the middle of a record that the
// older timeline's file has.
func TestStandbyThatDiedWhileItReceivedANewTimelineStartsAgain(t *testing.T) {
	dir := workDir(t)
	first, primary := newPrimary(t, dir)
	second, _ := newStandby(t, dir, "second", first)
	third, standby := newStandby(t, dir, "third", first)
	conn := master(t, first, tenantDatabase)
	admin, err := first.Connect(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(testContext(t))
	mustExec(t, admin, `SELECT pg_switch_wal()`)
	mustExec(t, conn, `CREATE TABLE t (n int)`)
	mustExec(t, conn, `SELECT pg_logical_emit_message(false, 'large', repeat('x', 200000))`)
	mustExec(t, conn, `INSERT INTO t VALUES (1)`)
	end := current(t, first)
	replayed(t, second, current(t, first))
	replayed(t, third, current(t, first))
	if err := standby.Stop(testContext(t), StopKill, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := primary.Stop(testContext(t), StopFast, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := second.Promote(testContext(t), 2); err != nil {
		t.Fatal(err)
	}
	mustExec(t, master(t, second, tenantDatabase), `INSERT INTO t VALUES (2)`)

	segment := fmt.Sprintf("00000002%08X%08X", uint64(end)>>32, uint64(end)%(1<<32)/segmentBytes)
	content, err := os.ReadFile(filepath.Join(second.dataDir(), "pg_wal", segment))
	if err != nil {
		t.Fatal(err)
	}
	history, err := os.ReadFile(filepath.Join(second.dataDir(), "pg_wal", "00000002.history"))
	if err != nil {
		t.Fatal(err)
	}
	clear(content[(uint64(end)%segmentBytes-100_000)/8192*8192:])
	for name, content := range map[string][]byte{segment: content, "00000002.history": history} {
		path := filepath.Join(third.dataDir(), "pg_wal", name)
		if err := errors.Join(os.WriteFile(path, content, 0o600), os.Chown(path, owner(third), owner(third))); err != nil {
			t.Fatal(err)
		}
	}

	if _, err := third.Configure(testContext(t), Config{Memory: testMemory, Upstream: &Upstream{SocketDir: second.SocketDir}}); err != nil {
		t.Fatal(err)
	}
	process, err := third.Start(testContext(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = process.Ready(testContext(t)) // it may be ready for a moment
	select {
	case <-process.Exited():
	case <-testContext(t).Done():
		t.Fatal("it runs: PostgreSQL can do without this")
	}
	for _, want := range []bool{true, false} { // to be repeated
		if dropped, err := third.DropHalfReceived(); dropped != want || err != nil {
			t.Fatalf("dropped: %v, %v; want %v", dropped, err, want)
		}
	}
	if process, err = third.Start(testContext(t), nil); err != nil {
		t.Fatal(err)
	}
	if err := process.Ready(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if dropped, err := third.DropHalfReceived(); dropped || err != nil {
		t.Errorf("dropped of a server that runs: %v, %v", dropped, err)
	}
	replayed(t, third, current(t, second))
	if n := value[int](t, master(t, third, tenantDatabase), `SELECT count(*) FROM t`); n != 2 {
		t.Errorf("it has %d rows, want 2", n)
	}
}

// owner is who owns a server's files; -1: the caller.
func owner(s Server) int {
	if s.UID == 0 {
		return -1
	}
	return int(s.UID)
}
