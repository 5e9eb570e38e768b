package postgres

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestVersionIsRead(t *testing.T) {
	for out, want := range map[string]string{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": "15.18",
		"postgres (PostgreSQL) 15.4\n":                           "15.4",
		"postgres (EnterpriseDB) 15.4\n":                         "",
	} {
		if got, err := parseVersion(out); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is version %q, %v", out, got, err)
		}
	}
}

func FuzzControlData(f *testing.F) {
	f.Add("Database system identifier:           7396\nDatabase cluster state:               shut down\n" +
		"Latest checkpoint location:           0/3000060\nmax_locks_per_xact setting:           64\n")
	f.Fuzz(func(t *testing.T, out string) {
		c, err := parseControlData(out)
		if err == nil && (c.SystemIdentifier == "" || c.State == "") {
			t.Errorf("%q was taken for control data: %+v", out, c)
		}
	})
}

func FuzzLock(f *testing.F) {
	f.Add("4711\n/data\n1700000000\n5432\n/run\n\n 4325377 7\nready   \n")
	f.Add("-4711\n/data\n")
	f.Fuzz(func(t *testing.T, content string) {
		if l, err := parseLock(content); err == nil && l.pid <= 0 {
			t.Errorf("%q has pid %d", content, l.pid)
		}
	})
}

func FuzzLSN(f *testing.F) {
	f.Add("0/3000060")
	f.Add("FFFFFFFF/FFFFFFFF")
	f.Fuzz(func(t *testing.T, text string) {
		lsn, err := ParseLSN(text)
		if err != nil {
			return
		}
		if again, err := ParseLSN(lsn.String()); err != nil || again != lsn {
			t.Errorf("%q is %v, which is read as %v, %v", text, lsn, again, err)
		}
	})
}

// A value must come out of a connection string as it went in, and take nothing
// along.
func FuzzConninfo(f *testing.F) {
	f.Add(`/run/it's \ here`, `x' host='evil`)
	f.Fuzz(func(t *testing.T, dir, slot string) {
		if hasControl(dir) || !strings.HasPrefix(dir, "/") {
			return
		}
		s := Server{Name: "standby", Dir: dir}
		config, err := pgconn.ParseConfig(s.conninfo(Upstream{SocketDir: dir, Slot: slot}))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(dir, ",") {
			return // several hosts
		}
		if config.Host != dir || config.User != ReplicationRole || len(config.Fallbacks) != 0 {
			t.Errorf("%q became host %q, user %q", dir, config.Host, config.User)
		}
	})
}

// What is written into postgresql.conf is one line of one setting, which ends
// where it should (guc-file.l: strings end at a lone quote).
func FuzzSettingStaysInItsQuotes(f *testing.F) {
	f.Add(`it's \' all`)
	f.Fuzz(func(t *testing.T, value string) {
		if hasControl(value) {
			return
		}
		quoted := quoteSetting(value)
		var read strings.Builder
		rest := quoted[1:]
		for rest != "'" {
			switch {
			case rest == "":
				t.Fatalf("%q is not closed", quoted)
			case strings.HasPrefix(rest, "''"), strings.HasPrefix(rest, `\\`):
				read.WriteByte(rest[0])
				rest = rest[2:]
			case rest[0] == '\'', rest[0] == '\\':
				t.Fatalf("%q ends early", quoted)
			default:
				read.WriteByte(rest[0])
				rest = rest[1:]
			}
		}
		if read.String() != value {
			t.Errorf("%q reads as %q", quoted, read.String())
		}
	})
}

func FuzzSharedMemory(f *testing.F) {
	f.Add([]byte("\x32\x3d\x50\x9a\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, ok := controlHandle(b); ok && len(b) < 28 {
			t.Error("a short header was read")
		}
		if n := len(dynamicHandles(b)); n*controlItem > len(b) {
			t.Errorf("%d handles in %d bytes", n, len(b))
		}
	})
}
