package endpoint

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"
)

// recorder is a client that takes everything.
type recorder struct {
	net.Conn
	got bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error)      { return r.got.Write(p) }
func (r *recorder) SetReadDeadline(time.Time) error  { return nil }
func (r *recorder) SetWriteDeadline(time.Time) error { return nil }

// readySession is one whose backend has sent its first ReadyForQuery.
func readySession(t *testing.T) (*session, *recorder) {
	t.Helper()
	client := &recorder{}
	server, _ := socketPair(t)
	s := &session{proxy: NewProxy(Config{Logger: slog.New(slog.DiscardHandler)}), client: client, server: server}
	s.reply('Z', 'I')
	return s, client
}

func socketPair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socket")
		c, err := net.FileConn(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = c.(*net.UnixConn)
		t.Cleanup(func() { _ = c.Close() })
	}
	return ends[0], ends[1]
}

// replies writes messages: a letter each, with N for PostgreSQL's warning, W for
// another one and ? for the error that says that the outcome is unknown.
func replies(letters string) []byte {
	var b []byte
	for _, letter := range []byte(letters) {
		switch letter {
		case 'N':
			b = append(b, message('N', "SWARNING\x00VWARNING\x00C01000\x00Mabbruch\x00Fsyncrep.c\x00L307\x00RSyncRepWaitForLSN\x00\x00")...)
		case 'W':
			b = append(b, message('N', "SWARNING\x00C01000\x00Mthere is no transaction in progress\x00RUserAbort\x00\x00")...)
		case '?':
			b = append(b, unknownOutcome.encodeAs("ERROR")...)
		case 'Z':
			b = append(b, message('Z', "I")...)
		case '1', '2', '3', 'n':
			b = append(b, message(letter, "")...)
		default:
			b = append(b, message(letter, "body\x00")...)
		}
	}
	return b
}

func TestCommitWhoseQuorumWaitEndedIsNoSuccess(t *testing.T) {
	cases := map[string]struct{ requests, replies, want string }{
		"COMMIT":                            {"Q", "NCZ", "N?Z"},
		"autocommit":                        {"Q", "TDDNCZ", "TDDN?Z"},
		"another warning":                   {"Q", "WCZ", "WCZ"},
		"another warning before":            {"Q", "WNCZ", "WN?Z"},
		"both, and a setting":               {"Q", "NWSCZ", "NWS?Z"},
		"simple query that goes on":         {"Q", "NCTDCZ", "N?TDCZ"},
		"two commits in a query":            {"Q", "NCTDNCZ", "N?TDN?Z"},
		"an error comes of its own":         {"Q", "NEZ", "NEZ"},
		"extended COMMIT":                   {"PBES", "12NCZ", "12N?Z"},
		"extended COMMIT, portal closed":    {"PBECS", "12NC3Z", "12N?Z"},
		"extended autocommit: Sync commits": {"PBDES", "12TDCNZ", "12TDCN?Z"},
		"pipeline, the first":               {"PBESPBES", "12CNZ12CZ", "12CN?Z12CZ"},
		"pipeline, the last":                {"PBESPBES", "12CZ12NCZ", "12CZ12N?Z"},
		"function call":                     {"F", "VNZ", "VN?Z"},
		"COPY":                              {"Q", "GNCZ", "GN?Z"},
		"the next query":                    {"QQ", "NCZTDCZ", "N?ZTDCZ"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			stream, want := replies(tc.replies), replies(tc.want)
			for size := 1; size <= len(stream); size++ {
				s, client := readySession(t)
				for _, typ := range []byte(tc.requests) {
					s.request(typ)
				}
				w := walker{keep: repliesKept}
				for piece := range slices.Chunk(stream, size) {
					if err := s.passReplies(&w, piece); err != nil {
						t.Fatal(err)
					}
				}
				if !bytes.Equal(client.got.Bytes(), want) {
					t.Fatalf("in pieces of %d: %q, want %q", size, client.got.Bytes(), want)
				}
				if s.sifting || s.state() != StateIdle && name != "COPY" {
					t.Fatalf("in pieces of %d: sifting %v, state %s", size, s.sifting, s.state())
				}
			}
		})
	}
}

func TestPipelineThatGoesOnAfterALostCommitEndsTheSession(t *testing.T) {
	stream := replies("12NC12CZ")
	for size := 1; size <= len(stream); size++ {
		s, client := readySession(t)
		w := walker{keep: repliesKept}
		var err error
		for piece := range slices.Chunk(stream, size) {
			if err = s.passReplies(&w, piece); err != nil {
				break
			}
		}
		s.farewell(&w, err)
		want := append(replies("12N?"), unknownOutcome.encode()...)
		if !errors.Is(err, errEnding) || !bytes.Equal(client.got.Bytes(), want) {
			t.Fatalf("in pieces of %d: %q (%v), want %q", size, client.got.Bytes(), err, want)
		}
	}
}

func TestWarningIsKnownByItsRoutineAndElseByItsText(t *testing.T) {
	for text, want := range map[string]bool{
		"Mcanceling wait for synchronous replication due to user request\x00\x00":                                true,
		"Mcanceling the wait for synchronous replication and terminating connection\x00\x00":                     true,
		"Mcanceling wait for synchronous replication due to user request\x00Rexec_stmt_raise\x00\x00":            false,
		"MОтмена ожидания\x00RSyncRepWaitForLSN\x00\x00":                                                         true,
		"Mcanceling wait for synchronous replication due to user request or not\x00\x00":                         false,
		"Dcanceling wait for synchronous replication due to user request\x00Mother\x00RUserAbortTransaction\x00": false,
		"": false,
	} {
		if got := endsQuorumWait([]byte(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// A server without a quorum, as PostgreSQL itself has it.
func TestCancelledCommitIsUnknownToTheClient(t *testing.T) {
	alone := startServer(t, "alone", map[string]string{"synchronous_standby_names": "nobody"})
	w := newWorld(t, Limits{})
	w.instance("w1").Server.SocketDir = alone.SocketDir
	w.apply()
	admin, err := alone.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.Background())
	// stop ends the wait of a session for the quorum, when it has begun.
	stop := func(conn *pgx.Conn, function string) {
		w.eventually("the commit waits", func() bool {
			var waits bool
			err := admin.QueryRow(t.Context(), "SELECT count(*) > 0 FROM pg_catalog.pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep'",
				conn.PgConn().PID()).Scan(&waits)
			return err == nil && waits
		})
		if _, err := admin.Exec(t.Context(), "SELECT pg_catalog."+function+"($1)", conn.PgConn().PID()); err != nil {
			t.Error(err)
		}
	}
	commit := func(conn *pgx.Conn, function string, statements ...string) error {
		for _, sql := range statements[:len(statements)-1] {
			w.exec(conn, sql)
		}
		result := make(chan error, 1)
		go func() {
			_, err := conn.Exec(context.Background(), statements[len(statements)-1])
			result <- err
		}()
		stop(conn, function)
		return <-result
	}
	w.exec(w.connect(w.writer()), "SET synchronous_commit = local; CREATE SCHEMA s; CREATE TABLE s.t (id int)")

	for _, mode := range []string{"simple_protocol", "cache_statement", "exec"} {
		for _, statements := range [][]string{{"BEGIN", "INSERT INTO s.t VALUES (1)", "COMMIT"}, {"INSERT INTO s.t VALUES (2)"}} {
			conn := w.connect(w.writer(), "default_query_exec_mode="+mode)
			err := commit(conn, "pg_cancel_backend", statements...)
			var pgErr *pgconn.PgError
			if !errors.As(err, &pgErr) || pgErr.Code != codeUnknownOutcome || pgErr.Severity != "ERROR" || !strings.Contains(pgErr.Hint, "before you try") {
				t.Errorf("%s, %v: %v, want 08007", mode, statements, err)
			}
			if got := w.server(conn); got != "alone" {
				t.Errorf("afterwards: %s", got)
			}
		}
	}
	if got := w.gauge("daybreak_endpoint_unknown_outcomes_total"); got != 6 {
		t.Errorf("%v counted, want 6", got)
	}
	err = commit(w.connect(w.writer()), "pg_terminate_backend", "BEGIN", "INSERT INTO s.t VALUES (3)", "COMMIT")
	wantRefused(t, err, codeUnknownOutcome, "the outcome of the commit is unknown")
}
