package system

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/test/harness"
)

// kill is a process that is killed some time after a step of a deployment has
// begun.
type kill struct {
	process, step string
	after         time.Duration
}

func (k kill) String() string { return fmt.Sprintf("%s in %s after %v", k.process, k.step, k.after) }

// TestUpGoesOnAfterAKillAtEachStep kills a process in a step of a deployment,
// and repeats the command: it finishes, and nothing is left when the deployment
// is removed. With the build tag campaign every process is killed in every step.
func TestUpGoesOnAfterAKillAtEachStep(t *testing.T) {
	in := harness.New(t, harness.Options{})
	secret := in.Write("password", harness.Password)
	up := []string{"up", in.Plan(), "--name", "demo", "--param", "password=@" + secret}
	for _, k := range kills() {
		t.Run(k.String(), func(t *testing.T) { killAndRepeat(t, in.For(t), k, up) })
	}
}

func killAndRepeat(t *testing.T, in *harness.Installation, k kill, up []string) {
	cmd := in.Command(up...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	killed := killAtStep(t, in, k, ended)
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		t.Fatal("up hangs")
	}
	t.Logf("killed: %v", killed)
	var d harness.Deployment
	harness.Eventually(t, time.Minute, "the same command finishes", func() error {
		_, stderr, err := in.Try(up...)
		if err != nil {
			return fmt.Errorf("%w: %s", err, stderr)
		}
		return nil
	})
	in.JSON(&d, up...)
	if d.Status != "RUNNING" || d.Changed {
		t.Fatalf("status %s, changed %v by a third up", d.Status, d.Changed)
	}
	harness.Eventually(t, 20*time.Second, "SQL through the writer", in.Is(d.Endpoints.Writer, "select 1::text", "1"))
	harness.Eventually(t, 20*time.Second, "SQL through a reader", in.Is(d.Endpoints.Reader, "show transaction_read_only", "on"))
	in.Run("down", "demo", "--yes")
	if left := in.Postmasters(); len(left) != 0 {
		t.Errorf("servers left: %v", left)
	}
}

// killAtStep kills the process when the deployment is in the step, and reports
// whether there was one to kill.
func killAtStep(t *testing.T, in *harness.Installation, k kill, ended <-chan struct{}) bool {
	t.Helper()
	running := fmt.Sprintf("%q: %q", "name", k.step)
	for {
		select {
		case <-ended:
			return false // the step was too quick to be seen; the repeat must work all the same
		default:
		}
		out, _, err := in.Try("describe", "demo", "--output", "json")
		if err == nil && strings.Contains(out, running) {
			break
		}
	}
	select {
	case <-time.After(k.after):
	case <-ended:
	}
	pid := in.Processes()[k.process]
	if k.process == "terraform" {
		pid = terraform(in)
	}
	return pid != 0 && syscall.Kill(pid, syscall.SIGKILL) == nil
}

// terraform is the process id of a Terraform that works in the installation's
// run directories.
func terraform(in *harness.Installation) int {
	runs := filepath.Join(in.Dir, "data", "runs")
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range procs {
		cwd, _ := os.Readlink(filepath.Join(proc, "cwd"))
		exe, _ := os.Readlink(filepath.Join(proc, "exe"))
		if name := filepath.Base(exe); strings.HasPrefix(cwd, runs) && (name == "terraform" || name == "tofu") {
			pid, _ := strconv.Atoi(filepath.Base(proc))
			return pid
		}
	}
	return 0
}
