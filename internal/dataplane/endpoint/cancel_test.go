package endpoint

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func TestTitleOfABackendThatWaitsForTheQuorum(t *testing.T) {
	for title, want := range map[string]bool{
		"postgres: postgres postgres [local] COMMIT waiting for 0/3000148\x00":    true,
		"postgres: app shop [local] INSERT waiting for 1A/FF3000148     \x00\x00": true,
		"postgres: app shop [local] UPDATE waiting\x00":                           false,
		"postgres: app shop [local] idle\x00":                                     false,
		"postgres: walsender daybreak [local] streaming 0/3000148\x00":            false,
		"sleep\x00waiting for 0/1\x00":                                            false,
		"":                                                                        false,
	} {
		if got := titleWaits([]byte(title)); got != want {
			t.Errorf("%q: %v, want %v", title, got, want)
		}
	}
}

// A client's cancel does not end the wait of a commit for the quorum, and hits nothing
// that comes after it.
func TestCancelOfACommitThatWaits(t *testing.T) {
	alone := startServer(t, "alone", map[string]string{"synchronous_standby_names": "nobody"})
	w := newWorld(t, Limits{})
	w.instance("w1").Server.SocketDir = alone.SocketDir
	w.apply()
	admin, err := alone.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.Background())
	w.exec(w.connect(w.writer()), "SET synchronous_commit = local; CREATE SCHEMA s; CREATE TABLE s.t (id int)")
	is := func(conn *pgx.Conn, condition string) func() bool {
		return func() bool {
			var is bool
			err := admin.QueryRow(t.Context(), "SELECT count(*) > 0 FROM pg_catalog.pg_stat_activity WHERE pid = $1 AND "+condition,
				conn.PgConn().PID()).Scan(&is)
			return err == nil && is
		}
	}
	conn := w.connect(w.writer(), "default_query_exec_mode=simple_protocol")
	told := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "INSERT INTO s.t VALUES (1)")
		told <- err
	}()
	waits := is(conn, "wait_event = 'SyncRep'")
	w.eventually("the commit waits", waits)
	if err := conn.PgConn().CancelRequest(t.Context()); err != nil {
		t.Error(err)
	}
	if !waits() {
		t.Error("the wait was ended by the cancel")
	}
	if _, err := admin.Exec(t.Context(), "SELECT pg_catalog.pg_cancel_backend($1)", conn.PgConn().PID()); err != nil {
		t.Error(err)
	}
	var pgErr *pgconn.PgError
	if err := <-told; !errors.As(err, &pgErr) || pgErr.Code != codeUnknownOutcome {
		t.Errorf("whose wait an administrator ended: %v, want 08007", err)
	}
	w.eventually("the cancel is given up", func() bool { return w.count("daybreak_endpoint_cancels_total", "late") == 1 })
}
