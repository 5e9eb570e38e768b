package faults

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/daybreakdb/daybreak/test/harness"
)

var (
	scenarios = flag.String("scenarios", "", "regular expression: which of the numbered scenarios, beside the short ones that always run (.: all)")
	logs      = flag.String("logs", "", "directory that gets the logs of installations on which a scenario failed")
)

// scenario is one of the numbered scenarios of README.md. It happens to a loaded
// cluster of a writer and two readers, all of which must be well after it.
type scenario struct {
	numbers string // in README.md
	name    string
	short   bool // it always runs
	do      func(c *cluster, o *oracle)
	fails   bool // as README.md says; it runs with -strict only
}

// runScenarios runs those that are wanted on a cluster that they share until one
// of them fails.
func runScenarios(t *testing.T, all []scenario, make func(t *testing.T) *cluster) {
	t.Helper()
	wanted := regexp.MustCompile(*scenarios)
	var shared *cluster
	for _, s := range all {
		name := s.numbers + " " + s.name
		if s.fails && !*strict || !s.short && (*scenarios == "" || !wanted.MatchString(name)) {
			continue
		}
		t.Run(name, func(t2 *testing.T) {
			if shared == nil {
				shared = make(t)
			}
			c := shared.forTest(t2)
			defer func() {
				if t2.Failed() {
					c.keepLogs()
					c.in.Try("server", "stop")
					if c.net != nil {
						c.net.Close()
					}
					shared = nil
				}
			}()
			c.healthy(2 * limit)
			o := newOracle(t2, c.in, c.writer, c.reader)
			defer o.end()
			began := time.Now()
			s.do(c, o)
			c.healthy(4 * limit)
			t2.Logf("%.0f s; %s", time.Since(began).Seconds(), o.verify(t2))
		})
	}
}

// end stops the clients, if verify has not.
func (o *oracle) end() {
	o.stop()
	o.done.Wait()
}

// keepLogs copies the logs of our processes, with what their goroutines do, and of
// PostgreSQL to where the user wants them.
func (c *cluster) keepLogs() {
	if *logs == "" {
		return
	}
	signal(syscall.SIGQUIT, own("control", "node", "log", "endpoint")(c, nil)...)
	settle(time.Second)
	to := filepath.Join(*logs, fmt.Sprintf("%s-%d", regexp.MustCompile(`[^a-zA-Z0-9]+`).ReplaceAllString(c.t.Name(), "-"), time.Now().Unix()))
	_ = os.MkdirAll(to, 0o755)
	_ = os.CopyFS(filepath.Join(to, "log"), os.DirFS(filepath.Join(c.in.Dir, "data", "log")))
	for _, pattern := range []string{"*/*/*/log", "*/*/*/start.log"} {
		found, _ := filepath.Glob(filepath.Join(c.zones(), pattern))
		for _, path := range found {
			parts := strings.Split(path, string(filepath.Separator))
			instance := filepath.Join(to, parts[len(parts)-2])
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				_ = os.CopyFS(instance, os.DirFS(path))
			} else if content, err := os.ReadFile(path); err == nil {
				_ = os.MkdirAll(instance, 0o755)
				_ = os.WriteFile(filepath.Join(instance, "start.log"), content, 0o644)
			}
		}
	}
	c.t.Logf("logs are in %s", to)
}

// session opens a session that ends with the test.
func (c *cluster) session(e harness.Endpoint) *pgx.Conn {
	c.t.Helper()
	var conn *pgx.Conn
	harness.Eventually(c.t, limit, "a session", func() (err error) {
		conn, err = c.in.Connect(e, "postgres", "postgres")
		return err
	})
	c.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	})
	return conn
}

// direct opens a session with a server itself, past the endpoints.
func (c *cluster) direct(s server) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return pgx.Connect(ctx, fmt.Sprintf("host=%s port=5432 user=postgres dbname=postgres password=%s sslmode=disable connect_timeout=5",
		filepath.Join(c.in.Dir, "data", "run", "pg", s.instance), harness.Password))
}

// commitsGoOn waits for one commit through the writer endpoint and says how long
// that took.
func (c *cluster) commitsGoOn() time.Duration {
	c.t.Helper()
	began := time.Now()
	harness.Eventually(c.t, limit, "commits go on", func() error {
		_, err := c.in.Query(c.writer, "INSERT INTO registers VALUES (-2, 1) ON CONFLICT (k) DO UPDATE SET v = registers.v + 1 RETURNING v::text")
		return err
	})
	return time.Since(began)
}

// anotherWriter waits until a server that is not this one writes, and serves.
func (c *cluster) anotherWriter(than server) server {
	c.t.Helper()
	var now server
	harness.Eventually(c.t, limit, "another writer", func() error {
		name, err := c.in.Query(c.writer, "SELECT aurora_db_instance_identifier() || ' ' || pg_is_in_recovery()")
		if err != nil {
			return err
		}
		// The old one may hang, and still look like a writer.
		for _, now = range c.servers() {
			if !now.standby && now.instance != than.instance && strings.HasSuffix(name, "false") {
				return nil
			}
		}
		return fmt.Errorf("the writer is %s", name)
	})
	return now
}

// server is the running server of an instance, or the zero server.
func (c *cluster) server(instance string) server {
	for _, s := range c.servers() {
		if s.instance == instance {
			return s
		}
	}
	return server{}
}

// must stops the test at an error.
func (c *cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// exec runs statements that must work.
func (c *cluster) exec(conn *pgx.Conn, statements ...string) {
	c.t.Helper()
	for _, sql := range statements {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		_, err := conn.Exec(ctx, sql)
		cancel()
		if err != nil {
			c.t.Fatalf("%s: %v", sql, err)
		}
	}
}

// logged waits until a process of ours has written a text to its log since it had
// this many bytes.
func (c *cluster) logged(process, text string, since int64) {
	c.t.Helper()
	harness.Eventually(c.t, limit, process+" logs "+text, func() error {
		content, err := os.ReadFile(c.logFile(process))
		if err != nil {
			return err
		}
		if !strings.Contains(string(content[min(since, int64(len(content))):]), text) {
			return errors.New("not yet")
		}
		return nil
	})
}

func (c *cluster) logFile(process string) string {
	return filepath.Join(c.in.Dir, "data", "log", process+".log")
}

// logSize is what logged is given later.
func (c *cluster) logSize(process string) int64 {
	info, err := os.Stat(c.logFile(process))
	if err != nil {
		return 0
	}
	return info.Size()
}

// sqlState is the SQLSTATE of an error, or "" when it has none.
func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// lost says whether an error tells that a session is over, or that the outcome is
// not known, in one of the ways that clients are promised.
func lost(err error) bool {
	switch sqlState(err) {
	case "57P01", "57P02", "57P03", "08006", "08007", "08003":
		return true
	case "":
		return err != nil // the connection broke
	}
	return false
}

var strict = flag.Bool("strict", false, "what README.md calls weak is an error, and what fails is run")

// weak notes what does not hold, as README.md says.
func (c *cluster) weak(format string, args ...any) {
	c.t.Helper()
	if *strict {
		c.t.Errorf(format, args...)
		return
	}
	c.t.Logf("WEAK: "+format, args...)
}

// settle is for what has to last a while, as a freeze does. It is no
// synchronisation.
func settle(d time.Duration) { time.Sleep(d) }
