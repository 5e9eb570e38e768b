package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"

	"github.com/daybreakdb/daybreak/test/harness"
)

// TestClientScenarios: what clients see of planned and other failovers.
func TestClientScenarios(t *testing.T) {
	runScenarios(t, []scenario{
		{numbers: "62", name: "switchovers under load", short: true, do: switchoversUnderLoad},
		{numbers: "63", name: "switchover to a reader that lags", do: switchoverToLaggingReader},
		{numbers: "68", name: "endpoint stopped and killed", do: endpointRestarted},
		{numbers: "70, 72", name: "hundreds of idle sessions at a failover", do: idleSessions},
		{numbers: "71", name: "queries in flight at a failover", do: queriesInFlight},
		{numbers: "73", name: "clients gone without a word", do: zombies},
		{numbers: "74", name: "a reader dies", do: readerDies},
		{numbers: "74", name: "a reader lags", do: readerLags},
		{numbers: "75", name: "all readers gone", do: allReadersGone},
		{numbers: "76", name: "cancels during failovers", do: cancelsDuringFailover},
	}, func(t *testing.T) *cluster { return deploy(t, 2) })
}

// autocommit runs clients that each insert one row after another, as their own
// transactions, until stop; it returns the errors they had and the longest time
// that one insert took.
func (c *cluster) autocommit(clients int, during func()) (commits int64, errs []error, longest time.Duration) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	var n atomic.Int64
	for id := range clients {
		conn := c.session(c.writer)
		all.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				limited, cancel := context.WithTimeout(context.Background(), limit)
				_, err := conn.Exec(limited, "INSERT INTO registers VALUES ($1, 1) ON CONFLICT (k) DO UPDATE SET v = registers.v + 1", -1000-id)
				cancel()
				mu.Lock()
				longest = max(longest, time.Since(began))
				if err != nil {
					errs = append(errs, err)
				}
				mu.Unlock()
				if err != nil {
					return
				}
				n.Add(1)
			}
		})
	}
	during()
	cancel()
	all.Wait()
	return n.Load(), errs, longest
}

func switchoversUnderLoad(c *cluster, _ *oracle) {
	n, errs, longest := c.autocommit(8, func() {
		for range 3 {
			old := c.primary()
			c.failOver()
			c.anotherWriter(old)
			settle(time.Second)
			c.healthy(2 * limit)
		}
	})
	c.t.Logf("%d commits, the longest %v", n, longest)
	for _, err := range errs {
		c.t.Errorf("an autocommit client had an error: %v", err)
	}
}

// instanceName is what the API calls the instance that a session is on.
func (c *cluster) instanceName(s server) string {
	c.t.Helper()
	conn, err := c.direct(s)
	c.must(err)
	defer conn.Close(context.Background())
	name, err := ask(conn, "SELECT aurora_db_instance_identifier()")
	c.must(err)
	return name
}

// switchoverToLaggingReader asks for a reader that cannot replay. The writer must
// not stop before somebody can take over.
func switchoverToLaggingReader(c *cluster, _ *oracle) {
	target := c.standbys()[0]
	name := c.instanceName(target)
	thaw := c.freezeReplay(target)
	client := c.in.RDS()
	clusters, err := client.DescribeDBClusters(c.t.Context(), &rds.DescribeDBClustersInput{})
	c.must(err)
	_, errs, longest := c.autocommit(4, func() {
		_, err := client.FailoverDBCluster(c.t.Context(), &rds.FailoverDBClusterInput{
			DBClusterIdentifier: clusters.DBClusters[0].DBClusterIdentifier, TargetDBInstanceIdentifier: &name})
		c.t.Logf("the request: %v", err)
		settle(20 * time.Second)
	})
	c.t.Logf("with another reader that does not lag: longest commit %v, errors %v", longest, errs)
	if longest > 5*time.Second {
		c.t.Errorf("the writer stopped %v for a reader that could not take over", longest)
	}
	thaw()
	c.healthy(2 * limit)
	thaw = c.freezeReplay(c.standbys()...)
	_, errs, longest = c.autocommit(4, func() {
		c.failOver()
		settle(10 * time.Second)
	})
	c.t.Logf("all readers lag: longest commit %v, errors %v", longest, errs)
	if longest > 6*time.Second {
		c.t.Errorf("the writer stopped %v although no reader could take over", longest)
	}
	before := c.primary()
	_, errs, longest = c.autocommit(4, func() {
		c.failOver()
		settle(5 * time.Second)
	})
	c.t.Logf("all readers are known to lag: longest commit %v, errors %v", longest, errs)
	if now := c.primary(); now.pid != before.pid || len(errs) > 0 {
		c.t.Errorf("the writer was stopped although it was known that no reader could take over: %v", errs)
	}
	thaw()
}

func endpointRestarted(c *cluster, _ *oracle) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		writer, old := c.primary(), c.ours("endpoint")
		conn := c.session(c.writer)
		signal(sig, old)
		began := time.Now()
		harness.Eventually(c.t, limit, "a new session", func() error {
			_, err := c.in.Query(c.writer, "SELECT 1::text")
			return err
		})
		took := time.Since(began)
		if _, err := conn.Exec(c.t.Context(), "SELECT 1"); err != nil && !lost(err) {
			c.t.Errorf("an open session learns of it by %v", err)
		}
		c.t.Logf("%v: new sessions after %v", sig, took)
		if took > 5*time.Second {
			c.t.Errorf("%v: new sessions only after %v", sig, took)
		}
		if now := c.primary(); now.pid != writer.pid {
			c.t.Errorf("the writer was %+v and is %+v", writer, now)
		}
		c.healthy(limit)
	}
}

// idleSessions opens nearly as many sessions as the server takes and has the
// writer fail while they are idle. Each goes on, or is told that it is over.
func idleSessions(c *cluster, _ *oracle) {
	most, err := c.in.Query(c.writer, "SELECT current_setting('max_connections')")
	c.must(err)
	n, err := strconv.Atoi(most)
	c.must(err)
	n = min(n-30, 300)
	var conns []*pgx.Conn
	for range n {
		conns = append(conns, c.session(c.writer))
	}
	before := c.memory("endpoint")
	for _, planned := range []bool{true, false} {
		old := c.primary()
		if planned {
			c.failOver()
		} else {
			killWriter.do(c, nil)
		}
		c.anotherWriter(old)
		began, kept := time.Now(), 0
		for i, conn := range conns {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			_, err := conn.Exec(ctx, "INSERT INTO registers VALUES (-7, 1) ON CONFLICT (k) DO UPDATE SET v = registers.v + 1")
			cancel()
			switch {
			case err == nil:
				kept++
			case sqlState(err) == "25006":
				c.t.Fatalf("an idle session was led to a server that cannot write: %v", err)
			case !lost(err):
				c.t.Errorf("an idle session learns of the failover by %v", err)
			}
			if err != nil {
				conns[i] = c.session(c.writer)
			}
		}
		c.t.Logf("planned %t: %d of %d idle sessions went on, the others came back within %v", planned, kept, n, time.Since(began))
		c.healthy(2 * limit)
	}
	after := c.memory("endpoint")
	c.t.Logf("the endpoint had %d MiB and has %d MiB", before>>20, after>>20)
	if after > before+256<<20 {
		c.t.Errorf("the endpoint grew from %d to %d bytes", before, after)
	}
}

// memory is what a process of ours has in memory, in bytes.
func (c *cluster) memory(name string) int64 {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", c.ours(name)))
	if fields := strings.Fields(string(content)); len(fields) > 1 {
		pages, _ := strconv.ParseInt(fields[1], 10, 64)
		return pages * int64(os.Getpagesize())
	}
	return 0
}

// queriesInFlight: what runs when the writer dies is told as over or unknown, and
// is never done twice.
func queriesInFlight(c *cluster, _ *oracle) {
	c.exec(c.session(c.writer), "CREATE TABLE IF NOT EXISTS once (id int)", "TRUNCATE once")
	const n = 30
	var all sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		conn := c.session(c.writer)
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			if i%2 == 0 {
				_, errs[i] = conn.Exec(ctx, "INSERT INTO once SELECT $1 FROM pg_sleep($2)", i, float64(i)/20)
			} else {
				_, errs[i] = conn.Exec(ctx, "SELECT pg_sleep($1)", float64(i)/20)
			}
		})
	}
	settle(700 * time.Millisecond)
	killWriter.do(c, nil)
	all.Wait()
	c.commitsGoOn()
	conn := c.session(c.writer)
	failed := 0
	for i, err := range errs {
		if err != nil {
			failed++
			if !lost(err) {
				c.t.Errorf("query %d in flight: %v", i, err)
			}
		}
		if i%2 != 0 {
			continue
		}
		got, askErr := ask(conn, "SELECT count(*)::text FROM once WHERE id = $1", i)
		c.must(askErr)
		if got != "0" && got != "1" || err == nil && got != "1" {
			c.t.Errorf("insert %d: told %v, there %s times", i, err, got)
		}
	}
	c.t.Logf("%d of %d had an error", failed, n)
	c.exec(conn, "DROP TABLE once")
}

// zombies: a client's host loses power in a transaction that has a lock. The
// server hears nothing of it.
func zombies(c *cluster, _ *oracle) {
	c.exec(c.session(c.writer), "CREATE TABLE IF NOT EXISTS locked (n int)")
	config, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres password=%s sslmode=disable", c.writer.Host, c.writer.Port, harness.Password))
	c.must(err)
	var raw net.Conn
	config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		raw = conn
		return conn, err
	}
	conn, err := pgx.ConnectConfig(c.t.Context(), config)
	c.must(err)
	c.exec(conn, "BEGIN", "LOCK TABLE locked")
	settle(time.Second) // until everything is acknowledged, and nothing would be sent again
	if err := vanish(raw); err != nil {
		c.t.Logf("a connection cannot vanish here: %v", err)
		_ = conn.Close(context.Background())
		return
	}
	began := time.Now()
	harness.Eventually(c.t, 2*limit, "the lock is free", func() error {
		_, err := c.in.Query(c.writer, "SELECT count(*)::text FROM locked")
		return err
	})
	took := time.Since(began)
	c.t.Logf("the lock was free after %v", took)
	if took > 40*time.Second {
		c.t.Errorf("the lock of a client that is gone was held for %v", took)
	}
	c.exec(c.session(c.writer), "DROP TABLE locked")
}

// vanish closes a connection without telling the other side.
func vanish(conn net.Conn) error {
	sys, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = sys.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_REPAIR, 1) })
	if err := errors.Join(err, set); err != nil {
		return err
	}
	return conn.Close()
}

func readerDies(c *cluster, _ *oracle) {
	for _, how := range []struct {
		name string
		do   func(s server) (end func())
	}{
		{"killed", func(s server) func() { signal(syscall.SIGKILL, s.pid); return func() {} }},
		{"data deleted", func(s server) func() {
			_ = os.RemoveAll(s.dir + "/data")
			signal(syscall.SIGKILL, s.all()...)
			return func() {}
		}},
	} {
		victim := c.standbys()[0]
		end := how.do(victim)
		began := time.Now()
		var last time.Duration
		errs := 0
		for time.Since(began) < 5*time.Second {
			if _, err := c.in.Query(c.reader, "SELECT 1::text"); err != nil {
				errs++
				last = time.Since(began)
			}
		}
		end()
		c.t.Logf("reader %s: %d new sessions failed, the last after %v", how.name, errs, last)
		if last > 2*time.Second {
			c.t.Errorf("reader %s: new sessions failed until %v", how.name, last)
		}
		c.healthy(2 * limit)
	}
}

// readerLags stops the replay of one reader, and looks how long the reader
// endpoint leads to it.
func readerLags(c *cluster, _ *oracle) {
	victim := c.standbys()[0]
	name := c.instanceName(victim)
	thaw := c.freezeReplay(victim)
	defer thaw()
	began := time.Now()
	var last time.Duration
	for time.Since(began) < 45*time.Second {
		got, err := c.in.Query(c.reader, "SELECT aurora_db_instance_identifier()")
		if err == nil && got == name {
			last = time.Since(began)
		}
		settle(50 * time.Millisecond)
	}
	c.t.Logf("the reader endpoint led to a reader that does not replay until %v", last)
	if last > 40*time.Second {
		c.t.Error("a reader that replays nothing stays behind the reader endpoint")
	}
}

func allReadersGone(c *cluster, _ *oracle) {
	writer, readers, node := c.instanceName(c.primary()), c.standbys(), c.ours("node")
	signal(syscall.SIGSTOP, node) // until all of it is gone
	for _, s := range readers {
		signal(syscall.SIGKILL, s.all()...)
		harness.Eventually(c.t, limit, "the data is deleted", func() error { return os.RemoveAll(s.dir + "/data") })
	}
	signal(syscall.SIGCONT, node)
	began := time.Now()
	fell := false
	harness.Eventually(c.t, 10*time.Second, "the reader endpoint leads somewhere", func() error {
		got, err := c.in.Query(c.reader, "SELECT aurora_db_instance_identifier()")
		fell = fell || got == writer
		return err
	})
	c.t.Logf("the reader endpoint serves after %v; by the writer: %t", time.Since(began), fell)
	c.healthy(3 * limit)
}

// cancelsDuringFailover: cancel requests of sessions that are over, or on their
// way, cancel nobody else's query.
func cancelsDuringFailover(c *cluster, _ *oracle) {
	for range 3 {
		var stale []*pgconn.PgConn
		for range 20 {
			conn := c.session(c.writer)
			stale = append(stale, conn.PgConn())
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				_, _ = conn.Exec(ctx, "SELECT pg_sleep(10)")
			}()
		}
		settle(200 * time.Millisecond)
		killWriter.do(c, nil)
		for _, s := range stale[:10] {
			_ = s.CancelRequest(c.t.Context())
		}
		c.commitsGoOn()
		var all sync.WaitGroup
		errs := make([]error, 10)
		for i := range errs {
			conn := c.session(c.writer)
			all.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), limit)
				defer cancel()
				_, errs[i] = conn.Exec(ctx, "SELECT pg_sleep(2)")
			})
		}
		settle(300 * time.Millisecond)
		for _, s := range stale {
			_ = s.CancelRequest(c.t.Context())
		}
		all.Wait()
		for _, err := range errs {
			if err != nil {
				c.t.Errorf("a query was hurt by the cancel of another session: %v", err)
			}
		}
		c.healthy(2 * limit)
	}
}
