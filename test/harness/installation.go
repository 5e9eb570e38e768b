// Package harness runs installations of the daybreak binary for tests. It knows
// only commands, addresses and SQL.
package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/jackc/pgx/v5"

	"github.com/daybreakdb/daybreak/test/workdir"
)

// root is the checkout, seen from the tests that use this package.
const root = "../.."

// binary is built once for all tests of a package, by Main.
var binary string

// Main runs the tests of a package with a binary of this checkout.
func Main(m *testing.M) int { return build(m.Run) }

// build builds the binary for what runs then.
func build(then func() int) int {
	dir, err := os.MkdirTemp("", "daybreak-bin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// An ordinary user must be able to run it too.
	_ = os.Chmod(dir, 0o755)
	binary = filepath.Join(dir, "daybreak")
	out, err := exec.Command("go", "build", "-o", binary, filepath.Join(root, "cmd/daybreak")).CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return then()
}

// Installation is a server of its own: data directory, addresses, user.
type Installation struct {
	Dir  string   // of its own, removed after the test
	Env  []string // of its commands
	Addr string   // IP address, of one in a Network
	t    testing.TB
	user uint32 // runs the commands when not 0
	ns   string // network namespace of its commands, if not the test's
}

// Password is that of every deployment of the tests.
const Password = "correct-horse-9"

// Options are what differs between the servers of the tests.
type Options struct {
	User  uint32   // runs the commands when not 0
	Env   []string // added to the server's
	Start []string // flags of the first start
}

// New starts a server, and stops it after the test.
func New(t testing.TB, o Options) *Installation {
	t.Helper()
	in := newIn(t, o.User)
	in.Env = append(append(in.Env, "DAYBREAK_REGION_ADDR="+FreeAddr(t), "DAYBREAK_PLATFORM_ADDR="+FreeAddr(t)), o.Env...)
	in.start(o.Start...)
	return in
}

// start starts the server, and stops it after the test.
func (in *Installation) start(flags ...string) {
	in.t.Helper()
	in.t.Cleanup(func() {
		if in.t.Failed() {
			in.showLogs()
		}
		in.Try("server", "stop")
	})
	in.Run(append([]string{"server", "start"}, flags...)...)
}

// Join starts another host of this installation on this machine, at a link
// address that FreeLinkAddr gave.
func (in *Installation) Join(t testing.TB, linkAddr, zones string) *Installation {
	t.Helper()
	other := newIn(t, in.user)
	other.start("--link-addr", linkAddr, "--zones", zones, "--join", strings.TrimSpace(in.Run("server", "token")))
	return other
}

// FreeLinkAddr is a link address on this machine whose ports nothing listens on.
func FreeLinkAddr(t testing.TB, ip string) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
		if err != nil {
			t.Fatal(err)
		}
		next, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(l.Addr().(*net.TCPAddr).Port+1)))
		_ = l.Close()
		if err == nil {
			_ = next.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no two free ports in a row at " + ip)
	return ""
}

func newIn(t testing.TB, user uint32) *Installation {
	t.Helper()
	dir := workdir.New(t, "dbk")
	if user != 0 {
		if err := os.Chown(dir, int(user), int(user)); err != nil {
			t.Fatal(err)
		}
	}
	in := &Installation{Dir: dir, t: t, user: user, Env: []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + dir,
		"DAYBREAK_DATA_DIR=" + filepath.Join(dir, "data"),
	}}
	if tools := os.Getenv("DAYBREAK_TOOLS"); tools != "" {
		in.Env = append(in.Env, "DAYBREAK_TOOLS="+tools)
	}
	return in
}

// Beside is an installation that wants this one's addresses, not started.
func (in *Installation) Beside(t testing.TB) *Installation {
	t.Helper()
	other := newIn(t, in.user)
	other.Env = append(slices.Clone(in.Env), "HOME="+other.Dir, "DAYBREAK_DATA_DIR="+filepath.Join(other.Dir, "data"))
	return other
}

// For is the same installation in a test of its own.
func (in *Installation) For(t testing.TB) *Installation {
	other := *in
	other.t = t
	return &other
}

// FreeAddr is an address that nothing listens on.
func FreeAddr(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Command is a daybreak command that is not started yet.
func (in *Installation) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	if in.ns != "" {
		cmd = exec.Command("ip", append([]string{"netns", "exec", in.ns, binary}, args...)...)
	}
	cmd.Env, cmd.Dir = in.Env, in.Dir
	if in.user != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: in.user, Gid: in.user}}
	}
	return cmd
}

// Try runs a command and returns what it wrote.
func (in *Installation) Try(args ...string) (stdout, stderr string, err error) {
	cmd := in.Command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// Run is try for a command that must work.
func (in *Installation) Run(args ...string) string {
	in.t.Helper()
	stdout, stderr, err := in.Try(args...)
	if err != nil {
		in.t.Fatalf("daybreak %s: %v\n%s%s", strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout
}

// JSON runs a command with --output json.
func (in *Installation) JSON(value any, args ...string) {
	in.t.Helper()
	out := in.Run(append(args, "--output", "json")...)
	if err := json.Unmarshal([]byte(out), value); err != nil {
		in.t.Fatalf("daybreak %s: %v in %s", strings.Join(args, " "), err, out)
	}
}

// Write makes a file that the installation's user can read.
func (in *Installation) Write(name, content string) string {
	in.t.Helper()
	path := filepath.Join(in.Dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		in.t.Fatal(err)
	}
	return path
}

// Plan copies the shipped service plan to where the installation's user can
// read it.
func (in *Installation) Plan() string {
	in.t.Helper()
	dst := filepath.Join(in.Dir, "checkout", "paas")
	if err := os.CopyFS(dst, os.DirFS(filepath.Join(root, "paas"))); err != nil {
		in.t.Fatal(err)
	}
	return dst
}

// Processes returns the process ids of the installation's processes by name.
func (in *Installation) Processes() map[string]int {
	in.t.Helper()
	var status struct {
		Processes []struct {
			Name string
			PID  int
		}
	}
	in.JSON(&status, "server", "status")
	pids := map[string]int{}
	for _, p := range status.Processes {
		pids[p.Name] = p.PID
	}
	return pids
}

// Postmasters returns the process ids of the installation's PostgreSQL servers.
func (in *Installation) Postmasters() []int {
	files, _ := filepath.Glob(filepath.Join(in.Dir, "data", "zones", "*", "*", "*", "data", "postmaster.pid"))
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

func (in *Installation) showLogs() {
	files, _ := filepath.Glob(filepath.Join(in.Dir, "data", "log", "*.log"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(data)), "\n")
		in.t.Logf("%s:\n%s", filepath.Base(file), strings.Join(lines[max(0, len(lines)-25):], "\n"))
	}
}

// PlatformAddr is where the platform's API listens.
func (in *Installation) PlatformAddr() string {
	for _, kv := range in.Env {
		if addr, ok := strings.CutPrefix(kv, "DAYBREAK_PLATFORM_ADDR="); ok {
			return addr
		}
	}
	return ""
}

// RDS is a client of the installation's region, as people make it.
func (in *Installation) RDS() *rds.Client { return rds.NewFromConfig(in.AWS()) }

// AWS is the configuration of clients of the installation's region.
func (in *Installation) AWS() aws.Config {
	in.t.Helper()
	env := in.AWSEnv()
	return aws.Config{
		Region: env["AWS_REGION"], BaseEndpoint: aws.String(env["AWS_ENDPOINT_URL"]),
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""),
	}
}

// AWSEnv are the variables that point clients of AWS at the installation.
func (in *Installation) AWSEnv() map[string]string {
	in.t.Helper()
	var env map[string]string
	in.JSON(&env, "env")
	return env
}

// Deployment is the JSON of up and describe, as far as it is promised.
type Deployment struct {
	Status    string
	Changed   bool
	Outputs   map[string]any
	Endpoints struct{ Writer, Reader Endpoint }
}

// Endpoint is an address for SQL.
type Endpoint struct {
	Host string
	Port int
}

// Connect opens a session, with the certificate checked.
func (in *Installation) Connect(e Endpoint, user, database string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	patience := 15
	if strings.Contains(e.Host, ",") { // there are others to try
		patience = 2
	}
	dsn := fmt.Sprintf("host=%s port=%d user=%s dbname=%s password=%s sslmode=verify-full sslrootcert=%s connect_timeout=%d",
		e.Host, e.Port, user, database, Password, filepath.Join(in.Dir, "data", "ca.pem"), patience)
	return pgx.Connect(ctx, dsn)
}

// Query runs one statement in a session of its own and returns its one value.
func (in *Installation) Query(e Endpoint, sql string) (string, error) {
	conn, err := in.Connect(e, "postgres", "postgres")
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

// Exec runs one statement that must work.
func (in *Installation) Exec(e Endpoint, sql string) {
	in.t.Helper()
	conn, err := in.Connect(e, "postgres", "postgres")
	if err != nil {
		in.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), sql); err != nil {
		in.t.Fatalf("%s: %v", sql, err)
	}
}

// Eventually waits until fact holds, and fails the test with its last error.
func Eventually(t testing.TB, limit time.Duration, what string, fact func() error) {
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

// Is is a fact: the query's value.
func (in *Installation) Is(e Endpoint, sql, want string) func() error {
	return func() error {
		got, err := in.Query(e, sql)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s gives %s, want %s", sql, got, want)
		}
		return nil
	}
}
