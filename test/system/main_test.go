// Package system tests the whole product as its users meet it: the daybreak
// binary, real PostgreSQL, real Terraform. It knows only commands, addresses and
// SQL.
package system

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// binary is built once for all tests.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "daybreak-bin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// An ordinary user must be able to run it too.
	_ = os.Chmod(dir, 0o755)
	binary = filepath.Join(dir, "daybreak")
	out, err := exec.Command("go", "build", "-o", binary, "../../cmd/daybreak").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// installation is a server of its own: data directory, addresses, user.
type installation struct {
	t    testing.TB
	dir  string
	env  []string
	user uint32 // runs the commands when not 0
}

const password = "correct-horse-9"

// newInstallation starts a server, and stops it after the test.
func newInstallation(t testing.TB, user uint32) *installation {
	t.Helper()
	dir, err := os.MkdirTemp("", "dbk")
	if err != nil {
		t.Fatal(err)
	}
	if user != 0 {
		if err := os.Chown(dir, int(user), int(user)); err != nil {
			t.Fatal(err)
		}
	}
	in := &installation{t: t, dir: dir, user: user, env: []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + dir,
		"DAYBREAK_DATA_DIR=" + filepath.Join(dir, "data"),
		"DAYBREAK_REGION_ADDR=" + freeAddr(t),
		"DAYBREAK_PLATFORM_ADDR=" + freeAddr(t),
	}}
	if tools := os.Getenv("DAYBREAK_TOOLS"); tools != "" {
		in.env = append(in.env, "DAYBREAK_TOOLS="+tools)
	}
	t.Cleanup(func() {
		if t.Failed() {
			in.showLogs()
		}
		in.try("server", "stop")
		_ = os.RemoveAll(dir)
	})
	in.run("server", "start")
	return in
}

func freeAddr(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (in *installation) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Env, cmd.Dir = in.env, in.dir
	if in.user != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: in.user, Gid: in.user}}
	}
	return cmd
}

// try runs a command and returns what it wrote.
func (in *installation) try(args ...string) (stdout, stderr string, err error) {
	cmd := in.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// run is try for a command that must work.
func (in *installation) run(args ...string) string {
	in.t.Helper()
	stdout, stderr, err := in.try(args...)
	if err != nil {
		in.t.Fatalf("daybreak %s: %v\n%s%s", strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout
}

// json runs a command with --output json.
func (in *installation) json(value any, args ...string) {
	in.t.Helper()
	out := in.run(append(args, "--output", "json")...)
	if err := json.Unmarshal([]byte(out), value); err != nil {
		in.t.Fatalf("daybreak %s: %v in %s", strings.Join(args, " "), err, out)
	}
}

// write makes a file that the installation's user can read.
func (in *installation) write(name, content string) string {
	in.t.Helper()
	path := filepath.Join(in.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		in.t.Fatal(err)
	}
	return path
}

// plan copies the shipped service plan to where the installation's user can
// read it.
func (in *installation) plan() string {
	in.t.Helper()
	dst := filepath.Join(in.dir, "checkout", "paas")
	if err := os.CopyFS(dst, os.DirFS("../../paas")); err != nil {
		in.t.Fatal(err)
	}
	return dst
}

// processes returns the process ids of the installation's processes by name.
func (in *installation) processes() map[string]int {
	in.t.Helper()
	var status struct {
		Processes []struct {
			Name string
			PID  int
		}
	}
	in.json(&status, "server", "status")
	pids := map[string]int{}
	for _, p := range status.Processes {
		pids[p.Name] = p.PID
	}
	return pids
}

// postmasters returns the process ids of the installation's PostgreSQL servers.
func (in *installation) postmasters() []int {
	files, _ := filepath.Glob(filepath.Join(in.dir, "data", "zones", "*", "*", "*", "data", "postmaster.pid"))
	var pids []int
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if pid, err := strconv.Atoi(strings.SplitN(string(data), "\n", 2)[0]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (in *installation) showLogs() {
	files, _ := filepath.Glob(filepath.Join(in.dir, "data", "log", "*.log"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(data)), "\n")
		in.t.Logf("%s:\n%s", filepath.Base(file), strings.Join(lines[max(0, len(lines)-25):], "\n"))
	}
}

// deployment is the JSON of up and describe, as far as it is promised.
type deployment struct {
	Status    string
	Changed   bool
	Outputs   map[string]any
	Endpoints struct{ Writer, Reader endpoint }
}

type endpoint struct {
	Host string
	Port int
}

// connect opens a session, with the certificate checked.
func (in *installation) connect(e endpoint, user, database string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	dsn := fmt.Sprintf("host=%s port=%d user=%s dbname=%s password=%s sslmode=verify-full sslrootcert=%s connect_timeout=15",
		e.Host, e.Port, user, database, password, filepath.Join(in.dir, "data", "ca.pem"))
	return pgx.Connect(ctx, dsn)
}

// query runs one statement in a session of its own and returns its one value.
func (in *installation) query(e endpoint, sql string) (string, error) {
	conn, err := in.connect(e, "postgres", "postgres")
	if err != nil {
		return "", err
	}
	defer conn.Close(context.Background())
	var value string
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	err = conn.QueryRow(ctx, sql).Scan(&value)
	return value, err
}

// exec runs one statement that must work.
func (in *installation) exec(e endpoint, sql string) {
	in.t.Helper()
	conn, err := in.connect(e, "postgres", "postgres")
	if err != nil {
		in.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), sql); err != nil {
		in.t.Fatalf("%s: %v", sql, err)
	}
}

// eventually waits until fact holds, and fails the test with its last error.
func eventually(t testing.TB, limit time.Duration, what string, fact func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := fact()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s: %v", limit, what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// is is a fact: the query's value.
func (in *installation) is(e endpoint, sql, want string) func() error {
	return func() error {
		got, err := in.query(e, sql)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s gives %s, want %s", sql, got, want)
		}
		return nil
	}
}
