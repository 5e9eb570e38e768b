package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/daybreakdb/daybreak/test/workdir"
)

const (
	testUID        = 60417
	masterName     = "app_owner"
	masterPassword = "correct horse"
	tenantDatabase = "demo"
	testMemory     = 256 * mB
)

// testContext ends a test that hangs.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func installation(t testing.TB) Installation {
	t.Helper()
	found, err := Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// workDir is a directory that every user id can pass through, short enough for
// sockets.
func workDir(t testing.TB) string {
	t.Helper()
	return workdir.New(t, "pg")
}

// newServer names a server that is removed at the end of the test. As root it
// has a user id without a name, else it is the caller's.
func newServer(t testing.TB, dir, name string) Server {
	t.Helper()
	s := Server{
		Installation: installation(t), Name: name,
		Dir: filepath.Join(dir, name), SocketDir: filepath.Join(dir, "run", name),
		Reach:               []string{filepath.Join(dir, "run")},
		AdminPassword:       "admin:\\' 0123456789012345678901234567",
		ReplicationPassword: "repl:\\' 01234567890123456789012345678",
	}
	if os.Geteuid() == 0 {
		s.UID = testUID
	}
	if err := os.MkdirAll(filepath.Join(dir, "run"), 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
		defer cancel()
		if t.Failed() {
			early, late := s.lastRun()
			t.Logf("%s wrote:\n%s%s", name, early, late)
		}
		if err := s.Remove(ctx); err != nil {
			t.Errorf("remove %s: %v", name, err)
		}
	})
	return s
}

func options() InitOptions {
	return InitOptions{Master: Master{Name: masterName, Verifier: verifier(masterPassword)}, Database: tenantDatabase}
}

// newPrimary is a server that runs and answers.
func newPrimary(t testing.TB, dir string) (Server, *Process) {
	t.Helper()
	s := newServer(t, dir, "primary")
	if err := s.Init(testContext(t), options()); err != nil {
		t.Fatal(err)
	}
	return s, start(t, s, Config{Memory: testMemory})
}

func start(t testing.TB, s Server, c Config) *Process {
	t.Helper()
	ctx := testContext(t)
	if _, err := s.Configure(ctx, c); err != nil {
		t.Fatal(err)
	}
	p, err := s.Start(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return p
}

// dial connects as the endpoint does for a tenant.
func dial(ctx context.Context, s Server, user, password, database string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig("sslmode=disable")
	if err != nil {
		return nil, err
	}
	config.Host, config.Port, config.TLSConfig = s.SocketDir, Port, nil
	config.User, config.Password, config.Database = user, password, database
	return pgx.ConnectConfig(ctx, config)
}

func connect(t *testing.T, s Server, user, password, database string) *pgx.Conn {
	t.Helper()
	conn, err := dial(testContext(t), s, user, password, database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func master(t *testing.T, s Server, database string) *pgx.Conn {
	t.Helper()
	return connect(t, s, masterName, masterPassword, database)
}

func mustExec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(testContext(t), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func value[T any](t *testing.T, conn *pgx.Conn, sql string) (v T) {
	t.Helper()
	if err := conn.QueryRow(testContext(t), sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// eventually waits for a named fact.
func eventually(t *testing.T, fact string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", fact)
		}
		time.Sleep(pollInterval)
	}
}

func verifier(password string) string {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
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

func contains(t *testing.T, what, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%s: %q does not contain %q", what, text, part)
	}
}
