package endpoint

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/pki"
	"github.com/daybreakdb/daybreak/test/workdir"
)

const (
	masterName     = "app_owner"
	masterPassword = "correct horse"
	testUID        = 60423
)

// servers are PostgreSQL servers: a writer w1 and its readers r1 and r2.
type servers struct {
	work *workdir.Dir
	dir  string
	all  map[string]postgres.Server
	err  error
}

// shared are the servers of all tests; those that need none start none.
var shared servers

var startShared = sync.OnceFunc(func() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	shared.err = shared.start(ctx)
})

func TestMain(m *testing.M) {
	code := m.Run()
	shared.remove()
	os.Exit(code)
}

func (x *servers) start(ctx context.Context) error {
	var err error
	if x.work, err = workdir.Make("ep"); err != nil {
		return err
	}
	x.dir = x.work.Path
	x.all = map[string]postgres.Server{}
	installation, err := postgres.Find(ctx)
	if err != nil {
		return err
	}
	for _, name := range []string{"w1", "r1", "r2"} {
		s := newServer(installation, x.dir, name)
		x.all[name] = s
		var upstream *postgres.Upstream
		if name != "w1" {
			upstream = &postgres.Upstream{SocketDir: x.all["w1"].SocketDir}
		}
		if _, err := startOne(ctx, s, upstream, nil); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
	}
	return nil
}

func newServer(installation postgres.Installation, dir, name string) postgres.Server {
	s := postgres.Server{
		Installation: installation, Name: name,
		Dir: filepath.Join(dir, name), SocketDir: filepath.Join(dir, name, "run"), Reach: []string{filepath.Join(dir, "w1", "run")},
		AdminPassword: strings.Repeat("a", 32), ReplicationPassword: strings.Repeat("r", 32),
	}
	if os.Geteuid() == 0 {
		s.UID = testUID
	}
	return s
}

// startOne makes a server, a standby if there is an upstream, and starts it.
func startOne(ctx context.Context, s postgres.Server, upstream *postgres.Upstream, overrides map[string]string) (*postgres.Process, error) {
	var err error
	if upstream == nil {
		err = s.Init(ctx, postgres.InitOptions{Master: postgres.Master{Name: masterName, Verifier: verifier(masterPassword)}})
	} else {
		err = s.Copy(ctx, *upstream)
	}
	if err != nil {
		return nil, err
	}
	config := postgres.Config{Memory: 512 << 20, Parameters: map[string]string{"max_connections": "100"}, Upstream: upstream}
	if _, err := s.Configure(ctx, config); err != nil {
		return nil, err
	}
	p, err := s.Start(ctx, overrides)
	if err != nil {
		return nil, err
	}
	return p, p.Ready(ctx)
}

// startServer is a server of one test alone.
func startServer(t *testing.T, name string, overrides map[string]string) postgres.Server {
	t.Helper()
	if startShared(); shared.err != nil {
		t.Fatal(shared.err)
	}
	s := newServer(shared.all["w1"].Installation, shared.dir, name)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.Remove(ctx); err != nil {
			t.Error(err)
		}
	})
	if _, err := startOne(ctx, s, nil, overrides); err != nil {
		t.Fatal(err)
	}
	return s
}

func (x *servers) remove() {
	if x.work == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, s := range x.all {
		if err := s.Remove(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if err := x.work.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// verifier is PostgreSQL's stored form of a password.
func verifier(password string) string {
	salt := []byte("0123456789abcdef")
	salted, err := pbkdf2.Key(sha256.New, password, salt, 4096, sha256.Size)
	if err != nil {
		panic(err)
	}
	sum := func(key []byte, text string) []byte {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	stored := sha256.Sum256(sum(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$4096:%s$%s:%s", b64(salt), b64(stored[:]), b64(sum(salted, "Server Key")))
}

// world is a cluster as the state has it, and a proxy that serves it. Tests
// change the nouns and apply them.
type world struct {
	t        *testing.T
	proxy    *Proxy
	ctx      context.Context
	stop     func()
	snapshot Snapshot
	log      *logBuffer
	metrics  *prometheus.Registry
	caFile   string
}

// newWorld serves w1 as writer and r1 and r2 as readers, with endpoints on free
// ports, open to everybody.
func newWorld(t *testing.T, limits Limits) *world {
	t.Helper()
	if startShared(); shared.err != nil {
		t.Fatal(shared.err)
	}
	dir := t.TempDir()
	ca, err := pki.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, log: &logBuffer{}, metrics: prometheus.NewRegistry(), caFile: filepath.Join(dir, pki.CAFile)}
	w.proxy = NewProxy(Config{
		PKI: ca, Registry: w.metrics, Limits: limits, LoopbackAs: netip.MustParseAddr("172.31.255.254"),
		Logger: slog.New(slog.NewTextHandler(w.log, nil)),
	})
	c := cluster()
	c.Status.WriterEndpoint, c.Status.ReaderEndpoint = freeAddress(t), freeAddress(t)
	w.snapshot = Snapshot{Clusters: []aurora.DBCluster{c}, Groups: []aurora.SecurityGroup{openGroup()}}
	for _, name := range []string{"w1", "r1", "r2"} {
		role := aurora.RoleReader
		if name == "w1" {
			role = aurora.RoleWriter
		}
		in := instance(name, role, 1)
		in.Status.Endpoint = freeAddress(t)
		in.Server.SocketDir = shared.all[name].SocketDir
		w.snapshot.Instances = append(w.snapshot.Instances, in)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w.ctx = ctx
	w.stop = func() { cancel(); w.proxy.Wait() }
	t.Cleanup(func() {
		w.stop()
		if t.Failed() {
			t.Logf("log:\n%s", w.log)
		}
	})
	w.apply()
	w.eventually("all endpoints listen", func() bool {
		for _, l := range w.proxy.Listeners() {
			if l.Problem != "" {
				return false
			}
		}
		return true
	})
	return w
}

func (w *world) apply() { w.proxy.Apply(w.ctx, w.snapshot) }

func (w *world) cluster() *aurora.DBCluster { return &w.snapshot.Clusters[0] }

func (w *world) instance(name string) *aurora.DBInstance {
	for i := range w.snapshot.Instances {
		if w.snapshot.Instances[i].Spec.Identifier == name {
			return &w.snapshot.Instances[i]
		}
	}
	w.t.Fatalf("no instance %s", name)
	return nil
}

func (w *world) writer() aurora.Address { return w.cluster().Status.WriterEndpoint }
func (w *world) reader() aurora.Address { return w.cluster().Status.ReaderEndpoint }

func (w *world) eventually(fact string, is func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("not within 15 s: %s", fact)
		}
	}
}

// dsn is how clients connect to an address, with more settings after it.
func (w *world) dsn(at aurora.Address, more ...string) string {
	return fmt.Sprintf("host=%s port=%d user=%s password='%s' dbname=postgres connect_timeout=20 sslmode=verify-full sslrootcert=%s %s",
		at.Host, at.Port, masterName, masterPassword, w.caFile, strings.Join(more, " "))
}

func (w *world) dial(at aurora.Address, more ...string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	return pgx.Connect(ctx, w.dsn(at, more...))
}

func (w *world) connect(at aurora.Address, more ...string) *pgx.Conn {
	w.t.Helper()
	conn, err := w.dial(at, more...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	})
	return conn
}

func (w *world) exec(conn *pgx.Conn, sql string) {
	w.t.Helper()
	if _, err := conn.Exec(w.t.Context(), sql); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

// server is the name of the PostgreSQL server that a connection has reached.
func (w *world) server(conn *pgx.Conn) string {
	w.t.Helper()
	var name string
	if err := conn.QueryRow(w.t.Context(), "SHOW cluster_name").Scan(&name); err != nil {
		w.t.Fatal(err)
	}
	return name
}

// psql runs a script; what it writes comes back, errors included.
func (w *world) psql(dsn, script string) (string, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(shared.all["w1"].Installation.BinDir, "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", dsn)
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// addresses counts those given to tests, so that none is given twice.
var addresses atomic.Uint32

// freeAddress is an address of its own, in a network of this test process, with
// a port that is free.
func freeAddress(t *testing.T) aurora.Address {
	t.Helper()
	n := addresses.Add(1)
	host := fmt.Sprintf("127.%d.%d.%d", 100+os.Getpid()%100, n>>8&255, n&255)
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return aurora.Address{Host: host, Port: l.Addr().(*net.TCPAddr).Port}
}

func hostPort(a aurora.Address) string { return net.JoinHostPort(a.Host, strconv.Itoa(a.Port)) }

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
