// Package provider drives the embedded Terraform provider by Terraform, and holds it against the real one: the
// same schemas, and a state that either goes on from.
package provider

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	embedded "github.com/daybreakdb/daybreak/internal/provider"
)

// TestMain lets this program be the embedded provider too, where Terraform starts it.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "provider" {
		if err := embedded.Serve(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func embeddedMirror(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := embedded.WriteMirror(dir, os.Args[0]); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A terraform runs Terraform in a directory of its own, with the providers of one mirror.
type terraform struct {
	t       *testing.T
	program string
	dir     string
	env     []string
}

func newTerraform(t *testing.T, mirror, config string) *terraform {
	t.Helper()
	tf := &terraform{t: t, dir: t.TempDir()}
	for _, name := range []string{"tofu", "terraform"} {
		if path, err := exec.LookPath(name); err == nil {
			tf.program = path
		}
	}
	if tf.program == "" {
		t.Fatal("neither terraform nor tofu is on PATH")
	}
	tf.write("main.tf", config)
	tf.use(mirror)
	return tf
}

func (tf *terraform) write(name, content string) {
	tf.t.Helper()
	if err := os.WriteFile(filepath.Join(tf.dir, name), []byte(content), 0o600); err != nil {
		tf.t.Fatal(err)
	}
}

// use changes the mirror; the state stays.
func (tf *terraform) use(mirror string) {
	tf.t.Helper()
	tf.write("terraform.rc", fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", mirror))
	_ = os.RemoveAll(filepath.Join(tf.dir, ".terraform"))
	_ = os.Remove(filepath.Join(tf.dir, ".terraform.lock.hcl"))
	tf.env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+filepath.Join(tf.dir, "terraform.rc"), "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "AWS_EC2_METADATA_DISABLED=true")
}

// run returns what Terraform wrote, and its exit code.
func (tf *terraform) run(args ...string) (string, int) {
	tf.t.Helper()
	return tf.start(args...).wait()
}

// A process is a Terraform that runs.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	out bytes.Buffer
}

func (tf *terraform) start(args ...string) *process {
	tf.t.Helper()
	if args[0] != "providers" {
		args = append(args, "-no-color")
	}
	p := &process{t: tf.t, cmd: exec.Command(tf.program, args...)}
	p.cmd.Dir, p.cmd.Env = tf.dir, tf.env
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		tf.t.Fatal(err)
	}
	return p
}

func (p *process) wait() (string, int) {
	p.t.Helper()
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return p.out.String(), p.cmd.ProcessState.ExitCode()
}

func (tf *terraform) must(args ...string) string {
	tf.t.Helper()
	out, code := tf.run(args...)
	if code != 0 {
		tf.t.Fatalf("terraform %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// mustPlanNothing fails unless a plan is empty.
func (tf *terraform) mustPlanNothing(who string) {
	tf.t.Helper()
	if out, code := tf.run("plan", "-input=false", "-detailed-exitcode"); code != 0 {
		tf.t.Errorf("%s: the plan is not empty, exit code %d\n%s", who, code, out)
	}
}
