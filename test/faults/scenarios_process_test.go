package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/daybreakdb/daybreak/test/harness"
)

// TestProcessScenarios: what happens to the processes of a host.
func TestProcessScenarios(t *testing.T) {
	runScenarios(t, []scenario{
		{numbers: "4", name: "writer frozen for a minute", do: frozenForLong},
		{numbers: "4", name: "writer frozen for good, and the log killed", do: frozenAndLogKilled},
		{numbers: "5", name: "supervisor and node frozen, and the writer killed", do: supervisorAndNodeFrozen},
		{numbers: "6", name: "sessions outlive every process but the endpoint", short: true, do: sessionsOutliveProcesses},
		{numbers: "7", name: "a backend runs out of memory", do: backendOutOfMemory},
		{numbers: "8", name: "walsender ended again and again", do: walsenderEndedAgainAndAgain},
		{numbers: "10", name: "starts that fail", do: startsThatFail},
	}, func(t *testing.T) *cluster { return deploy(t, 2) })
}

func frozenForLong(c *cluster, _ *oracle) {
	old := c.primary()
	pids, began := old.all(), time.Now()
	signal(syscall.SIGSTOP, pids...)
	c.anotherWriter(old)
	c.t.Logf("another writer serves after %v", time.Since(began))
	settle(time.Minute)
	signal(syscall.SIGCONT, pids...)
	began = time.Now()
	c.healthy(2 * limit)
	c.t.Logf("the old writer is back %v after the thaw", time.Since(began))
}

func frozenAndLogKilled(c *cluster, _ *oracle) {
	pids, began := c.primary().all(), time.Now()
	signal(syscall.SIGSTOP, pids...)
	signal(syscall.SIGKILL, c.ours("log"))
	c.commitsGoOn()
	c.t.Logf("outage %v", time.Since(began))
	if took := time.Since(began); took > 15*time.Second {
		c.t.Errorf("commits went on after %v", took)
	}
	c.healthy(2 * limit) // nobody has thawed it
	signal(syscall.SIGCONT, pids...)
}

func supervisorAndNodeFrozen(c *cluster, _ *oracle) {
	frozen := own("supervisor", "node")(c, nil)
	signal(syscall.SIGSTOP, frozen...)
	killWriter.do(c, nil)
	c.t.Logf("a commit after %v", c.commitsGoOn())
	signal(syscall.SIGCONT, frozen...)
}

// sessionsOutliveProcesses kills one process after another beside a session that
// is in a transaction, and has a temporary table.
func sessionsOutliveProcesses(c *cluster, _ *oracle) {
	writer := c.primary()
	conn := c.session(c.writer)
	c.exec(conn, "CREATE TEMPORARY TABLE mine (n int)", "BEGIN", "INSERT INTO mine VALUES (1)", "INSERT INTO registers VALUES (-6, 1)")
	for _, name := range []string{"supervisor", "control", "node", "log", "etcd"} {
		old := c.ours(name)
		signal(syscall.SIGKILL, old)
		harness.Eventually(c.t, limit, name+" runs again", func() error {
			if now := c.ours(name); now == 0 || now == old {
				return errors.New("not yet")
			}
			return nil
		})
		c.exec(conn, "SELECT * FROM mine")
	}
	c.exec(conn, "COMMIT", "SELECT * FROM mine")
	if now := c.primary(); now.pid != writer.pid {
		c.t.Errorf("the writer was %+v and is %+v", writer, now)
	}
}

// backendOutOfMemory has the kernel kill a backend in a memory cgroup of its own.
func backendOutOfMemory(c *cluster, _ *oracle) {
	conn := c.session(c.writer)
	c.exec(conn, "SELECT 1")
	group, err := newMemoryGroup(64 << 20)
	if err != nil {
		c.t.Logf("no memory cgroup can be made here: %v", err)
		return
	}
	defer group.remove()
	pid, err := c.in.Query(c.writer, "SELECT max(pid)::text FROM pg_stat_activity WHERE query = 'SELECT 1' AND state = 'idle'")
	c.must(err)
	c.must(group.add(pid))
	_, err = conn.Exec(c.t.Context(), "SELECT length(repeat('x', 900000000))")
	if !lost(err) {
		c.t.Errorf("the backend that ran out of memory: %v", err)
	}
	if n, err := group.killed(); n == 0 || err != nil {
		c.t.Errorf("the kernel has killed %d processes for want of memory, %v", n, err)
	}
	c.commitsGoOn()
}

// memoryGroup is a cgroup, of either version, with little memory.
type memoryGroup struct{ dir, events string }

func newMemoryGroup(bytes int64) (memoryGroup, error) {
	for _, v := range []struct{ root, limit, events string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control"},
		{"/sys/fs/cgroup", "memory.max", "memory.events"},
	} {
		g := memoryGroup{dir: filepath.Join(v.root, fmt.Sprintf("daybreak-test-%d", os.Getpid())), events: v.events}
		if os.Mkdir(g.dir, 0o755) != nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(g.dir, v.limit), []byte(strconv.FormatInt(bytes, 10)), 0o644); err == nil {
			return g, nil
		}
		g.remove()
	}
	return memoryGroup{}, errors.New("there is no memory controller that we may use")
}

func (g memoryGroup) add(pid string) error {
	return os.WriteFile(filepath.Join(g.dir, "cgroup.procs"), []byte(pid), 0o644)
}

func (g memoryGroup) killed() (int, error) {
	content, err := os.ReadFile(filepath.Join(g.dir, g.events))
	for line := range strings.Lines(string(content)) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
			return strconv.Atoi(n)
		}
	}
	return 0, err
}

func (g memoryGroup) remove() {
	for range 50 { // until the dead have left it
		if os.Remove(g.dir) == nil {
			return
		}
		settle(100 * time.Millisecond)
	}
}

func walsenderEndedAgainAndAgain(c *cluster, o *oracle) {
	writer := c.primary()
	for range 10 {
		signal(syscall.SIGTERM, c.primary().child("walsender"))
		settle(500 * time.Millisecond)
	}
	c.commitsGoOn()
	c.t.Logf("longest time without a commit %v", o.takeGap())
	if now := c.primary(); now.pid != writer.pid {
		c.t.Errorf("the writer was %+v and is %+v", writer, now)
	}
}

// startsThatFail kills servers, and puts something in the way of their next start.
func startsThatFail(c *cluster, o *oracle) {
	for _, way := range []struct {
		name string
		lay  func(c *cluster, s server) (end func())
	}{
		{"a configuration that PostgreSQL cannot read", func(c *cluster, s server) func() {
			c.must(os.WriteFile(filepath.Join(s.dir, "postgresql.conf"), []byte("nonsense = = =\n"), 0o600))
			return func() {}
		}},
		{"a postmaster.pid of another live process", func(c *cluster, s server) func() {
			name := filepath.Join(s.dir, "data", "postmaster.pid")
			content, err := os.ReadFile(name)
			c.must(err)
			_, rest, _ := strings.Cut(string(content), "\n")
			c.must(os.WriteFile(name, fmt.Appendf(nil, "%d\n%s", os.Getpid(), rest), 0o600))
			return func() {}
		}},
		{"a socket that another process listens at", func(c *cluster, s server) func() {
			socket := filepath.Join(c.in.Dir, "data", "run", "pg", s.instance, ".s.PGSQL.5432")
			_ = os.Remove(socket)
			l, err := net.Listen("unix", socket)
			c.must(err)
			l.(*net.UnixListener).SetUnlinkOnClose(false)
			c.must(os.WriteFile(socket+".lock", fmt.Appendf(nil, "%d\n", os.Getpid()), 0o600))
			return func() { _ = l.Close() }
		}},
	} {
		for _, whose := range []string{"the writer", "a reader"} {
			victim := c.primary()
			if whose == "a reader" {
				victim = c.standbys()[0]
			}
			node := c.ours("node")
			signal(syscall.SIGSTOP, node) // so that the way is laid before anybody starts
			signal(syscall.SIGKILL, victim.all()...)
			end := way.lay(c, victim)
			signal(syscall.SIGCONT, node)
			c.healthy(2 * limit)
			end()
			c.t.Logf("%s, %s: outage %v", way.name, whose, o.takeGap())
		}
	}
}

// ask returns the one value of a query in a session.
func ask(conn *pgx.Conn, sql string, args ...any) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var value string
	err := conn.QueryRow(ctx, sql, args...).Scan(&value)
	return value, err
}
