package endpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

func (w *world) session() Session {
	w.t.Helper()
	all := w.proxy.Sessions()
	if len(all) != 1 {
		w.t.Fatalf("%d sessions, want one", len(all))
	}
	return all[0]
}

func TestSessionViewShowsTheClientAndWhatItIsDoing(t *testing.T) {
	w := newWorld(t, Limits{})
	conn := w.connect(w.writer(), "application_name=test")
	s := w.session()
	if s.User != masterName || s.Database != "postgres" || s.App != "test" || !s.TLS || s.Instance != "db-w1" ||
		s.Endpoint != clusterID+"/writer" || !s.Client.Addr().IsLoopback() || s.State != StateIdle {
		t.Errorf("%+v", s)
	}
	var pid uint32
	if err := conn.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil || pid != s.PID || pid != conn.PgConn().PID() {
		t.Errorf("process %d, shown %d, told to the client %d (%v)", pid, s.PID, conn.PgConn().PID(), err)
	}
	w.exec(conn, "BEGIN")
	if s := w.session(); s.State != StateInTransaction {
		t.Errorf("state %q", s.State)
	}
	_, _ = conn.Exec(t.Context(), "SELECT 1/0")
	if s := w.session(); s.State != StateAborted {
		t.Errorf("state %q", s.State)
	}
	w.exec(conn, "ROLLBACK")
	if s := w.session(); s.State != StateIdle {
		t.Errorf("state %q", s.State)
	}
	_ = conn.Close(t.Context())
	w.eventually("the session is gone", func() bool { return len(w.proxy.Sessions()) == 0 })
}

func TestEverythingPassesUnchanged(t *testing.T) {
	for _, mode := range []string{"sslmode=verify-full", "sslmode=disable"} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t, Limits{})
			conn := w.connect(w.writer(), mode)
			w.exec(conn, "CREATE TEMP TABLE t (id int, body text)")
			t.Run("COPY in and out", func(t *testing.T) { copyBothWays(t, conn) })
			t.Run("large values", func(t *testing.T) { largeValues(t, conn) })
			t.Run("pipelines", func(t *testing.T) { pipelines(t, conn) })
			t.Run("notifications and notices", func(t *testing.T) { notifications(t, w, conn) })
			if s := w.session(); s.State != StateIdle {
				t.Errorf("afterwards the session is %q", s.State)
			}
		})
	}
}

func copyBothWays(t *testing.T, conn *pgx.Conn) {
	const rows = 200_000
	var text bytes.Buffer
	for i := range rows {
		fmt.Fprintf(&text, "%d\t%s\n", i, strings.Repeat("x", i%50))
	}
	want := text.String()
	if tag, err := conn.PgConn().CopyFrom(t.Context(), &text, "COPY t FROM STDIN"); err != nil || tag.RowsAffected() != rows {
		t.Fatalf("%v %v", tag, err)
	}
	var back bytes.Buffer
	if _, err := conn.PgConn().CopyTo(t.Context(), &back, "COPY (SELECT * FROM t ORDER BY id) TO STDOUT"); err != nil || back.String() != want {
		t.Fatalf("%d bytes came back of %d (%v)", back.Len(), len(want), err)
	}
	_, err := conn.PgConn().CopyFrom(t.Context(), strings.NewReader("no number\n"), "COPY t FROM STDIN")
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		t.Errorf("bad data: %v", err)
	}
}

func largeValues(t *testing.T, conn *pgx.Conn) {
	want := strings.Repeat("0123456789abcdef", 1<<20)
	var got string
	if err := conn.QueryRow(t.Context(), "SELECT $1::text", want).Scan(&got); err != nil || got != want {
		t.Errorf("%d bytes came back of %d (%v)", len(got), len(want), err)
	}
}

func pipelines(t *testing.T, conn *pgx.Conn) {
	var batch pgx.Batch
	for i := range 1000 {
		batch.Queue("SELECT $1::int", i)
	}
	results := conn.SendBatch(t.Context(), &batch)
	for i := range 1000 {
		var got int
		if err := results.QueryRow().Scan(&got); err != nil || got != i {
			t.Fatalf("%d came back for %d (%v)", got, i, err)
		}
	}
	if err := results.Close(); err != nil {
		t.Error(err)
	}
}

func notifications(t *testing.T, w *world, conn *pgx.Conn) {
	w.exec(conn, "LISTEN news")
	w.exec(conn, "DO $$ BEGIN RAISE NOTICE 'a notice'; END $$")
	direct, err := shared.all["w1"].Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close(context.Background())
	w.exec(conn, "NOTIFY news, 'own'")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	n, err := conn.WaitForNotification(ctx)
	if err != nil || n.Payload != "own" || n.PID != conn.PgConn().PID() {
		t.Errorf("%+v (%v): a client knows its own notifications by the process id", n, err)
	}
}

func TestFailoverCutsTheOldWritersSessionsOnEveryEndpoint(t *testing.T) {
	w := newWorld(t, Limits{})
	promoted := startServer(t, "promoted", nil) // what r1 is then
	old, byInstance, reader := w.connect(w.writer()), w.connect(w.instance("w1").Status.Endpoint), w.connect(w.instance("r1").Status.Endpoint)
	running := make(chan error, 1)
	go func() {
		_, err := old.Exec(t.Context(), "SELECT pg_sleep(60)")
		running <- err
	}()
	w.eventually("the query runs", func() bool { return w.proxy.Sessions()[0].State == StateActive })
	// r1 is to be the writer; its report is still the old one.
	w.cluster().Status.Term, w.cluster().Status.Writer = 2, "db-r1"
	w.apply()
	wantRefused(t, <-running, codeAdminShutdown, "DB instance w1 is no longer the writer")
	_, err := byInstance.Exec(t.Context(), "SELECT 1")
	wantRefused(t, err, codeAdminShutdown, "DB instance w1 is no longer the writer")
	if got := w.server(reader); got != "r1" {
		t.Errorf("the session on the reader: %s", got)
	}
	connected := make(chan string, 1)
	go func() {
		conn, err := w.dial(w.writer())
		if err != nil {
			connected <- err.Error()
			return
		}
		defer conn.Close(context.Background())
		var name string
		_ = conn.QueryRow(context.Background(), "SHOW cluster_name").Scan(&name)
		connected <- name
	}()
	w.eventually("a new connection waits", func() bool { return w.gauge("daybreak_endpoint_held") == 1 })
	w.instance("r1").Server.Role, w.instance("r1").Server.Term = aurora.RoleWriter, 2
	w.apply() // it is a standby still, whatever the report says
	if got := <-connected; !strings.Contains(got, "is the writer no longer") {
		t.Errorf("a new connection to a standby as writer: %s", got)
	}
	w.instance("r1").Server.SocketDir = promoted.SocketDir
	w.apply()
	if got := w.server(w.connect(w.writer())); got != "promoted" {
		t.Errorf("the new connection: %s", got)
	}
	// The old writer, frozen until now, still believes in its role.
	w.instance("w1").Server.Role = aurora.RoleWriter
	w.apply()
	if got := w.server(w.connect(w.writer())); got != "promoted" {
		t.Errorf("writer endpoint leads to %s", got)
	}
}

func TestWriterWithoutAQuorumServesNobodyUntilItHasOne(t *testing.T) {
	w := newWorld(t, Limits{})
	old, reader := w.connect(w.writer()), w.connect(w.instance("r1").Status.Endpoint)
	w.instance("w1").Server.Stalled = true
	w.apply()
	_, err := old.Exec(t.Context(), "SELECT 1")
	wantRefused(t, err, codeAdminShutdown, "DB instance w1 has lost the quorum of its log")
	if got := w.server(reader); got != "r1" {
		t.Errorf("the session on the reader: %s", got)
	}
	connected := make(chan error, 1)
	go func() {
		conn, err := w.dial(w.writer())
		if err == nil {
			_ = conn.Close(context.Background())
		}
		connected <- err
	}()
	w.eventually("a new connection waits", func() bool { return w.gauge("daybreak_endpoint_held") == 1 })
	w.instance("w1").Server.Stalled = false
	w.apply()
	if err := <-connected; err != nil {
		t.Errorf("the connection that waited: %v", err)
	}
}

func TestDeletedReadersSessionsEndBetweenTransactions(t *testing.T) {
	w := newWorld(t, Limits{DrainGrace: time.Minute})
	idle, busy := w.connect(w.instance("r1").Status.Endpoint), w.connect(w.instance("r1").Status.Endpoint)
	w.exec(busy, "BEGIN")
	w.instance("r1").DeleteRequested = true
	w.apply()
	_, err := idle.Exec(t.Context(), "SELECT 1")
	wantRefused(t, err, codeAdminShutdown, "DB instance r1 is being deleted")
	w.exec(busy, "SELECT 1")
	if got := w.server(w.connect(w.reader())); got != "r2" {
		t.Errorf("reader endpoint leads to %s", got)
	}
	w.exec(busy, "COMMIT")
	w.eventually("the session ends after its transaction", func() bool {
		_, err := busy.Exec(t.Context(), "SELECT 1")
		return err != nil
	})
}

func TestDeletedReadersSessionsEndAfterTheGracePeriod(t *testing.T) {
	w := newWorld(t, Limits{DrainGrace: 50 * time.Millisecond})
	conn := w.connect(w.instance("r1").Status.Endpoint)
	w.exec(conn, "BEGIN")
	w.instance("r1").DeleteRequested = true
	w.apply()
	w.eventually("the session is over", func() bool { return len(w.proxy.Sessions()) == 0 })
	_, err := conn.Exec(t.Context(), "SELECT 1")
	wantRefused(t, err, codeAdminShutdown, "DB instance r1 is being deleted")
}

func TestSessionsAreCutBetweenMessagesWhileResultsStream(t *testing.T) {
	w := newWorld(t, Limits{})
	conn := w.connect(w.writer(), "sslmode=disable")
	rows, err := conn.Query(t.Context(), "SELECT repeat('x', 100000) FROM generate_series(1, 100000)")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rows.Next() {
		if n++; n == 3 {
			w.cluster().Status.Term++
			w.apply()
		}
	}
	wantRefused(t, rows.Err(), codeAdminShutdown, "no longer the writer")
}

func TestDeathOfABackendIsToldToTheClient(t *testing.T) {
	w := newWorld(t, Limits{})
	conn := w.connect(w.writer())
	admin, err := shared.all["w1"].Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.Background())
	if _, err := admin.Exec(t.Context(), "SELECT pg_terminate_backend($1)", conn.PgConn().PID()); err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), "SELECT 1")
	wantRefused(t, err, codeAdminShutdown, "due to administrator command")

	lonely := newWorld(t, Limits{})
	conn = lonely.connect(lonely.instance("r2").Status.Endpoint)
	if err := syscall.Kill(int(conn.PgConn().PID()), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	lonely.eventually("the session is over", func() bool { return len(lonely.proxy.Sessions()) == 0 })
	_, err = conn.Exec(t.Context(), "SELECT 1")
	wantRefused(t, err, codeConnectionFailure, "the connection to DB instance r2 was lost")
	// The crash of a backend ends its server, which other tests need.
	lonely.eventually("r2 serves again", func() bool {
		p, err := shared.all["r2"].Start(t.Context(), nil)
		return err == nil && p.Ready(t.Context()) == nil
	})
}

func TestClientThatVanishesLeavesNoSession(t *testing.T) {
	w := newWorld(t, Limits{})
	conn := w.connect(w.writer(), "sslmode=disable")
	_ = conn.PgConn().Conn().Close()
	w.eventually("the session is gone", func() bool { return len(w.proxy.Sessions()) == 0 })
}

func TestSessionsAreToldWhenTheEndpointStops(t *testing.T) {
	w := newWorld(t, Limits{})
	conn := w.connect(w.writer())
	w.stop()
	_, err := conn.Exec(t.Context(), "SELECT 1")
	wantRefused(t, err, codeAdminShutdown, "the endpoint is being restarted")
}
