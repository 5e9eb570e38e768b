//go:build clients && awsprovider

package provider

import (
	"context"
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

// realMirror is the mirror that holds the real provider.
func realMirror(t *testing.T) string {
	t.Helper()
	mirror := os.Getenv("DAYBREAK_TEST_AWS_PROVIDER_MIRROR")
	if mirror == "" {
		t.Fatal("DAYBREAK_TEST_AWS_PROVIDER_MIRROR is not set: a filesystem mirror with hashicorp/aws 5.100")
	}
	return mirror
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
	t   *testing.T
	dir string
	env []string
}

func newTerraform(t *testing.T, mirror, config string) *terraform {
	t.Helper()
	tf := &terraform{t: t, dir: t.TempDir()}
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
	cmd := exec.CommandContext(context.WithoutCancel(tf.t.Context()), "terraform", append(args, "-no-color")...)
	if args[0] == "providers" {
		cmd.Args = cmd.Args[:len(cmd.Args)-1]
	}
	cmd.Dir, cmd.Env = tf.dir, tf.env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tf.t.Fatal(err)
	}
	return string(out) + stderr.String(), cmd.ProcessState.ExitCode()
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
