package wal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/test/workdir"
)

const patience = 15 * time.Second

// stand is a host's log with PostgreSQL servers around it.
type stand struct {
	*testing.T
	ctx    context.Context
	layout layout.Layout
	host   *Host
	of     Cluster
	uid    int
	found  postgres.Installation
}

const testPassword = "0123456789012345678901234567890123456789"

func newStand(t *testing.T, zones ...string) *stand {
	t.Helper()
	if len(zones) == 0 {
		zones = []string{"xa", "xa", "xb", "xb", "xc", "xc"}
	}
	l := newLayout(t, zones...)
	s := &stand{T: t, ctx: t.Context(), layout: l, of: Cluster{ID: "cluster-TEST", Zones: zones, Password: testPassword}}
	s.findPostgres()
	s.open()
	t.Cleanup(func() {
		if t.Failed() {
			s.showLogs()
		}
		if err := s.host.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// newLayout makes the data directory of a host.
func newLayout(t *testing.T, zones ...string) layout.Layout {
	t.Helper()
	l, err := layout.New(workdir.New(t, "wal"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Create(); err != nil {
		t.Fatal(err)
	}
	for _, z := range zones {
		if err := os.MkdirAll(filepath.Join(l.Zones(), z), 0o711); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func (s *stand) findPostgres() {
	s.Helper()
	var err error
	if s.found, err = postgres.Find(s.ctx); err != nil {
		s.Fatal(err)
	}
	if os.Geteuid() == 0 {
		s.uid = 64000 + os.Getpid()%1000
	}
}

func (s *stand) open() {
	s.Helper()
	var err error
	if s.host, err = OpenHost(context.Background(), HostConfig{Layout: s.layout}); err != nil {
		s.Fatal(err)
	}
}

func (s *stand) served() *served {
	s.Helper()
	v, err := s.host.serve(s.of)
	if err != nil {
		s.Fatal(err)
	}
	return v
}

func (s *stand) server(name string) postgres.Server {
	return postgres.Server{
		Installation: s.found, Name: name, UID: s.uid,
		Dir: filepath.Join(s.layout.Zones(), "xa", name), SocketDir: s.layout.InstanceSocketDir(name),
		Reach:         []string{s.layout.Feeds()},
		AdminPassword: testPassword, ReplicationPassword: testPassword,
	}
}

// start starts a server and stops it hard at the end of the test.
func (s *stand) start(srv postgres.Server, up *postgres.Upstream) *postgres.Process {
	s.Helper()
	if _, err := srv.Configure(s.ctx, postgres.Config{Memory: 256 << 20, Upstream: up}); err != nil {
		s.Fatal(err)
	}
	p, err := srv.Start(s.ctx, map[string]string{"synchronous_standby_names": standbyName(srv)})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = p.Stop(context.Background(), postgres.StopImmediate, time.Second) })
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	if err := p.Ready(ctx); err != nil {
		s.Fatal(err)
	}
	return p
}

func standbyName(srv postgres.Server) string { return "ship_" + srv.Name }

func (s *stand) connect(srv postgres.Server) *pgx.Conn {
	s.Helper()
	conn, err := srv.Connect(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (s *stand) exec(conn *pgx.Conn, sql string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	if _, err := conn.Exec(ctx, sql); err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
}

func (s *stand) count(conn *pgx.Conn) int {
	var n int
	if err := conn.QueryRow(s.ctx, "SELECT count(*) FROM public.t").Scan(&n); err != nil {
		return -1
	}
	return n
}

func (s *stand) eventually(what string, f func() bool) {
	s.Helper()
	eventually(s.T, what, f)
}

func (s *stand) showLogs() {
	logs, _ := filepath.Glob(filepath.Join(s.layout.Zones(), "*", "*", "log", "*"))
	for _, l := range logs {
		content, _ := os.ReadFile(l)
		s.Logf("%s:\n%s", l, content[max(0, len(content)-2000):])
	}
}

// eventually waits until f says so.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time: " + what)
		}
	}
}

func (s *stand) init(name string) postgres.Server {
	s.Helper()
	srv := s.server(name)
	verifier := "SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAA==$" + strings.Repeat("A", 43) + "=:" + strings.Repeat("A", 43) + "="
	if err := srv.Init(s.ctx, postgres.InitOptions{Master: postgres.Master{Name: "boss", Verifier: verifier}}); err != nil {
		s.Fatal(err)
	}
	control, err := srv.ControlData(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	s.of.SystemIdentifier = control.SystemIdentifier
	return srv
}

func (s *stand) attach(srv postgres.Server, term int64, create bool) {
	s.Helper()
	if _, err := s.served().openTerm(s.ctx, term, create); err != nil {
		s.Fatal(err)
	}
	if err := s.served().attach(s.ctx, term, Source{srv.SocketDir, testPassword, standbyName(srv)}); err != nil {
		s.Fatal(err)
	}
}

func (s *stand) upstream() *postgres.Upstream {
	return &postgres.Upstream{SocketDir: s.layout.FeedDir(s.of.ID)}
}

func TestCommitIsDurableInTheLogAndReadersFollowThroughAFailover(t *testing.T) {
	s := newStand(t)
	w := s.init("w")
	wp := s.start(w, nil)
	s.attach(w, 1, true)
	conn := s.connect(w)
	s.exec(conn, "CREATE TABLE public.t (id int)")
	for i := range 50 {
		s.exec(conn, fmt.Sprintf("INSERT INTO public.t VALUES (%d)", i))
	}

	var readers []postgres.Server
	var conns []*pgx.Conn
	for _, name := range []string{"r1", "r2"} {
		r := s.server(name)
		if err := r.Copy(s.ctx, postgres.Upstream{SocketDir: w.SocketDir}); err != nil {
			t.Fatal(err)
		}
		s.start(r, s.upstream())
		readers, conns = append(readers, r), append(conns, s.connect(r))
	}
	for i, c := range conns {
		s.eventually(fmt.Sprintf("reader %d has all rows", i), func() bool { return s.count(c) == 50 })
	}
	s.exec(conn, "INSERT INTO public.t VALUES (50)")
	s.eventually("the row reaches a reader", func() bool { return s.count(conns[0]) == 51 })

	if err := wp.Stop(s.ctx, postgres.StopImmediate, time.Second); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	o, err := s.served().openTerm(s.ctx, 2, false)
	if err != nil {
		t.Fatal(err)
	}
	opened := time.Since(began)
	s.eventually("the heir has the durable end", func() bool {
		st, err := readers[0].Status(s.ctx)
		return err == nil && LSN(st.ReplayLSN) >= o.RecordEnd
	})
	if err := readers[0].Promote(s.ctx, 0); err != nil {
		t.Fatal(err)
	}
	promoted := time.Since(began)
	if err := s.served().attach(s.ctx, 2, Source{readers[0].SocketDir, testPassword, standbyName(readers[0])}); err != nil {
		t.Fatal(err)
	}
	s.exec(conns[0], "INSERT INTO public.t VALUES (51)")
	t.Logf("opened after %v, promoted after %v, first commit after %v", opened, promoted, time.Since(began))
	s.eventually("the other reader follows to the new timeline", func() bool { return s.count(conns[1]) == 52 })
	if _, err := s.served().openTerm(s.ctx, 1, false); err == nil {
		t.Error("a lower term was opened")
	}
}

func TestRestartInPlaceAndOfTheLogItself(t *testing.T) {
	s := newStand(t)
	w := s.init("w")
	wp := s.start(w, nil)
	s.attach(w, 1, true)
	conn := s.connect(w)
	s.exec(conn, "CREATE TABLE public.t (id int)")
	rows := 0
	insert := func(c *pgx.Conn) {
		for range 20 {
			s.exec(c, "INSERT INTO public.t VALUES (1)")
			rows++
		}
	}
	insert(conn)
	for term := int64(2); term < 5; term++ {
		if err := wp.Stop(s.ctx, postgres.StopImmediate, time.Second); err != nil {
			t.Fatal(err)
		}
		wp = s.start(w, nil)
		s.attach(w, term, false)
		conn = s.connect(w)
		insert(conn)
		// The log ends without any warning, and begins again.
		crashed := s.host
		for _, v := range crashed.served {
			v.shipper.stop()
			v.feed.close()
			v.stop()
		}
		s.open()
		if err := s.served().attach(s.ctx, term, Source{w.SocketDir, testPassword, standbyName(w)}); err != nil {
			t.Fatal(err)
		}
		insert(conn)
	}
	if n := s.count(conn); n != rows {
		t.Errorf("%d rows, want %d", n, rows)
	}
	if st := s.served().status(); !st.Shipping || st.Term != 4 {
		t.Errorf("%+v", st)
	}
}
