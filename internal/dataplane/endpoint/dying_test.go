package endpoint

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestCommitsThatADyingWriterShowsAreNotShown kills a writer whose commits wait for
// a quorum that there is not: nobody may see them, at no time.
func TestCommitsThatADyingWriterShowsAreNotShown(t *testing.T) {
	w := newWorld(t, Limits{})
	s := startServer(t, "dying", map[string]string{"synchronous_standby_names": "nobody"})
	w.instance("w1").Server.SocketDir = s.SocketDir
	w.apply()
	setup := w.connect(w.writer())
	w.exec(setup, "SET synchronous_commit = local")
	w.exec(setup, "CREATE TABLE pending (n int)")

	// Direct sessions see what the endpoint's must not: they show that there was
	// something to be seen.
	direct := "host=" + s.SocketDir + " user=" + masterName + " dbname=postgres password='" + masterPassword + "'"
	var shown, there atomic.Int64
	var sessions sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	watch := func(conn *pgx.Conn, saw *atomic.Int64) {
		sessions.Go(func() {
			var n int64
			for conn.QueryRow(ctx, "SELECT count(*) FROM pending").Scan(&n) == nil {
				saw.Add(n)
			}
		})
	}
	for range 6 {
		watch(w.connect(w.writer()), &shown)
		conn, err := pgx.Connect(ctx, direct)
		if err != nil {
			t.Fatal(err)
		}
		watch(conn, &there)
	}
	for range 4 {
		conn := w.connect(w.writer())
		sessions.Go(func() { _, _ = conn.Exec(ctx, "INSERT INTO pending VALUES (1)") })
	}
	w.eventually("all commits wait", func() bool {
		var n int
		err := setup.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").Scan(&n)
		return err == nil && n == 4
	})
	content, err := os.ReadFile(filepath.Join(s.Dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.SplitN(string(content), "\n", 2)[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	sessions.Wait()
	t.Logf("seen %d times directly", there.Load())
	if n := shown.Load(); n > 0 {
		t.Errorf("the endpoint has shown them %d times", n)
	}
}
