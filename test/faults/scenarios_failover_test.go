package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/daybreakdb/daybreak/test/harness"
)

// TestFailoverScenarios: what must be right about failovers.
func TestFailoverScenarios(t *testing.T) {
	runScenarios(t, []scenario{
		{numbers: "43", name: "controllers and node die between revoke and promotion", do: diesBeforePromotion},
		{numbers: "43", name: "controllers and node die between promotion and its news", do: diesAfterPromotion},
		{numbers: "45", name: "the chosen reader lags, and cannot replay", do: heirCannotReplay},
		{numbers: "45", name: "the chosen reader lags", do: heirLags},
		{numbers: "45", name: "no reader replays", do: noReaderReplays},
		{numbers: "46", name: "the chosen reader dies before its promotion", do: heirDies},
		{numbers: "47", name: "copies of the log lost while another one is rebuilt", do: copiesLostWhileOneIsRebuilt},
		{numbers: "50", name: "rebuilds of a reader interrupted", do: interruptedRebuilds},
		{numbers: "51", name: "commits that nobody was told of", do: unacknowledgedCommits},
		{numbers: "51", name: "commits whose wait was cancelled (weak)", do: cancelledCommits},
		{numbers: "52, 53", name: "waiting commits cancelled and terminated", short: true, do: waitingCommitsEnded},
		{numbers: "54", name: "synchronous_commit is local", do: localCommits},
		{numbers: "57", name: "failover in the middle of DDL, COPY and VACUUM FULL", do: failoverDuringDDL},
		{numbers: "59", name: "advisory locks and sequences", do: locksAndSequences},
		{numbers: "60", name: "the next writer dies two seconds later", do: doubleFailure},
		{numbers: "61", name: "power cut, and processes that come back in any order", do: anyOrder},
	}, func(t *testing.T) *cluster { return deploy(t, 2) })
}

// freezeReplay stops the startup processes of readers, which can then replay
// nothing, until thaw.
func (c *cluster) freezeReplay(servers ...server) (thaw func()) {
	c.t.Helper()
	var pids []int
	for _, s := range servers {
		pid := s.child("startup")
		if pid == 0 {
			c.t.Fatalf("%s has no startup process", s.instance)
		}
		pids = append(pids, pid)
	}
	signal(syscall.SIGSTOP, pids...)
	return func() { signal(syscall.SIGCONT, pids...) }
}

// chosen waits until the controller has chosen a new writer.
func (c *cluster) chosen(since int64) (heir server) {
	c.t.Helper()
	harness.Eventually(c.t, limit, "a writer is chosen", func() error {
		content, err := os.ReadFile(c.logFile("control"))
		if err != nil {
			return err
		}
		found := writerOfTerm.FindAllSubmatch(content[since:], -1)
		if len(found) == 0 {
			return errors.New("none is")
		}
		heir = c.server(string(found[len(found)-1][1]))
		return nil
	})
	return heir
}

var writerOfTerm = regexp.MustCompile(`writer of term \d+ is (db-\w+)`)

func diesBeforePromotion(c *cluster, o *oracle) {
	thaw := c.freezeReplay(c.standbys()...)
	since := c.logSize("control")
	killWriter.do(c, nil)
	c.chosen(since)
	settle(100 * time.Millisecond) // the log is asked
	signal(syscall.SIGKILL, own("control", "node")(c, nil)...)
	settle(100 * time.Millisecond)
	thaw()
	c.commitsGoOn()
	c.t.Logf("outage %v", o.takeGap())
}

func diesAfterPromotion(c *cluster, o *oracle) {
	since := c.logSize("node")
	etcd := c.ours("etcd")
	signal(syscall.SIGKILL, c.ours("control")) // whoever comes next has to find out
	killWriter.do(c, nil)
	c.logged("node", "node: promoted", since)
	signal(syscall.SIGSTOP, etcd) // the news reach nobody
	signal(syscall.SIGKILL, own("control", "node")(c, nil)...)
	settle(500 * time.Millisecond)
	signal(syscall.SIGCONT, etcd)
	c.commitsGoOn()
	c.t.Logf("outage %v", o.takeGap())
}

func heirCannotReplay(c *cluster, _ *oracle) {
	readers := c.standbys()
	since := c.logSize("control")
	thaw := c.freezeReplay(readers...)
	killWriter.do(c, nil)
	heir := c.chosen(since)
	for _, s := range readers {
		if s.instance != heir.instance {
			signal(syscall.SIGCONT, s.child("startup"))
		}
	}
	took := c.commitsGoOn()
	now := c.primary()
	thaw()
	c.t.Logf("a commit after %v", took)
	if now.instance == heir.instance || took > 30*time.Second {
		c.t.Errorf("%s was chosen, and cannot replay; %s took over after %v", heir.instance, now.instance, took)
	}
}

// fill writes some WAL.
func (c *cluster) fill(megabytes int) {
	c.t.Helper()
	conn := c.session(c.writer)
	c.exec(conn, "CREATE TABLE IF NOT EXISTS filling (t text)")
	for range megabytes / 10 {
		c.exec(conn, "INSERT INTO filling SELECT repeat(md5(n::text), 30) FROM generate_series(1, 10000) AS n")
	}
	c.exec(conn, "DROP TABLE filling")
}

func heirLags(c *cluster, o *oracle) {
	thaw := c.freezeReplay(c.standbys()...)
	c.fill(200)
	o.takeGap()
	killWriter.do(c, nil)
	settle(300 * time.Millisecond)
	thaw()
	c.t.Logf("a commit after %v", c.commitsGoOn())
}

// noReaderReplays: with much WAL to replay at the readers and none at the writer, a
// restart in place is the shorter way.
func noReaderReplays(c *cluster, o *oracle) {
	thaw := c.freezeReplay(c.standbys()...)
	defer thaw()
	c.fill(200)
	c.exec(c.session(c.writer), "CHECKPOINT")
	settle(6 * time.Second) // the node looks at what a writer would have to replay every 4 s
	was := c.primary().instance
	o.takeGap()
	began := time.Now()
	killWriter.do(c, nil)
	c.commitsGoOn()
	c.t.Logf("a commit after %v", time.Since(began))
	if now := c.primary().instance; now != was {
		c.t.Errorf("%s took over, who could not replay", now)
	}
	if took := time.Since(began); took > 8*time.Second {
		c.t.Errorf("it took %v", took)
	}
}

func heirDies(c *cluster, o *oracle) {
	readers := c.standbys()
	thaw := c.freezeReplay(readers...)
	since := c.logSize("control")
	killWriter.do(c, nil)
	heir := c.chosen(since)
	settle(200 * time.Millisecond)
	signal(syscall.SIGKILL, heir.all()...)
	thaw()
	c.commitsGoOn()
	c.t.Logf("outage %v", o.takeGap())
}

// lose deletes a copy of the log, also while files are made in it.
func (c *cluster) lose(copy string) {
	c.t.Helper()
	harness.Eventually(c.t, limit, "the copy is deleted", func() error { return os.RemoveAll(copy) })
}

func copiesLostWhileOneIsRebuilt(c *cluster, o *oracle) {
	c.fill(100)
	copies := c.copies()
	if len(copies) != 6 {
		c.t.Fatalf("copies: %q", copies)
	}
	c.lose(copies[0])
	settle(50 * time.Millisecond)
	c.lose(copies[3])
	settle(20 * time.Millisecond)
	killWriter.do(c, nil)
	c.commitsGoOn()
	c.t.Logf("outage %v", o.takeGap())
	c.healthy(2 * limit)
	// And the same when the log itself dies in the middle.
	c.lose(copies[1])
	settle(50 * time.Millisecond)
	signal(syscall.SIGKILL, c.ours("log"))
	c.lose(copies[5])
	c.commitsGoOn()
}

// interruptedRebuilds kills who copies a data directory, in the middle of it.
func interruptedRebuilds(c *cluster, _ *oracle) {
	conn := c.session(c.writer)
	c.exec(conn, "CREATE TABLE IF NOT EXISTS bulk AS SELECT repeat(md5(n::text), 30) FROM generate_series(1, 60000) AS n")
	victim := c.standbys()[0]
	c.must(os.RemoveAll(filepath.Join(victim.dir, "data")))
	signal(syscall.SIGKILL, victim.all()...)
	for i := range 4 {
		harness.Eventually(c.t, limit, "a half-built directory", func() error {
			found, _ := filepath.Glob(filepath.Join(victim.dir, "data.tmp-*", "base"))
			if len(found) == 0 {
				return errors.New("there is none")
			}
			return nil
		})
		switch i {
		case 0, 1:
			signal(syscall.SIGKILL, c.ours("node"))
		case 2:
			killWriter.do(c, nil) // whom it is copied from
		case 3:
			signal(syscall.SIGKILL, own("supervisor", "control", "node", "log", "endpoint", "etcd")(c, nil)...)
			c.start()
		}
		if s := c.server(victim.instance); s.pid != 0 && !s.standby {
			c.t.Errorf("a half-built directory was started: %+v", s)
		}
	}
	c.healthy(3 * limit)
	found, _ := filepath.Glob(filepath.Join(victim.dir, "data.*"))
	if len(found) > 0 {
		c.t.Errorf("left behind: %q", found)
	}
	c.exec(c.session(c.writer), "DROP TABLE bulk")
}

// holdLog keeps the log from acknowledging anything, and its supervisor from
// noticing, until release.
func (c *cluster) holdLog() (release func()) {
	pids := own("supervisor", "log")(c, nil)
	signal(syscall.SIGSTOP, pids...)
	// A process stops when the thread that gets the signal has come back from its
	// disk; until then the others go on.
	for _, pid := range pids {
		harness.Eventually(c.t, limit, "a process is stopped", func() error { return stopped(pid) })
	}
	return func() { signal(syscall.SIGCONT, pids...) }
}

// stopped says whether all threads of a process are.
func stopped(pid int) error {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		_, after, _ := strings.Cut(string(content), ") ")
		if err == nil && !strings.HasPrefix(after, "T") {
			return fmt.Errorf("%s: %.1s", file, after)
		}
	}
	return nil
}

// unacknowledgedCommits: nobody reads what may vanish, neither at the writer nor
// at a reader.
func unacknowledgedCommits(c *cluster, _ *oracle) {
	for round := range 3 {
		if seen, there := c.commitInVain(int64(-100-round), false); seen {
			c.t.Errorf("round %d: somebody read a commit that the quorum did not have; there are now %s", round, there)
		}
	}
}

// cancelledCommits: a commit whose wait was cancelled becomes visible at the
// writer, as PostgreSQL has it, before the quorum has it.
func cancelledCommits(c *cluster, _ *oracle) {
	for round := range 3 {
		if seen, there := c.commitInVain(int64(-200-round), true); seen && there == "0" {
			c.weak("round %d: somebody read a commit whose wait was cancelled, and it is gone with the writer", round)
		}
	}
}

// commitInVain commits a row while the log is held, looks who sees it, and kills
// the writer, and the log with what it has not written.
func (c *cluster) commitInVain(k int64, cancel bool) (seen bool, there string) {
	c.t.Helper()
	waiting, other := c.session(c.writer), c.session(c.writer)
	pid, err := ask(waiting, "SELECT pg_backend_pid()::text")
	c.must(err)
	release := c.holdLog()
	told := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		_, err := waiting.Exec(ctx, "INSERT INTO registers VALUES ($1, 1)", k)
		told <- err
	}()
	settle(300 * time.Millisecond)
	read := func(e harness.Endpoint) bool {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		conn, err := c.in.Connect(e, "postgres", "postgres")
		if err != nil {
			return false
		}
		defer conn.Close(ctx)
		var n int
		err = conn.QueryRow(ctx, "SELECT count(*) FROM registers WHERE k = $1", k).Scan(&n)
		return err == nil && n > 0
	}
	if cancel {
		_, _ = ask(other, "SELECT pg_cancel_backend("+pid+")::text")
		settle(200 * time.Millisecond)
	}
	atReader, atWriter := read(c.reader), read(c.writer)
	if atReader {
		c.t.Error("a reader shows a commit that the quorum does not have")
	}
	signal(syscall.SIGKILL, append(own("log")(c, nil), c.primary().all()...)...)
	release()
	c.commitsGoOn()
	err = <-told
	there, readErr := c.in.Query(c.writer, fmt.Sprintf("SELECT count(*)::text FROM registers WHERE k = %d", k))
	c.must(readErr)
	c.t.Logf("the client was told %v; seen at a reader %t, at the writer %t; there are now %s", err, atReader, atWriter, there)
	if err == nil && there == "0" {
		c.t.Error("it was acknowledged, and is gone")
	}
	c.healthy(2 * limit)
	return atReader || atWriter, there
}

// waitingCommitsEnded: a commit whose wait for the quorum is ended is never told
// as success, whoever ends it.
func waitingCommitsEnded(c *cluster, _ *oracle) {
	for _, way := range []struct {
		name string
		end  func(conn *pgconn.PgConn, admin func(sql string))
		in   string
	}{
		{"the driver cancels", func(conn *pgconn.PgConn, _ func(string)) {
			_ = conn.CancelRequest(context.Background())
		}, ""},
		{"another session cancels", func(conn *pgconn.PgConn, admin func(string)) {
			admin(fmt.Sprintf("SELECT pg_cancel_backend(%d)", conn.PID()))
		}, ""},
		{"another session terminates", func(conn *pgconn.PgConn, admin func(string)) {
			admin(fmt.Sprintf("SELECT pg_terminate_backend(%d)", conn.PID()))
		}, ""},
		{"the driver cancels a transaction's COMMIT", func(conn *pgconn.PgConn, _ func(string)) {
			_ = conn.CancelRequest(context.Background())
		}, "BEGIN; INSERT INTO registers VALUES (-3, 1) ON CONFLICT (k) DO UPDATE SET v = registers.v + 1"},
	} {
		conn, other := c.session(c.writer), c.session(c.writer)
		sql := "INSERT INTO registers VALUES (-3, 1) ON CONFLICT (k) DO UPDATE SET v = registers.v + 1"
		if way.in != "" {
			c.exec(conn, way.in)
			sql = "COMMIT"
		}
		release := c.holdLog()
		told := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			_, err := conn.Exec(ctx, sql)
			told <- err
		}()
		settle(300 * time.Millisecond)
		way.end(conn.PgConn(), func(sql string) {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_, _ = other.Exec(ctx, sql)
		})
		settle(500 * time.Millisecond)
		release()
		err := <-told
		c.t.Logf("%s: %v", way.name, err)
		// A cancel may come to nothing; then the answer comes when the quorum has it.
		if err != nil && !lost(err) && sqlState(err) != "57014" {
			c.t.Errorf("%s: %v, want 08007 or the end of the session", way.name, err)
		}
		if sqlState(err) == "57014" {
			c.t.Errorf("%s: the client is told that its statement was cancelled, but it may be there", way.name)
		}
		c.commitsGoOn()
	}
}

// localCommits: everybody may choose not to wait. Nobody else is worse off.
func localCommits(c *cluster, _ *oracle) {
	conn := c.session(c.writer)
	c.exec(conn, "SET synchronous_commit = local")
	release := c.holdLog()
	began := time.Now()
	c.exec(conn, "INSERT INTO registers VALUES (-4, 1)")
	c.t.Logf("told after %v, without the log", time.Since(began))
	signal(syscall.SIGKILL, c.primary().all()...)
	release()
	c.commitsGoOn()
	there, err := c.in.Query(c.writer, "SELECT count(*)::text FROM registers WHERE k = -4")
	c.must(err)
	c.t.Logf("%s of 1 such rows outlived the writer", there)
}

// failoverDuringDDL kills the writer in the middle of things that write files, and
// looks at what is there then.
func failoverDuringDDL(c *cluster, _ *oracle) {
	setup := c.session(c.writer)
	c.exec(setup,
		"DROP TABLE IF EXISTS whole", "CREATE TABLE whole AS SELECT n, md5(n::text) AS t FROM generate_series(1, 100000) AS n",
		"CREATE INDEX whole_n ON whole (n)")
	for i, work := range []struct{ name, sql, check string }{
		{"CREATE DATABASE", "CREATE DATABASE half STRATEGY file_copy", ""},
		{"CREATE DATABASE by WAL", "CREATE DATABASE half STRATEGY wal_log", ""},
		{"CREATE INDEX", "CREATE INDEX half ON whole (t)", "SELECT (count(*) = 100000)::text FROM whole WHERE t > ''"},
		{"VACUUM FULL", "VACUUM FULL whole", "SELECT (count(*) = 100000 AND sum(n) = 5000050000)::text FROM whole"},
		{"COPY", "", "SELECT (count(*) IN (0, 300000))::text FROM copied"},
		{"CREATE TABLE AS", "CREATE TABLE half_table AS SELECT * FROM whole, generate_series(1, 3)",
			"SELECT CASE WHEN to_regclass('half_table') IS NULL THEN 'true' ELSE ((xpath('//c/text()', query_to_xml('SELECT count(*) AS c FROM half_table', false, true, '')))[1]::text = '300000')::text END"},
		{"ALTER TABLE", "ALTER TABLE whole ALTER n TYPE numeric", "SELECT (count(*) = 100000 AND sum(n) = 5000050000)::text FROM whole"},
	} {
		conn := c.session(c.writer)
		c.exec(conn, "DROP TABLE IF EXISTS copied", "CREATE TABLE copied (n bigint)", "DROP INDEX IF EXISTS half", "CHECKPOINT")
		done := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			if work.sql == "" {
				r := &numbers{left: 300000}
				_, err := conn.PgConn().CopyFrom(ctx, r, "COPY copied FROM STDIN")
				done <- err
				return
			}
			_, err := conn.Exec(ctx, work.sql)
			done <- err
		}()
		settle(time.Duration(20+15*i) * time.Millisecond)
		killWriter.do(c, nil)
		err := <-done
		c.commitsGoOn()
		c.t.Logf("%s: %v", work.name, err)
		if work.check != "" {
			got, checkErr := c.in.Query(c.writer, work.check)
			c.must(checkErr)
			if got != "true" {
				c.t.Errorf("%s: %s is %s", work.name, work.check, got)
			}
		}
		again := c.session(c.writer)
		if strings.HasPrefix(work.sql, "CREATE DATABASE") {
			n, askErr := ask(again, "SELECT count(*)::text FROM pg_database WHERE datname = 'half'")
			c.must(askErr)
			if n == "1" {
				half, connectErr := c.in.Connect(c.writer, "postgres", "half")
				if connectErr != nil {
					c.t.Errorf("%s: the database is there, and cannot be connected to: %v", work.name, connectErr)
				} else {
					c.exec(half, "CREATE TABLE t AS SELECT 1 AS n")
					_ = half.Close(context.Background())
				}
			} else if err == nil {
				c.t.Errorf("%s: it was told as done, and is not there", work.name)
			}
			c.exec(again, "DROP DATABASE IF EXISTS half")
		}
		c.healthy(2 * limit)
	}
	// Every page of what is left is read, at the readers too.
	for _, s := range c.servers() {
		conn, err := c.direct(s)
		c.must(err)
		got, err := ask(conn, "SELECT count(*) || ' ' || count(DISTINCT t) FROM whole")
		_ = conn.Close(context.Background())
		if err != nil || got != "100000 100000" {
			c.t.Errorf("%s: %s, %v", s.instance, got, err)
		}
	}
	// Prepared transactions are off, as Aurora has it.
	if _, err := setup.Exec(c.t.Context(), "SELECT 1"); err == nil {
		c.t.Error("a session outlived seven crashes of its server")
	}
	conn := c.session(c.writer)
	c.exec(conn, "BEGIN", "INSERT INTO registers VALUES (-8, 1)")
	_, err := conn.Exec(c.t.Context(), "PREPARE TRANSACTION 'p'")
	c.t.Logf("PREPARE TRANSACTION: %v", err)
	if err == nil {
		killWriter.do(c, nil)
		c.commitsGoOn()
		c.exec(c.session(c.writer), "COMMIT PREPARED 'p'")
	}
	c.exec(c.session(c.writer), "DROP TABLE whole", "DROP TABLE copied", "DROP TABLE IF EXISTS half_table")
}

// numbers is the text of a COPY, not too fast.
type numbers struct{ left, n int }

func (r *numbers) Read(buf []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	out := buf[:0]
	for r.left > 0 && len(out)+20 < min(len(buf), 8192) {
		r.n++
		r.left--
		out = fmt.Appendf(out, "%d\n", r.n)
	}
	return len(out), nil
}

func locksAndSequences(c *cluster, _ *oracle) {
	conn := c.session(c.writer)
	c.exec(conn, "DROP SEQUENCE IF EXISTS counter", "CREATE SEQUENCE counter", "SELECT pg_advisory_lock(42)")
	last := int64(0)
	for range 5 {
		now, err := ask(conn, "SELECT nextval('counter')::text")
		c.must(err)
		var n int64
		_, err = fmt.Sscan(now, &n)
		c.must(err)
		if n <= last {
			c.t.Errorf("the sequence gave %d after %d", n, last)
		}
		if n > last+33 {
			c.t.Errorf("the sequence skipped from %d to %d", last, n)
		}
		last = n
		killWriter.do(c, nil)
		c.commitsGoOn()
		conn = c.session(c.writer)
		free, err := ask(conn, "SELECT pg_try_advisory_lock(42)::text")
		c.must(err)
		if free != "true" {
			c.t.Error("an advisory lock outlived its session")
		}
		c.healthy(2 * limit)
	}
}

func doubleFailure(c *cluster, o *oracle) {
	first := c.primary()
	killWriter.do(c, nil)
	settle(2 * time.Second)
	second := c.primary()
	killWriter.do(c, nil)
	took := c.commitsGoOn()
	third := c.primary()
	c.t.Logf("%s, %s, %s: a commit %v after the second", first.instance, second.instance, third.instance, took)
	if took > 10*time.Second {
		c.t.Errorf("a commit came %v after the second failure", took)
	}
}

// anyOrder cuts the power, and starts our processes one by one in a random order,
// each when the one before has had some time alone.
func anyOrder(c *cluster, o *oracle) {
	r := rand.New(rand.NewPCG(*seed, 61))
	for range 3 {
		signal(syscall.SIGKILL, own("supervisor", "control", "node", "log", "endpoint", "etcd")(c, nil)...)
		for _, s := range c.servers() {
			signal(syscall.SIGKILL, s.all()...)
		}
		names := []string{"control", "node", "log", "endpoint", "etcd"}
		r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		c.t.Logf("%q", names)
		for _, name := range names {
			cmd := c.in.Command(name)
			if cmd.SysProcAttr == nil {
				cmd.SysProcAttr = &syscall.SysProcAttr{}
			}
			cmd.SysProcAttr.Setsid = true
			c.must(cmd.Start())
			go func() { _ = cmd.Wait() }()
			settle(time.Duration(r.IntN(1500)) * time.Millisecond)
		}
		c.start()
		c.healthy(3 * limit)
		c.t.Logf("outage %v", o.takeGap())
	}
}
