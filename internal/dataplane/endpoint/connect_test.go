package endpoint

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// wantRefused checks that a connection was refused with this SQLSTATE and text.
func wantRefused(t *testing.T, err error, code, text string) {
	t.Helper()
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != code || pgErr.Severity != "FATAL" || !strings.Contains(pgErr.Message, text) {
		t.Errorf("error %v, want FATAL %s with %q", err, code, text)
	}
}

func TestEveryEndpointLeadsToItsServer(t *testing.T) {
	w := newWorld(t, Limits{})
	if got := w.server(w.connect(w.writer())); got != "w1" {
		t.Errorf("writer endpoint leads to %s", got)
	}
	for _, name := range []string{"w1", "r1", "r2"} {
		if got := w.server(w.connect(w.instance(name).Status.Endpoint)); got != name {
			t.Errorf("instance endpoint of %s leads to %s", name, got)
		}
	}
	if got := w.server(w.connect(w.reader())); got != "r1" && got != "r2" {
		t.Errorf("reader endpoint leads to %s", got)
	}
}

func TestPublishedAddressServesTheSameEndpoint(t *testing.T) {
	w := newWorld(t, Limits{})
	published := freeAddress(t)
	w.cluster().Status.WriterEndpoint.Published = hostPort(aurora.Address{Host: "0.0.0.0", Port: published.Port})
	w.apply()
	w.eventually("the published address answers", func() bool {
		conn, err := w.dial(published)
		if err == nil {
			_ = conn.Close(t.Context())
		}
		return err == nil
	})
	if got := w.server(w.connect(published)); got != "w1" {
		t.Errorf("leads to %s", got)
	}
}

func TestPsqlWithEveryKindOfEncryption(t *testing.T) {
	w := newWorld(t, Limits{})
	cases := map[string]struct {
		more string
		want string // of the session view; or part of psql's error
	}{
		"verify-full by IP":            {"", "true"},
		"channel binding preferred":    {"channel_binding=prefer", "true"},
		"channel binding disabled":     {"channel_binding=disable", "true"},
		"channel binding required":     {"channel_binding=require", "channel binding"},
		"TLS required":                 {"sslmode=require", "true"},
		"plain":                        {"sslmode=disable", "false"},
		"GSS preferred":                {"gssencmode=prefer", "true"},
		"TLS 1.2":                      {"ssl_max_protocol_version=TLSv1.2", "true"},
		"wrong password":               {"password=wrong", "password authentication failed"},
		"unknown database":             {"dbname=missing", "does not exist"},
		"database that is not theirs":  {"dbname=rdsadmin", "pg_hba.conf rejects connection"},
		"internal role":                {"user=rdsadmin", `role "rdsadmin" is reserved`},
		"physical replication refused": {"replication=true", "replication connections are not supported"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			out, err := w.psql(w.dsn(w.writer(), tc.more), "SELECT 'connected'")
			if tc.want == "true" || tc.want == "false" {
				if err != nil || out != "connected" {
					t.Errorf("%s (%v)", out, err)
				}
			} else if err == nil || !strings.Contains(out, tc.want) {
				t.Errorf("%s (%v), want %q", out, err, tc.want)
			}
		})
	}
}

func TestForceSSLRefusesClientsWithoutTLS(t *testing.T) {
	w := newWorld(t, Limits{})
	w.cluster().Spec.ForceSSL = true
	w.apply()
	if out, err := w.psql(w.dsn(w.writer(), "sslmode=disable"), "SELECT 1"); err == nil || !strings.Contains(out, "no pg_hba.conf entry for host") ||
		!strings.Contains(out, "no encryption") {
		t.Errorf("without TLS: %s (%v)", out, err)
	}
	if out, err := w.psql(w.dsn(w.reader(), "sslmode=require"), "SELECT 'connected'"); err != nil || out != "connected" {
		t.Errorf("with TLS: %s (%v)", out, err)
	}
}

func TestCertificateOfAnotherAuthorityIsNotTrustedAndOtherNamesAreRefused(t *testing.T) {
	w := newWorld(t, Limits{})
	out, err := w.psql(w.dsn(w.writer(), "host=other.example.org", "hostaddr="+w.writer().Host), "SELECT 1")
	if err == nil || !strings.Contains(out, "does not match host name") {
		t.Errorf("%s (%v)", out, err)
	}
}

func TestCertificateHasTheNameOfTheEndpoint(t *testing.T) {
	w := newWorld(t, Limits{})
	names := aurora.Names{Suffix: "db.example.com"}
	w.proxy.router.names = names
	w.apply()
	name := names.Reader(w.cluster())
	if record, ok := w.proxy.names.lookup(name); !ok || record.Addrs[0].String() != w.reader().Host {
		t.Errorf("%s leads to %v, want %s", name, record, w.reader().Host)
	}
	if out, err := w.psql(w.dsn(w.reader(), "host="+name, "hostaddr="+w.reader().Host), "SELECT 'connected'"); err != nil || out != "connected" {
		t.Errorf("%s (%v)", out, err)
	}
}

func TestTLSWithoutARequestForIt(t *testing.T) {
	w := newWorld(t, Limits{})
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(w.caFile)
	if err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(pem)
	conn, err := tls.Dial("tcp", hostPort(w.writer()), &tls.Config{RootCAs: roots, ServerName: w.writer().Host, NextProtos: []string{alpn}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(startupPacket(version30, "user\x00"+masterName+"\x00\x00")); err != nil {
		t.Fatal(err)
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil || answer[0] != 'R' {
		t.Errorf("answer %q, %v", answer, err)
	}
}

func TestCancelReachesTheRightBackendFromEveryEndpointOfTheCluster(t *testing.T) {
	w := newWorld(t, Limits{})
	conn := w.connect(w.reader())
	key := cancelKey{conn.PgConn().PID(), binary.BigEndian.Uint32(conn.PgConn().SecretKey())}
	send := func(k cancelKey) {
		c, err := net.Dial("tcp", hostPort(w.writer()))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write(k.encode()); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, c)
	}
	send(cancelKey{key.pid, key.secret + 1})
	if got := w.count("daybreak_endpoint_cancels_total", "unknown"); got != 1 {
		t.Errorf("%v unknown keys, want 1", got)
	}
	w.cancels(conn, func() { send(key) })
	if got := w.server(conn); got == "" {
		t.Error("the session did not survive")
	}
	_ = conn.Close(t.Context())
	w.eventually("keys end with their sessions", func() bool {
		w.proxy.mu.Lock()
		defer w.proxy.mu.Unlock()
		return len(w.proxy.keys) == 0 && len(w.proxy.load) == 0
	})
}

func TestCancelOfADriver(t *testing.T) {
	w := newWorld(t, Limits{})
	conn := w.connect(w.writer())
	w.cancels(conn, func() {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := conn.PgConn().CancelRequest(ctx); err != nil {
			t.Error(err)
		}
	})
}

// cancels checks that cancel ends a statement of conn. It is called again and
// again, for the server ignores a cancel that comes before the statement.
func (w *world) cancels(conn *pgx.Conn, cancel func()) {
	w.t.Helper()
	result := make(chan error, 1)
	go func() {
		_, err := conn.Exec(w.t.Context(), "SELECT pg_sleep(60)")
		result <- err
	}()
	w.eventually("the statement is cancelled", func() bool {
		cancel()
		select {
		case err := <-result:
			var pgErr *pgconn.PgError
			if !errors.As(err, &pgErr) || pgErr.Code != "57014" {
				w.t.Errorf("error %v, want 57014", err)
			}
			return true
		default:
			return false
		}
	})
}

func TestSecurityGroupsRefuseWithTheRulesThatWereChecked(t *testing.T) {
	w := newWorld(t, Limits{})
	open := w.connect(w.writer())
	w.snapshot.Groups = []aurora.SecurityGroup{{GroupID: "sg-open", VpcID: "vpc-1", Ingress: []aurora.SecurityGroupRule{
		{Protocol: "tcp", FromPort: 5432, ToPort: 5432, CIDR: "10.0.0.0/8"}}}}
	w.apply()
	for name, more := range map[string]string{"TLS": "sslmode=require", "plain": "sslmode=disable"} {
		_, err := w.dial(w.writer(), more)
		for _, text := range []string{
			"no security group rule allows 127.0.0.1 (which counts as 172.31.255.254) to reach port",
			"groups checked: sg-open (tcp 5432 from 10.0.0.0/8)",
		} {
			t.Run(name, func(t *testing.T) { wantRefused(t, err, codeInvalidAuthorization, text) })
		}
	}
	if !strings.Contains(w.log.String(), "sg-open (tcp 5432 from 10.0.0.0/8)") {
		t.Error("the refusal is not in the log")
	}
	w.server(open) // sessions that exist are left alone
	w.cluster().Spec.VpcSecurityGroupIDs = nil
	w.apply()
	_, err := w.dial(w.writer())
	wantRefused(t, err, codeInvalidAuthorization, "the cluster has no security group")
}

func TestReaderEndpointBalancesConnections(t *testing.T) {
	w := newWorld(t, Limits{})
	got := map[string]int{}
	for range 10 {
		got[w.server(w.connect(w.reader()))]++
	}
	if got["r1"] != 5 || got["r2"] != 5 {
		t.Errorf("connections by server: %v", got)
	}
}

func TestReaderEndpointSkipsServersItCannotReachAndFallsBackToTheWriter(t *testing.T) {
	w := newWorld(t, Limits{})
	w.instance("r1").Server.SocketDir = t.TempDir()
	w.apply()
	for range 4 {
		if got := w.server(w.connect(w.reader())); got != "r2" {
			t.Fatalf("leads to %s", got)
		}
	}
	w.instance("r2").Server.SocketDir = t.TempDir()
	w.apply()
	if got := w.server(w.connect(w.reader())); got != "w1" {
		t.Errorf("leads to %s", got)
	}
	w.snapshot.Instances = w.snapshot.Instances[:1]
	w.apply()
	if got := w.server(w.connect(w.reader())); got != "w1" {
		t.Errorf("without readers it leads to %s", got)
	}
}

func TestConnectionsAreHeldUntilThereIsAWriter(t *testing.T) {
	w := newWorld(t, Limits{})
	w.instance("w1").Server.Phase = aurora.PhaseStarting
	w.apply()
	type outcome struct {
		server string
		err    error
	}
	results := make(chan outcome, 3)
	for range cap(results) {
		go func() {
			conn, err := w.dial(w.writer())
			if err != nil {
				results <- outcome{err: err}
				return
			}
			defer conn.Close(context.Background())
			var name string
			err = conn.QueryRow(context.Background(), "SHOW cluster_name").Scan(&name)
			results <- outcome{name, err}
		}()
	}
	w.eventually("the connections wait", func() bool { return w.gauge("daybreak_endpoint_held") == float64(cap(results)) })
	w.instance("w1").Server.Phase = aurora.PhaseRunning
	w.apply()
	for range cap(results) {
		if got := <-results; got.server != "w1" || got.err != nil {
			t.Errorf("%+v", got)
		}
	}
	if w.gauge("daybreak_endpoint_held") != 0 {
		t.Error("places in the queue are not given back")
	}
}

func TestHeldConnectionsHearAtLastWhatIsGoingOn(t *testing.T) {
	w := newWorld(t, Limits{Hold: 100 * time.Millisecond})
	w.instance("w1").Server.Phase, w.instance("w1").Server.Message = aurora.PhaseFailed, "disk full"
	w.apply()
	_, err := w.dial(w.writer())
	wantRefused(t, err, codeCannotConnectNow, "DB instance w1 is failed: disk full (waited 100ms)")
	w.snapshot.Instances = nil
	w.apply()
	_, err = w.dial(w.writer())
	wantRefused(t, err, codeCannotConnectNow, "DB cluster demo has no DB instance")
}

func TestTheQueueOfHeldConnectionsIsBoundedAndForgetsClientsThatLeave(t *testing.T) {
	w := newWorld(t, Limits{Held: 1})
	w.instance("w1").Server.Phase = aurora.PhaseStarting
	w.apply()
	c, err := net.Dial("tcp", hostPort(w.writer()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(startupPacket(version30, "user\x00"+masterName+"\x00\x00")); err != nil {
		t.Fatal(err)
	}
	w.eventually("the connection waits", func() bool { return w.gauge("daybreak_endpoint_held") == 1 })
	_, err = w.dial(w.writer())
	wantRefused(t, err, codeCannotConnectNow, "1 connections wait already")
	_ = c.Close()
	w.eventually("the client that left is forgotten", func() bool { return w.gauge("daybreak_endpoint_held") == 0 })
}

func TestServersThatCannotTakeConnectionsNowAreSkipped(t *testing.T) {
	starting := (&refusal{codeCannotConnectNow, "the database system is starting up", ""}).encode()
	for name, answer := range map[string]func(net.Conn){
		"frozen":            func(net.Conn) {},
		"starting up":       func(c net.Conn) { _, _ = c.Write(starting) },
		"dying":             func(c net.Conn) { _ = c.Close() },
		"not a PostgreSQL":  func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) },
		"half of an answer": func(c net.Conn) { _, _ = c.Write(starting[:9]); _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Limits{Answer: time.Second})
			w.instance("r1").Server.SocketDir = fakeServer(t, answer)
			w.apply()
			for range 2 {
				if got := w.server(w.connect(w.reader())); got != "r2" {
					t.Errorf("leads to %s", got)
				}
			}
		})
	}
}

// TestConnectionDoesNotWaitForAServerThatHasBeenReplaced: the writer's disk hangs, and
// with it what a session begins with.
func TestConnectionDoesNotWaitForAServerThatHasBeenReplaced(t *testing.T) {
	w := newWorld(t, Limits{Answer: time.Hour})
	asked := make(chan struct{}, 10)
	working := w.instance("w1").Server.SocketDir
	w.instance("w1").Server.SocketDir = fakeServer(t, func(net.Conn) { asked <- struct{}{} })
	w.apply()
	connected := make(chan string, 1)
	go func() { connected <- w.server(w.connect(w.writer())) }()
	<-asked
	w.instance("w1").Server.SocketDir = working
	w.apply()
	if got := <-connected; got != "w1" {
		t.Errorf("leads to %s", got)
	}
}

// fakeServer answers connections at a socket in the directory it returns.
func fakeServer(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fake")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", dir+"/"+socketName)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			answer(c)
		}
	}()
	return dir
}

func TestTooManyConnections(t *testing.T) {
	w := newWorld(t, Limits{Sessions: 1})
	w.connect(w.writer())
	_, err := w.dial(w.writer())
	wantRefused(t, err, codeTooManyConnections, "too many connections")
}

func TestSilentClientsAreDroppedAndTakeNoPlaceFromOthers(t *testing.T) {
	w := newWorld(t, Limits{Startup: 200 * time.Millisecond, Handshakes: 2})
	var silent []net.Conn
	for range 4 {
		c, err := net.Dial("tcp", hostPort(w.writer()))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	w.connect(w.writer())
	for _, c := range silent {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("still connected: %v", err)
		}
	}
}

func TestAddressInUseIsReportedAndTakenWhenItIsFree(t *testing.T) {
	w := newWorld(t, Limits{})
	at := freeAddress(t)
	l, err := net.Listen("tcp", hostPort(at))
	if err != nil {
		t.Fatal(err)
	}
	w.cluster().Status.WriterEndpoint = at
	w.apply()
	problem := func() string {
		for _, l := range w.proxy.Listeners() {
			if l.Address == hostPort(at) {
				return l.Problem
			}
		}
		return "not there"
	}
	w.eventually("the problem is reported", func() bool { return strings.Contains(problem(), "address already in use") })
	_ = l.Close()
	w.eventually("the address is taken", func() bool { return problem() == "" })
	w.connect(at)
}

func TestEndpointsThatAreGoneAreNotListenedAt(t *testing.T) {
	w := newWorld(t, Limits{})
	at := w.instance("r2").Status.Endpoint
	w.instance("r2").DeleteRequested = true
	w.apply()
	w.eventually("the address is closed", func() bool {
		c, err := net.Dial("tcp", hostPort(at))
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
}

// gauge and count read metrics.
func (w *world) gauge(name string) float64 { return w.count(name, "") }

func (w *world) count(name, label string) float64 {
	w.t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
