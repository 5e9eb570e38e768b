package postgres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWhyAServerEndedIsFoundInItsLog(t *testing.T) {
	line := func(pid int, text string) string {
		return fmt.Sprintf("2026-01-02 03:04:05 UTC::@:[%d]:%s\n", pid, text)
	}
	begun := line(1, "LOG:  starting PostgreSQL 15.18")
	exited := line(1, "LOG:  startup process (PID 2) exited with exit code 1") + line(1, "LOG:  aborting startup due to startup process failure")
	aborted := line(1, "LOG:  startup process (PID 2) was terminated by signal 6: Aborted")
	for name, c := range map[string]struct{ early, late, want string }{
		"no checkpoint":          {"", begun + line(2, "PANIC:  could not locate a valid checkpoint record") + aborted, "could not locate a valid checkpoint record"},
		"wrong timeline":         {"", begun + line(2, "FATAL:  requested timeline 3 is not a child of this server's history") + exited, "requested timeline 3 is not a child of this server's history"},
		"a crash":                {"", begun + line(1, "LOG:  startup process (PID 2) was terminated by signal 11: Segmentation fault"), "startup process (PID 2) was terminated by signal 11: Segmentation fault"},
		"before its log":         {line(1, "FATAL:  database files are incompatible with server"), "", "database files are incompatible with server"},
		"full disk":              {"", begun + line(2, `FATAL:  could not extend file "base/5/1": No space left on device`) + exited, ""},
		"full disk, in a hint":   {"", begun + line(2, `LOG:  could not write: No space left on device`) + line(2, "PANIC:  could not go on") + aborted, ""},
		"no permission":          {"", begun + line(2, `FATAL:  could not open file "global/1260": Permission denied`) + exited, ""},
		"killed":                 {"", begun + line(1, "LOG:  startup process (PID 2) was terminated by signal 9: Killed"), ""},
		"the postmaster killed":  {"", begun, ""},
		"told to stop":           {"", begun + line(1, "LOG:  received fast shutdown request") + exited, ""},
		"a library is missing":   {line(1, `FATAL:  could not access file "nosuch": No such file or directory`), "", ""},
		"its feed is away":       {"", begun + line(3, "FATAL:  could not connect to the primary server"), ""},
		"what a client provokes": {"", begun + "2026-01-02 03:04:05 UTC:[local]:a@b:[2]:FATAL:  the database system is starting up\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := failure(c.early, c.late); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	secret := begun + "2026-01-02 03:04:05 UTC:[local]:a@b:[7]:STATEMENT:  ALTER ROLE a\n\tPASSWORD 'secret'\n" + exited
	if own := ownLines(secret); strings.Contains(own, "ALTER") || strings.Contains(own, "secret") || !strings.Contains(own, "startup process failure") {
		t.Errorf("of the log is told: %s", own)
	}
}

// TestDamagedDataIsWhyAServerCannotStart damages the data of a real server.
func TestDamagedDataIsWhyAServerCannotStart(t *testing.T) {
	zero := func(name string, from, to int64) error {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(make([]byte, to-from), from)
		return errors.Join(err, f.Close())
	}
	segment := func(t *testing.T, s Server) string {
		control, err := s.ControlData(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		n := uint64(control.CheckpointLSN) / segmentBytes
		return filepath.Join(s.dataDir(), "pg_wal", fmt.Sprintf("%08X%08X%08X", control.Timeline, n/256, n%256))
	}
	for name, damage := range map[string]func(t *testing.T, s Server) error{
		"pg_control is zero": func(_ *testing.T, s Server) error {
			return zero(filepath.Join(s.dataDir(), "global", "pg_control"), 0, 8192)
		},
		"pg_control is short": func(_ *testing.T, s Server) error {
			return os.Truncate(filepath.Join(s.dataDir(), "global", "pg_control"), 100)
		},
		"pg_control is gone": func(_ *testing.T, s Server) error {
			return os.Remove(filepath.Join(s.dataDir(), "global", "pg_control"))
		},
		"the checkpoint's record is": func(t *testing.T, s Server) error { return zero(segment(t, s), 0, segmentBytes) },
		"a directory is gone":        func(_ *testing.T, s Server) error { return os.RemoveAll(filepath.Join(s.dataDir(), "pg_multixact")) },
	} {
		t.Run(name, func(t *testing.T) {
			s, p := newPrimary(t, workDir(t))
			if err := p.Stop(testContext(t), StopKill, 10*time.Second); err != nil {
				t.Fatal(err)
			}
			if err := damage(t, s); err != nil {
				t.Fatal(err)
			}
			_, err := s.ControlData(testContext(t))
			if err == nil {
				if p, err = s.Start(testContext(t), nil); err != nil {
					t.Fatal(err)
				}
				err = p.Ready(testContext(t))
			}
			var failed *StartError
			if !errors.As(err, &failed) || failed.Reason == "" {
				t.Fatalf("%v", err)
			}
			t.Log(failed.Reason)
		})
	}
}

func TestDataIsKeptAsideUntilAServerServesInItsPlace(t *testing.T) {
	s, p := newPrimary(t, workDir(t))
	ctx := testContext(t)
	if err := p.Stop(ctx, StopFast, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	was, err := s.ControlData(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetAside(ctx); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first one that was built is no good either
		if err := s.Init(ctx, options()); err != nil {
			t.Fatal(err)
		}
		if err := s.SetAside(ctx); err != nil {
			t.Fatal(err)
		}
		if has, err := s.HasData(); has || err != nil {
			t.Fatalf("%v, %v", has, err)
		}
		kept := s
		if err := os.Rename(s.asideDir(), s.dataDir()); err != nil {
			t.Fatal(err)
		}
		if now, err := kept.ControlData(ctx); err != nil || now.SystemIdentifier != was.SystemIdentifier {
			t.Fatalf("%v, %v: another directory is kept", now.SystemIdentifier, err)
		}
		if err := s.SetAside(ctx); err != nil {
			t.Fatal(err)
		}
	}
	rest, err := s.ForgetAside()
	if err != nil || rest == "" {
		t.Fatal(rest, err)
	}
	if kept, err := exists(s.asideDir()); kept || err != nil {
		t.Fatal(kept, err)
	}
	if rest, err := s.ForgetAside(); rest != "" || err != nil {
		t.Fatal(rest, err)
	}
}
