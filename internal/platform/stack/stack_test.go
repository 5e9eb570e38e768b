package stack_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/internal/platform/stack"
)

// password has every character that HCL and JSON write in another way.
const password = `pa$s{w}%or"d\1<&>`

// inHCL is the password as the renderer writes it into a string.
const inHCL = `pa\u0024s\u007bw\u007d\u0025or\"d\\1<&>`

// fixture is a run of a stack with a real Terraform.
type fixture struct {
	*stack.Run
	dir string
	log *bytes.Buffer
}

func newRun(t *testing.T, files map[string]string) fixture {
	t.Helper()
	tool, err := stack.FindTool(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(stack.Files(dir), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := &bytes.Buffer{}
	run, err := stack.New(stack.Config{
		Dir: dir, Path: "tf", Owner: "instance-test", Tool: tool, Secrets: []string{password}, Log: log,
		Target: stack.Target{Embedded: true, Endpoint: "http://127.0.0.1:1", Region: "us-west-2", AccessKey: "a", SecretKey: "b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return fixture{Run: run, dir: dir, log: log}
}

func (f fixture) init(t *testing.T) {
	t.Helper()
	if err := f.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestBackendsOfAStackAreReplaced(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"backend": {"tf/main.tf": `terraform { 
  backend "s3" { bucket = "somebody-elses" } 
}`},
		"cloud": {"tf/main.tf": `terraform { 
  cloud { organization = "x" } 
}`},
		"backend JSON": {"tf/main.tf.json": `{"terraform": [{"backend": {"s3": {"bucket": "somebody-elses"}}}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			files["tf/r.tf"] = `resource "terraform_data" "x" {}`
			f := newRun(t, files)
			f.init(t)
			if _, changed, err := f.Plan(t.Context(), false); err != nil || !changed {
				t.Fatalf("plan: %v, %v", changed, err)
			}
			if err := f.Apply(t.Context()); err != nil {
				t.Fatal(err)
			}
			if state, err := f.State(); err != nil || !bytes.Contains(state, []byte("terraform_data")) {
				t.Errorf("our state: %s, %v", state, err)
			}
		})
	}
}

// TestStalePlanIsRefused applies a plan after the state went on without it.
func TestStalePlanIsRefused(t *testing.T) {
	f := newRun(t, map[string]string{"tf/main.tf": `resource "terraform_data" "x" { input = 1 }`})
	f.init(t)
	if _, _, err := f.Plan(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if err := f.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, err := f.State()
	if err != nil {
		t.Fatal(err)
	}
	var failed *stack.Error
	if err := f.Apply(t.Context()); !errors.As(err, &failed) || failed.Step != "apply" || !strings.Contains(failed.Text, "stale") {
		t.Errorf("a stale plan: %v", err)
	}
	if after, _ := f.State(); !bytes.Equal(before, after) {
		t.Error("a refused plan changed the state")
	}
}

// TestSecretsStayOutOfTheLogHoweverTheyAreWritten lets Terraform show the
// secret as a value of a plan, in the source that a diagnostic quotes, and as
// the message itself.
func TestSecretsStayOutOfTheLogHoweverTheyAreWritten(t *testing.T) {
	f := newRun(t, map[string]string{"tf/main.tf": `
resource "terraform_data" "x" { input = { json = jsonencode("` + inHCL + `"), plain = "` + inHCL + `" } }
resource "terraform_data" "y" {
  lifecycle {
    precondition {
      condition     = "` + inHCL + `" == terraform_data.x.input.plain && length("` + inHCL + `") == 1
      error_message = "it is ${"` + inHCL + `"}"
    }
  }
}`})
	f.init(t)
	_, _, err := f.Plan(t.Context(), false)
	if err == nil {
		t.Fatal("the plan did not fail")
	}
	for what, text := range map[string]string{"log": f.log.String(), "error": err.Error()} {
		if !strings.Contains(text, "(sensitive)") {
			t.Errorf("%s: nothing was masked:\n%s", what, text)
		}
		for _, part := range []string{`or"d`, `or\"d`, "pa$s", `pa\u0024s`, `or\\`, "1<&>", `1\u003c`} {
			if strings.Contains(text, part) {
				t.Errorf("%s shows %s:\n%s", what, part, text)
			}
		}
	}
}

func TestPlanSaysWhichDatabasesWouldGo(t *testing.T) {
	f := newRun(t, map[string]string{"tf/main.tf": `resource "terraform_data" "x" {}`})
	f.init(t)
	s, changed, err := f.Plan(t.Context(), false)
	if err != nil || !changed || s.Add != 1 || len(s.Databases) != 0 || s.String() != "1 to add, 0 to change, 0 to destroy" {
		t.Errorf("%+v, %v, %v", s, changed, err)
	}
}

func TestNewerStateWins(t *testing.T) {
	one, two := []byte(`{"lineage":"a","serial":1}`), []byte(`{"lineage":"a","serial":2}`)
	other := []byte(`{"lineage":"b","serial":9}`)
	for name, c := range map[string]struct{ kept, left, want []byte }{
		"the run's own went on":        {one, two, two},
		"the kept one is later":        {two, one, two},
		"nothing was kept yet":         {nil, one, one},
		"the run left nothing":         {one, nil, one},
		"a state of another lineage":   {one, other, one},
		"both are the same":            {one, one, one},
		"there has never been a state": {nil, nil, nil},
	} {
		if got := stack.Newer(c.kept, c.left); !bytes.Equal(got, c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestStateThatWasCutOffIsNone(t *testing.T) {
	f := newRun(t, map[string]string{"tf/main.tf": ``})
	if err := f.PutState([]byte(`{"lineage":"a","ser`)); err != nil {
		t.Fatal(err)
	}
	if state, err := stack.LeftState(f.dir, "tf"); state != nil || err != nil {
		t.Errorf("%s, %v", state, err)
	}
}

func TestInspectReadsBothSyntaxesAndLocalModules(t *testing.T) {
	c, err := stack.Inspect(map[string]string{
		"a/tf/main.tf":           `module "m" { source = "../../modules/m" }` + "\n" + `resource "aws_rds_cluster" "x" {}`,
		"a/tf/more.tf.json":      `{"output": {"o": {"value": 1}}, "resource": {"aws_security_group": {"g": {}}}}`,
		"modules/m/main.tf":      `data "aws_vpc" "v" {}` + "\n" + `output "inner" { value = 1 }` + "\n" + `module "again" { source = "./" }`,
		"modules/unused/main.tf": `resource "aws_s3_bucket" "b" {}`,
	}, "a/tf")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Resources, []string{"aws_rds_cluster", "aws_security_group"}) ||
		!slices.Equal(c.DataSources, []string{"aws_vpc"}) || !slices.Equal(c.Outputs, []string{"o"}) {
		t.Errorf("%+v", c)
	}
}

func FuzzInspect(f *testing.F) {
	f.Add(`resource "a" "b" {}`, false)
	f.Add(`{"resource": {"a": {"b": {}}}, "module": {"m": {"source": "./"}}}`, true)
	f.Fuzz(func(_ *testing.T, text string, isJSON bool) {
		name := "tf/main.tf"
		if isJSON {
			name += ".json"
		}
		_, _ = stack.Inspect(map[string]string{name: text}, "tf")
	})
}
