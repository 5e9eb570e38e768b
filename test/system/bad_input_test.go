package system

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/test/harness"
)

// TestBadInputIsRefusedAndLeavesNothing gives up what people get wrong. Each
// must fail with words that name the mistake, and no deployment may be there
// afterwards.
func TestBadInputIsRefusedAndLeavesNothing(t *testing.T) {
	in := harness.New(t, harness.Options{})
	plan := in.Plan()
	good := in.Write("password", harness.Password)
	withSpec := func(name, old, with string) string {
		dst := filepath.Join(in.Dir, name, "paas")
		if err := os.CopyFS(dst, os.DirFS(plan)); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dst, "spec.yaml")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), old) {
			t.Fatalf("spec.yaml has no %q", old)
		}
		if err := os.WriteFile(file, []byte(strings.Replace(string(data), old, with, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		return dst
	}
	cases := []struct {
		name string
		args []string
		want []string // in what it says
	}{
		{"missing password", []string{plan}, []string{"password", "required"}},
		{"too short password", []string{plan, "--param", "password=@" + in.Write("short", "abc")}, []string{"password", "8"}},
		{"unknown parameter", []string{plan, "--param", "password=@" + good, "--param", "replicas=2"}, []string{"replicas", "readReplicaCount"}},
		{"mistyped parameter", []string{plan, "--param", "password=@" + good, "--param", "readReplicaCount=two"}, []string{"readReplicaCount", "two"}},
		{"out of range parameter", []string{plan, "--param", "password=@" + good, "--param", "readReplicaCount=16"}, []string{"readReplicaCount", "15"}},
		{"all problems at once", []string{plan, "--param", "readReplicaCount=99", "--param", "nope=1"}, []string{"password", "readReplicaCount", "nope"}},
		{"value that would leave its string", []string{plan, "--param", "password=@" + good, "--param", `username=a"${file("/etc/passwd")}`}, []string{"username"}},
		{"unknown key", []string{withSpec("unknown", "tenancyType:", "tenancyTipe:"), "--param", "password=@" + good}, []string{"spec.yaml", "tenancyTipe", "tenancyType"}},
		{"missing Terraform folder", []string{withSpec("folder", "terraformPath: /paas/terraform", "terraformPath: /paas/nowhere"), "--param", "password=@" + good}, []string{"/paas/nowhere"}},
		{"required output that the stack lacks", []string{withSpec("output", "key: cluster_arn", "key: cluster_moon"), "--param", "password=@" + good}, []string{"cluster_moon"}},
		{"no such folder", []string{filepath.Join(in.Dir, "nowhere")}, []string{"nowhere"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			stdout, stderr, err := in.Try(append([]string{"up", "--name", "bad"}, c.args...)...)
			if err == nil {
				t.Fatalf("accepted:\n%s", stdout)
			}
			for _, want := range c.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("%q is not in:\n%s", want, stderr)
				}
			}
			if strings.Contains(stdout+stderr, harness.Password) {
				t.Error("the harness.Password is shown")
			}
			if _, _, err := in.Try("describe", "bad"); err == nil {
				t.Error("a refused up left a deployment")
				in.Run("down", "bad", "--yes")
			}
		})
	}
	if left := in.Postmasters(); len(left) != 0 {
		t.Errorf("servers were started: %v", left)
	}
}

// TestAddressInUseIsNamed starts a second server on the first one's address.
func TestAddressInUseIsNamed(t *testing.T) {
	first := harness.New(t, harness.Options{})
	_, stderr, err := first.Beside(t).Try("server", "start")
	if err == nil {
		t.Fatal("a second server started on the same address")
	}
	for _, want := range []string{"in use", "DAYBREAK_REGION_ADDR"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q is not in:\n%s", want, stderr)
		}
	}
}
