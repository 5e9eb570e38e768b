package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

const goodToken = "127.42.0.1:5432/?Action=connect&X-Amz-Signature=good"

// newTokenWorld has a role in rds_iam, which has a password too, and takes goodToken.
func newTokenWorld(t *testing.T, user string) (*world, *[]Login) {
	w := newWorld(t, Limits{})
	var logins []Login
	w.proxy.config.CheckToken = func(_ context.Context, l Login) error {
		logins = append(logins, l)
		if l.Token != goodToken {
			return errors.New("it is not the good one")
		}
		return nil
	}
	w.cluster().Spec.IAMDatabaseAuth = true
	w.apply()
	admin := w.connect(w.writer())
	w.exec(admin, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD 'its password'", user))
	w.exec(admin, "GRANT rds_iam TO "+user)
	t.Cleanup(func() { _, _ = admin.Exec(context.Background(), "DROP ROLE "+user) })
	return w, &logins
}

// as connects as a user with a password, which may be a token.
func (w *world) as(at aurora.Address, user, password, mode string) (whoami string, err error) {
	config, err := pgconn.ParseConfig(fmt.Sprintf("host=%s port=%d user=%s dbname=postgres connect_timeout=20 sslmode=%s sslrootcert=%s", at.Host, at.Port, user, mode, w.caFile))
	if err != nil {
		return "", err
	}
	config.Password = password
	conn, err := pgconn.ConnectConfig(w.t.Context(), config)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(w.t.Context()) }()
	results, err := conn.Exec(w.t.Context(), "SELECT session_user").ReadAll()
	if err != nil {
		return "", err
	}
	return string(results[0].Rows[0][0]), nil
}

func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestMembersOfRdsIamLogInWithATokenAndNothingElse(t *testing.T) {
	w, logins := newTokenWorld(t, "iam_app")
	for _, at := range []aurora.Address{w.writer(), w.reader()} {
		w.eventually("the role is known there", func() bool { // a reader replays
			who, err := w.as(at, "iam_app", goodToken, "verify-full")
			return err == nil && who == "iam_app"
		})
		l := (*logins)[len(*logins)-1]
		if l.User != "iam_app" || l.Cluster.ResourceID != w.cluster().ResourceID || !l.Client.IsValid() ||
			!slices.Contains(l.Hosts, net.JoinHostPort(at.Host, strconv.Itoa(at.Port))) {
			t.Errorf("asked about %+v", l)
		}
	}
	for name, password := range map[string]string{"its password": "its password", "a bad token": goodToken + "x", "nothing": " "} {
		if _, err := w.as(w.writer(), "iam_app", password, "verify-full"); code(err) != codeInvalidAuthorization || !strings.Contains(err.Error(), "PAM authentication failed") {
			t.Errorf("with %s: %v", name, err)
		}
	}
	if _, err := w.as(w.writer(), "iam_app", goodToken, "disable"); code(err) != codeInvalidAuthorization || !strings.Contains(err.Error(), "no encryption") {
		t.Errorf("without TLS: %v", err)
	}
	if _, err := w.as(w.writer(), masterName, goodToken, "verify-full"); code(err) != codeWrongPassword {
		t.Errorf("a token of another role: %v", err)
	}
	w.cluster().Spec.IAMDatabaseAuth = false
	w.apply()
	if _, err := w.as(w.writer(), "iam_app", goodToken, "verify-full"); code(err) != codeInvalidAuthorization {
		t.Errorf("while it is not enabled: %v", err)
	}
}

func TestAServerTrustsNobodyElse(t *testing.T) {
	w, _ := newTokenWorld(t, "iam_other")
	admin := w.connect(w.writer())
	w.exec(admin, "GRANT rds_iam TO rds_superuser") // the master user with it
	t.Cleanup(func() { _, _ = admin.Exec(context.Background(), "REVOKE rds_iam FROM rds_superuser") })
	for _, internal := range []string{"rdsadmin", "rdsrepladmin"} {
		if _, err := w.as(w.writer(), internal, goodToken, "verify-full"); code(err) != codeInvalidAuthorization {
			t.Errorf("%s: %v", internal, err)
		}
		config, err := pgconn.ParseConfig("sslmode=disable dbname=postgres user=" + internal)
		if err != nil {
			t.Fatal(err)
		}
		config.Host, config.Port = shared.all["w1"].SocketDir, 5432
		if _, err := pgconn.ConnectConfig(t.Context(), config); err == nil {
			t.Errorf("%s got in without a password", internal)
		}
	}
	if _, err := w.as(w.writer(), masterName, masterPassword, "verify-full"); code(err) != codeInvalidAuthorization {
		t.Errorf("a member of rds_iam with its password: %v", err)
	}
}

func TestGuessingIsSlowed(t *testing.T) {
	now := time.Now()
	g := guard{seen: map[attempt]*failures{}}
	from := netip.MustParseAddr("10.0.0.1")
	a := attempt{from, "cluster-a", "app"}
	for range freeFailures {
		if d, ok := g.delay(a, now); d != 0 || !ok {
			t.Fatalf("slowed by %v after few failures", d)
		}
		g.failed(a, now)
	}
	// Connections at the same time wait one after the other, and not all of them may.
	last, refused := time.Duration(0), false
	for range 1000 {
		g.failed(a, now)
		d, ok := g.delay(a, now)
		if !ok {
			refused = true
			break
		}
		if d <= last {
			t.Fatalf("waits %v after one that waits %v", d, last)
		}
		last = d
	}
	if !refused {
		t.Error("any number of guesses may wait")
	}
	for name, other := range map[string]attempt{
		"another address": {netip.MustParseAddr("10.0.0.2"), "cluster-a", "app"},
		"another cluster": {from, "cluster-b", "app"},
	} {
		if d, ok := g.delay(other, now); d != 0 || !ok {
			t.Errorf("%s waits %v", name, d)
		}
	}
	if d, ok := g.delay(a, now.Add(forgetAfter+time.Second)); d != 0 || !ok {
		t.Errorf("waits %v when all is long ago", d)
	}
	g.succeeded(a)
	g.seen[attempt{from: from, cluster: "cluster-a"}].count = 1
	if d, ok := g.delay(a, now); d != 0 || !ok {
		t.Errorf("waits %v after a success", d)
	}
	for i := range freeUserFailures {
		g.failed(attempt{from, "cluster-c", fmt.Sprint("user", i)}, now)
	}
	if d, _ := g.delay(attempt{from, "cluster-c", "new"}, now); d == 0 {
		t.Error("who guesses users is not slowed")
	}
}

func TestTheGuardRemembersABoundedNumber(t *testing.T) {
	g := guard{seen: map[attempt]*failures{}}
	for i := range mostRemembered + 10 {
		g.failed(attempt{netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), "c", "u"}, time.Now())
	}
	if len(g.seen) > mostRemembered {
		t.Errorf("remembers %d", len(g.seen))
	}
}

func TestWrongPasswordsAreSlowed(t *testing.T) {
	w := newWorld(t, Limits{})
	began := time.Now()
	for range freeFailures + 3 {
		if _, err := w.as(w.writer(), "nobody_at_all", "wrong", "verify-full"); code(err) != codeWrongPassword {
			t.Fatalf("a wrong password: %v", err)
		}
	}
	if took := time.Since(began); took < firstDelay+2*firstDelay {
		t.Errorf("%d guesses took %v only", freeFailures+3, took)
	}
	if _, err := w.as(w.writer(), masterName, masterPassword, "verify-full"); err != nil {
		t.Errorf("another user: %v", err)
	}
}
