// Command bench measures Daybreak beside its peers in one run and reports
// medians and ratios. It uses the product as a user does: the binary, SQL, the
// AWS API.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const password = "bench-password-9"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// benchmarks by name, in the order in which all of them run.
var benchmarks = []struct {
	name string
	run  func(*server) error
}{
	{"up", benchUp},
	{"pgbench", benchPgbench},
	{"commit", benchCommit},
	{"failover", benchFailover},
	{"lag", benchLag},
	{"describe", benchDescribe},
	{"region", benchRegion},
	{"idle", benchIdle},
}

func run(names []string) error {
	for _, b := range benchmarks {
		if len(names) > 0 && !slices.Contains(names, b.name) {
			continue
		}
		if err := withServer(b.run); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
	return nil
}

// server is an installation of its own.
type server struct {
	dir, binary string
	env         []string
	regionURL   string
}

func withServer(f func(*server) error) error { return withServerEnv(nil, f) }

func withServerEnv(env []string, f func(*server) error) (err error) {
	dir, err := os.MkdirTemp("", "dbb")
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	region, err := freeAddr()
	if err != nil {
		return err
	}
	platform, err := freeAddr()
	if err != nil {
		return err
	}
	s := &server{dir: dir, binary: filepath.Join(dir, "daybreak"), regionURL: "http://" + region}
	s.env = append(os.Environ(), "DAYBREAK_DATA_DIR="+filepath.Join(dir, "data"),
		"DAYBREAK_REGION_ADDR="+region, "DAYBREAK_PLATFORM_ADDR="+platform)
	s.env = append(s.env, env...)
	if out, err := exec.Command("go", "build", "-trimpath", "-o", s.binary, "./cmd/daybreak").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	if _, err := s.daybreak("server", "start"); err != nil {
		return err
	}
	defer func() {
		_, stopErr := s.daybreak("server", "stop")
		err = errors.Join(err, stopErr)
	}()
	return f(s)
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// daybreak runs a command and returns its standard output.
func (s *server) daybreak(args ...string) (string, error) {
	cmd := exec.Command(s.binary, args...)
	cmd.Env = s.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("daybreak %s: %w\n%s%s", args[0], err, out.String(), errs.String())
	}
	return out.String(), nil
}

type endpoint struct {
	Host string
	Port int
}

type deployment struct {
	Status    string
	Outputs   map[string]any
	Endpoints struct{ Writer, Reader endpoint }
	Steps     []step
}

type step struct {
	Name    string
	Seconds float64
}

// up deploys the shipped plan.
func (s *server) up(name string, extra ...string) (deployment, error) {
	var d deployment
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		return d, err
	}
	args := append([]string{"up", "paas", "--name", name, "--param", "password=@" + secret, "--output", "json"}, extra...)
	out, err := s.daybreak(args...)
	if err != nil {
		return d, err
	}
	return d, json.Unmarshal([]byte(out), &d)
}

func (s *server) down(name string) error {
	_, err := s.daybreak("down", name, "--yes")
	return err
}

func (s *server) dsn(e endpoint) string {
	return fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres password=%s sslmode=prefer", e.Host, e.Port, password)
}

func title(text string) { fmt.Printf("\n## %s\n\n", text) }

func row(cells ...string) { fmt.Println("| " + strings.Join(cells, " | ") + " |") }

func heading(cells ...string) {
	row(cells...)
	fmt.Println(strings.Repeat("|---", len(cells)) + "|")
}

// median of durations; they are sorted in place.
func median(ds []time.Duration) time.Duration {
	slices.Sort(ds)
	return ds[len(ds)/2]
}

func percentile(sorted []time.Duration, p float64) time.Duration {
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }
