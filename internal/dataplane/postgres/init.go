package postgres

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// Master is the tenant's first user.
type Master struct {
	Name     string
	Verifier string // SCRAM-SHA-256$…, never a plaintext
}

// InitOptions say what a new PostgreSQL database cluster holds.
type InitOptions struct {
	Master   Master
	Database string // owned by the master user, beside "postgres"; may be empty
}

// Init fills an empty directory. It does nothing when a complete data directory
// is there, and starts again from nothing when a half-built one is.
//
// Text is UTF-8. Strings sort by code point (C), which is fast and, unlike a
// locale of the C library, never changes under an index; letters are classified
// and folded by Unicode (C.UTF-8), which every glibc has without a locale package.
func (s Server) Init(ctx context.Context, o InitOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	uid, err := s.initdbUID()
	if err != nil {
		return err
	}
	return s.build(uid, func(dir string) error {
		_, err := s.run(ctx, uid, s.Dir, nil, "initdb", "--pgdata="+dir,
			"--data-checksums", "--encoding=UTF8", "--lc-collate=C", "--lc-ctype=C.UTF-8",
			"--username="+AdminRole, "--auth=reject", "--no-sync", "--no-instructions")
		if err != nil {
			return err
		}
		if err := s.single(ctx, uid, dir, "template1", s.clusterSQL(o)); err != nil {
			return err
		}
		for _, database := range []string{"template0", "postgres"} {
			if err := s.single(ctx, uid, dir, database, functionsSQL()); err != nil {
				return err
			}
		}
		return nil
	})
}

// single runs statements in single-user mode, to the end or not at all: the
// first error ends it. They come by stdin and are not logged, for some hold a
// password. Nothing is synced here; build does that.
func (s Server) single(ctx context.Context, uid int, dir, database string, statements []string) error {
	input := strings.Join(statements, ";\n\n") + ";\n\n"
	_, err := s.run(ctx, uid, dir, strings.NewReader(input), "postgres", "--single", "-j", "-D", dir,
		"-c", "exit_on_error=on", "-c", "log_min_error_statement=panic", "-c", "log_checkpoints=off",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=16MB", "-c", "search_path=", database)
	return err
}

func (o InitOptions) check() error {
	if err := o.Master.check(); err != nil {
		return err
	}
	switch o.Database {
	case "", "postgres":
		return nil
	case AdminDatabase, "template0", "template1":
		return fmt.Errorf("database name %q is reserved", o.Database)
	}
	return checkName("database name", o.Database)
}

func (m Master) check() error {
	if err := checkName("master user name", m.Name); err != nil {
		return err
	}
	lower := strings.ToLower(m.Name)
	if strings.HasPrefix(lower, "pg_") || strings.HasPrefix(lower, "rds_") ||
		lower == AdminRole || lower == ReplicationRole || lower == "public" || lower == "none" {
		return fmt.Errorf("master user name %q is reserved", m.Name)
	}
	if !regexp.MustCompile(`^SCRAM-SHA-256\$[0-9]{1,9}:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]{44}:[A-Za-z0-9+/=]{44}$`).MatchString(m.Verifier) {
		return fmt.Errorf("password of %q is not a SCRAM-SHA-256 verifier", m.Name)
	}
	return nil
}

func checkName(what, name string) error {
	if name == "" || len(name) > 63 || hasControl(name) {
		return fmt.Errorf("%s %q: 1 to 63 bytes without control characters", what, name)
	}
	return nil
}
