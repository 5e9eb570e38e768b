package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/daybreakdb/daybreak/test/harness"
)

// TestControlScenarios: what happens to the state store and to those who decide.
func TestControlScenarios(t *testing.T) {
	runScenarios(t, []scenario{
		{numbers: "36", name: "etcd killed again and again", do: etcdKilledAgainAndAgain},
		{numbers: "42", name: "two controllers decide at the same time", do: twoControllers},
		{numbers: "43", name: "controllers killed all the time during failovers", do: controllersKilledAllTheTime},
	}, func(t *testing.T) *cluster { return deploy(t, 2) })
}

func etcdKilledAgainAndAgain(c *cluster, o *oracle) {
	writer := c.primary()
	for range 8 {
		signal(syscall.SIGKILL, c.ours("etcd"))
		settle(700 * time.Millisecond)
	}
	o.mu.Lock()
	if len(o.reasons) > 0 {
		c.t.Errorf("clients had errors: %v", o.reasons)
	}
	o.mu.Unlock()
	if now := c.primary(); now.pid != writer.pid {
		c.t.Errorf("the writer was %+v and is %+v", writer, now)
	}
	c.t.Logf("longest time without a commit %v", o.takeGap())
}

func controllersKilledAllTheTime(c *cluster, o *oracle) {
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(900 * time.Millisecond): // less than it takes to start again and decide much
				signal(syscall.SIGKILL, c.ours("control"))
			}
		}
	}()
	for range 4 {
		killWriter.do(c, nil)
		c.t.Logf("a commit after %v", c.commitsGoOn())
		settle(2 * time.Second)
	}
	close(stop)
	<-done
	_ = o
}

// twoControllers runs a second control process on the same state, in namespaces of
// its own, so that neither the lock nor the addresses are in its way.
func twoControllers(c *cluster, o *oracle) {
	second, out, err := c.secondControl()
	if err != nil {
		c.t.Logf("no namespaces can be made here: %v", err)
		return
	}
	defer func() {
		_ = second.Process.Kill()
		_ = second.Wait()
	}()
	decided := func(name string) int {
		content, err := os.ReadFile(name)
		c.must(err)
		return strings.Count(string(content), "writer of term")
	}
	harness.Eventually(c.t, limit, "the second one runs", func() error {
		content, err := os.ReadFile(out)
		if err == nil && !strings.Contains(string(content), `"msg":"started"`) {
			err = fmt.Errorf("it says %q", content)
		}
		return err
	})
	first, log := decided(c.logFile("control")), c.logFile("control")
	for i := range 12 {
		if i%3 == 2 {
			c.failOver()
		} else {
			killWriter.do(c, nil)
		}
		c.commitsGoOn()
		c.healthy(2 * limit)
	}
	a, b := decided(log)-first, decided(out)
	c.t.Logf("the first decided %d times, the second %d times; %v", a, b, o.takeGap())
	if b == 0 {
		c.t.Error("the second controller decided nothing")
	}
	events, err := c.in.Query(c.writer, "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int::text")
	c.must(err)
	c.t.Logf("timeline %s after 12 failovers", events)
}

// secondVariable has a process of the test's own binary become a second control
// process; it is set to the data directory and what to run.
const secondVariable = "DAYBREAK_TEST_SECOND"

// secondControl starts it. Its log is in the file out.
func (c *cluster) secondControl() (cmd *exec.Cmd, out string, err error) {
	out = filepath.Join(c.in.Dir, "second.log")
	file, err := os.Create(out)
	if err != nil {
		return nil, "", err
	}
	defer file.Close()
	control := c.in.Command("control")
	cmd = exec.Command("/proc/self/exe")
	cmd.Env = append(c.in.Env, secondVariable+"="+strings.Join(append([]string{filepath.Join(c.in.Dir, "data"), control.Path}, control.Args[1:]...), "\n"))
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Unshareflags: syscall.CLONE_NEWNS}
	return cmd, out, cmd.Start()
}

// becomeSecondIfAsked prepares the namespaces that it is started in: loopback is
// up, and what the installation's run directory has is there, except for the lock
// and the pulse of the first one.
func becomeSecondIfAsked() {
	what := os.Getenv(secondVariable)
	if what == "" {
		return
	}
	args := strings.Split(what, "\n")
	err := prepareSecond(filepath.Join(args[0], "run"))
	if err == nil {
		err = syscall.Exec(args[1], append([]string{"daybreak"}, args[2:]...), os.Environ())
	}
	fmt.Fprintln(os.Stderr, "second control process:", err)
	os.Exit(1)
}

func prepareSecond(run string) error {
	if err := loopbackUp(); err != nil {
		return err
	}
	aside := filepath.Join(filepath.Dir(filepath.Dir(run)), "first-run")
	if err := os.MkdirAll(aside, 0o711); err != nil {
		return err
	}
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
	}{{"", "/", "", unix.MS_PRIVATE | unix.MS_REC}, {run, aside, "", unix.MS_BIND}, {"none", run, "tmpfs", 0}} {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	entries, err := os.ReadDir(aside)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "control.") {
			continue
		}
		if err := os.Symlink(filepath.Join(aside, e.Name()), filepath.Join(run, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}
