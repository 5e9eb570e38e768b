package postgres

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/daybreakdb/daybreak/internal/dataplane/contain"
)

const (
	noFile      = "58P01"
	notRun      = "53200" // popen finds no shell, and does not say so
	noConnect   = "08001"
	notLoadable = "58P01"
)

// TestInvariant11SuperuserReachesNothingElse is about a tenant who has become a
// superuser by a hole in PostgreSQL: what it can do then is to use its own cluster.
func TestInvariant11SuperuserReachesNothingElse(t *testing.T) {
	dir := workDir(t)
	s, _ := newPrimary(t, filepath.Join(dir, "a"))
	other, _ := newPrimary(t, filepath.Join(dir, "b"))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	outside := filepath.Join(dir, "outside")
	if err := os.WriteFile(outside, []byte("secret"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(outside, 0o666); err != nil {
		t.Fatal(err)
	}
	admin, err := s.Connect(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.WithoutCancel(t.Context())) }()
	for _, sql := range []string{`CREATE EXTENSION dblink SCHEMA public`, `CREATE TABLE public.x (x text)`} {
		mustExec(t, admin, sql)
	}
	namespaces := contain.Look().Namespaces == nil
	for name, way := range map[string]struct {
		sql        string
		code       string // as root
		ofOrdinary string // as an ordinary user, when it differs
	}{
		"a program":                 {`COPY (SELECT 1) TO PROGRAM 'touch ` + outside + `2'`, notRun, ""},
		"a program without a shell": {`COPY public.x FROM PROGRAM '/usr/bin/id'`, notRun, ""},
		"a file that all may read":  {`SELECT pg_catalog.pg_read_file('` + outside + `')`, noFile, denied},
		"a file that all may write": {`COPY (SELECT 1) TO '` + outside + `'`, denied, denied},
		"another tenant's password": {`SELECT pg_catalog.pg_read_file('` + other.passfile() + `')`, noFile, denied},
		"another tenant's data":     {`SELECT pg_catalog.pg_ls_dir('` + other.dataDir() + `')`, noFile, denied},
		"our environment":           {`SELECT pg_catalog.pg_read_file('/proc/1/environ')`, noFile, denied},
		"the host's files":          {`SELECT pg_catalog.pg_ls_dir('/etc/apt')`, noFile, denied},
		"its own configuration":     {`COPY (SELECT 1) TO '` + s.configFile() + `'`, denied, denied},
		"its own access rules":      {`COPY (SELECT 1) TO '` + s.hbaFile() + `'`, denied, denied},
		"PostgreSQL's libraries":    {`COPY (SELECT 1) TO '` + s.Installation.LibDir + `/evil.so'`, denied, denied},
		"a connection by TCP":       {`SELECT public.dblink_connect('host=127.0.0.1 port=` + port + `')`, noConnect, ""},
		"another tenant's server": {`SELECT public.dblink_connect('host=` + other.SocketDir + ` user=rdsadmin password=x')`,
			noConnect, ""},
	} {
		want := way.code
		if !namespaces && way.ofOrdinary != "" {
			want = way.ofOrdinary
		}
		_, err := admin.Exec(testContext(t), way.sql)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != want {
			t.Errorf("%s: %v, want SQLSTATE %s", name, err, want)
		}
		if name == "another tenant's server" && namespaces && !strings.Contains(refused.Detail, "No such file") {
			t.Errorf("another tenant's server was there: %v", err)
		}
	}
	if content, err := os.ReadFile(outside); err != nil || string(content) != "secret" {
		t.Errorf("the file outside: %q, %v", content, err)
	}
	if _, err := os.Stat(outside + "2"); err == nil {
		t.Error("a program ran")
	}
	if !namespaces {
		return
	}
	// A library that the server has written itself is not loaded.
	mustExec(t, admin, `SELECT pg_catalog.lo_from_bytea(424242, pg_catalog.pg_read_binary_file('`+filepath.Join(s.Installation.LibDir, "pgcrypto.so")+`'))`)
	mustExec(t, admin, `SELECT pg_catalog.lo_export(424242, 'evil.so')`)
	_, err = admin.Exec(testContext(t), `LOAD '`+filepath.Join(s.dataDir(), "evil.so")+`'`)
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != notLoadable && refused.Code != "XX000" {
		t.Errorf("a library of its own: %v", err)
	}
}
