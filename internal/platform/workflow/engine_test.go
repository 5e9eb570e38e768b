package workflow_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/workflow"
	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/test/workflowtest"
)

func TestMain(m *testing.M) { workflowtest.Main(m) }

// fixture is an engine on a real etcd, a real region and a real Terraform. Its
// stacks use terraform_data, which needs no provider.
type fixture struct {
	t      *testing.T
	store  *state.Store
	config workflow.Config
	engine *workflow.Engine
	stop   func()
}

const secret = "s3cret-of-the-test"

func newFixture(t *testing.T) *fixture {
	t.Helper()
	config := workflowtest.Config(t)
	f := &fixture{t: t, store: config.Store, config: config}
	f.start()
	t.Cleanup(func() { f.stop() })
	return f
}

// start runs a new engine, as a restarted process would.
func (f *fixture) start() {
	ctx, cancel := context.WithCancel(context.Background())
	engine := workflow.New(f.config)
	done := make(chan error, 1)
	go func() { done <- engine.Run(ctx) }()
	f.engine = engine
	f.stop = func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("engine: %v", err)
		}
		f.stop = func() {}
	}
}

const specText = `
name: Test Plan
services:
  - name: Test Stack
    terraformConfigurations:
      configurationPerCloudProvider:
        aws:
          terraformPath: /tf
          gitConfiguration: {reference: refs/heads/main, repositoryUrl: "https://example.com/x"}
          requiredOutputs: [{key: out, exported: true}]
    apiParameters:
      - {key: size, type: Float64, modifiable: true, defaultValue: "1"}
      - {key: password, type: Password, required: true, limits: {minLength: 8}}
`

const stackText = `
terraform {
  backend "s3" {
    bucket = "somebody-elses"
  }
}
resource "terraform_data" "x" {
  count = {{ $var.size }}
  input = "{{ $var.password }} in {{ $sys.deploymentCell.cloudProviderNetworkID }}"
}
output "out" { value = "{{ $sys.id }}" }
output "secret" {
  value     = "{{ $var.password }}"
  sensitive = true
}
`

func (f *fixture) upload(spec, stackText string) string {
	f.t.Helper()
	return f.pack(map[string]string{"spec.yaml": spec, "stack/tf/main.tf": stackText})
}

func (f *fixture) pack(files map[string]string) string {
	f.t.Helper()
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	archive := tar.NewWriter(zip)
	for name, text := range files {
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			f.t.Fatal(err)
		}
		if _, err := io.WriteString(archive, text); err != nil {
			f.t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		f.t.Fatal(err)
	}
	a, err := f.engine.Upload(f.t.Context(), buf.Bytes())
	if err != nil {
		f.t.Fatal(err)
	}
	return a.Digest
}

func (f *fixture) up(stackText string, params map[string]any) (rest.Deployment, error) {
	f.t.Helper()
	if params == nil {
		params = map[string]any{}
	}
	params["password"] = secret
	run, err := f.engine.Up(f.t.Context(), "test", rest.UpRequest{Artifact: f.upload(specText, stackText), Parameters: params})
	if err != nil {
		return rest.Deployment{}, err
	}
	return f.await(run), nil
}

// await waits until a run is done.
func (f *fixture) await(run rest.Run) rest.Deployment {
	f.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		d, err := f.engine.Describe(context.Background(), run.Deployment, false)
		if err != nil {
			var refused *rest.Error
			if errors.As(err, &refused) && refused.HTTPStatus == 404 {
				return rest.Deployment{Status: "gone"}
			}
			f.t.Fatal(err)
		}
		if d.Run.ID == run.ID && d.Run.Done {
			return d
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("the run is not done: %+v", d)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (f *fixture) mustUp(stackText string, params map[string]any) rest.Deployment {
	f.t.Helper()
	d, err := f.up(stackText, params)
	if err != nil || d.Status != rest.StatusRunning {
		f.t.Fatalf("up: %v, %s: %s", err, d.Status, d.Message)
	}
	return d
}

func TestDeploymentLivesFromUpToDown(t *testing.T) {
	f := newFixture(t)
	d := f.mustUp(stackText, nil)
	if !d.Changed || d.Outputs["out"] != d.ID || d.Outputs["secret"] != rest.Masked || d.Parameters["password"] != rest.Masked {
		t.Errorf("after up: %+v", d)
	}
	full, err := f.engine.Describe(t.Context(), "test", true)
	if err != nil || full.Outputs["secret"] != secret {
		t.Errorf("with secrets: %v, %v", full.Outputs["secret"], err)
	}
	if d = f.mustUp(stackText, nil); d.Changed {
		t.Error("the same up again changed something")
	}
	run, err := f.engine.Modify(t.Context(), "test", rest.ModifyRequest{Parameters: map[string]any{"size": 3}})
	if err != nil {
		t.Fatal(err)
	}
	if d = f.await(run); !d.Changed || d.Parameters["size"] != "3" {
		t.Errorf("after modify: %+v", d)
	}
	if _, err := f.engine.Modify(t.Context(), "test", rest.ModifyRequest{Parameters: map[string]any{"password": "another-one"}}); err == nil {
		t.Error("a fixed parameter was changed")
	}
	f.noSecretsOnDisk()
	if run, err = f.engine.Down(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	if d = f.await(run); d.Status != "gone" {
		t.Errorf("after down: %+v", d)
	}
}

// noSecretsOnDisk looks for the secret in everything that stays after a run.
func (f *fixture) noSecretsOnDisk() {
	f.t.Helper()
	err := filepath.WalkDir(f.config.Layout.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && bytes.Contains(data, []byte(secret)) {
			f.t.Errorf("%s holds the password", path)
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(f.config.Layout.Runs(), "*")); len(left) > 0 {
		f.t.Errorf("working directories left: %v", left)
	}
}

func TestFailedPlanIsSaidAndTheNextUpGoesOn(t *testing.T) {
	f := newFixture(t)
	broken := strings.Replace(stackText, `resource "terraform_data" "x" {`, `resource "terraform_data" "x" {
  lifecycle {
    precondition {
      condition     = path.module == "moon"
      error_message = "the moon is not full"
    }
  }`, 1)
	d, err := f.up(broken, nil)
	if err != nil || d.Status != rest.StatusFailed || !strings.Contains(d.Message, "the moon is not full") {
		t.Fatalf("%v, %s: %s", err, d.Status, d.Message)
	}
	f.mustUp(stackText, nil)
}

func TestApplyThatFailsHalfWayKeepsWhatWasMade(t *testing.T) {
	f := newFixture(t)
	half := stackText + `
resource "terraform_data" "later" {
  depends_on = [terraform_data.x]
  input      = "x"
  lifecycle {
    postcondition {
      condition     = self.output == "y"
      error_message = "half-way"
    }
  }
}
`
	d, err := f.up(half, nil)
	if err != nil || d.Status != rest.StatusFailed || !strings.Contains(d.Message, "half-way") {
		t.Fatalf("%v, %s: %s", err, d.Status, d.Message)
	}
	d = f.mustUp(strings.Replace(half, `"y"`, `"x"`, 1), nil)
	for _, s := range d.Steps {
		if s.Name == "plan" && strings.HasPrefix(s.Detail, "2 to add") {
			t.Errorf("the second plan did not go on from the first: %s", s.Detail)
		}
	}
}

// TestPlanThatCannotBeInitializedCanBeRemoved: nothing was made, so nothing is
// in the way.
func TestPlanThatCannotBeInitializedCanBeRemoved(t *testing.T) {
	f := newFixture(t)
	d, err := f.up(strings.Replace(stackText, "terraform {", "terraform {\n  required_version = \"< 1.0\"\n", 1), nil)
	if err != nil || d.Status != rest.StatusFailed {
		t.Fatalf("%v, %s: %s", err, d.Status, d.Message)
	}
	run, err := f.engine.Down(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	if d := f.await(run); d.Status != "gone" {
		t.Errorf("after down: %s: %s", d.Status, d.Message)
	}
}

// TestInterruptedRunIsTakenUpAgain stops the engine in each step of a run; the
// next engine finishes it.
func TestInterruptedRunIsTakenUpAgain(t *testing.T) {
	f := newFixture(t)
	digest := f.upload(specText, stackText)
	for i, step := range []string{"render", "init", "plan", "apply", "outputs"} {
		run, err := f.engine.Up(t.Context(), "test", rest.UpRequest{Artifact: digest, Parameters: map[string]any{"password": secret, "size": i + 1}})
		if err != nil {
			t.Fatal(err)
		}
		f.awaitStep(run, step)
		f.stop()
		f.start()
		d := f.await(run)
		if d.Status != rest.StatusRunning || d.Parameters["size"] != fmt.Sprint(i+1) {
			t.Fatalf("interrupted in %s: %s: %s", step, d.Status, d.Message)
		}
	}
}

func (f *fixture) awaitStep(run rest.Run, step string) {
	f.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		d, err := f.engine.Describe(context.Background(), run.Deployment, false)
		if err != nil {
			f.t.Fatal(err)
		}
		if d.Run.Done {
			return // too quick to be caught; still a run that must be right
		}
		for _, s := range d.Steps {
			if s.Name == step {
				return
			}
		}
	}
	f.t.Fatalf("step %s was not seen", step)
}

func TestSecondRunOfADeploymentIsRefusedWhileOneRuns(t *testing.T) {
	f := newFixture(t)
	digest := f.upload(specText, stackText)
	req := rest.UpRequest{Artifact: digest, Parameters: map[string]any{"password": secret}}
	run, err := f.engine.Up(t.Context(), "test", req)
	if err != nil {
		t.Fatal(err)
	}
	var refused *rest.Error
	if _, err := f.engine.Up(t.Context(), "test", req); !errors.As(err, &refused) || refused.Code != rest.CodeConflict {
		t.Errorf("second run: %v", err)
	}
	f.await(run)
}

func TestBadPlansAreRefusedBeforeAnythingIsStored(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct{ spec, stack, want string }{
		"unknown key":           {strings.Replace(specText, "name: Test Plan", "nam: x", 1), stackText, `did you mean "name"`},
		"missing folder":        {strings.Replace(specText, "/tf", "/nowhere", 1), stackText, "/nowhere"},
		"unresolvable template": {specText, stackText + `output "o" { value = "{{ $sys.moon }}" }`, "$sys.moon"},
		"missing output":        {strings.Replace(specText, "key: out", "key: outt", 1), stackText, `"out"`},
		"unsupported resource":  {specText, stackText + "\nresource \"aws_s3_bucket\" \"b\" {}\n", "--provider registry"},
		"stack that is not HCL": {specText, stackText + "\nresource {{{\n", "not valid"},
	} {
		_, err := f.engine.Up(t.Context(), "test", rest.UpRequest{Artifact: f.upload(c.spec, c.stack), Parameters: map[string]any{"password": secret}})
		var refused *rest.Error
		if !errors.As(err, &refused) || !strings.Contains(refused.Error()+refused.Hint, c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
	if ds, err := f.engine.List(t.Context()); err != nil || len(ds) != 0 {
		t.Errorf("deployments after refusals: %v, %v", ds, err)
	}
}

// TestPlanWithoutAStackIsClonedAndPinned deploys from a git repository; a later
// commit does not change the deployment.
func TestPlanWithoutAStackIsClonedAndPinned(t *testing.T) {
	f := newFixture(t)
	dir := t.TempDir()
	repo, err := git.PlainInitWithOptions(dir, &git.PlainInitOptions{InitOptions: git.InitOptions{DefaultBranch: "refs/heads/main"}})
	if err != nil {
		t.Fatal(err)
	}
	commit := func(text string) string {
		if err := os.MkdirAll(filepath.Join(dir, "tf"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "tf", "main.tf"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		tree, err := repo.Worktree()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tree.Add("tf/main.tf"); err != nil {
			t.Fatal(err)
		}
		hash, err := tree.Commit("x", &git.CommitOptions{Author: &object.Signature{Name: "a", Email: "a@example.com", When: time.Now()}})
		if err != nil {
			t.Fatal(err)
		}
		return hash.String()
	}
	first := commit(stackText)
	digest := f.pack(map[string]string{"spec.yaml": strings.Replace(specText, "https://example.com/x", "file://"+dir, 1)})
	run, err := f.engine.Up(t.Context(), "test", rest.UpRequest{Artifact: digest, Parameters: map[string]any{"password": secret}})
	if err != nil {
		t.Fatal(err)
	}
	if d := f.await(run); d.Status != rest.StatusRunning || d.Plan.Commit != first {
		t.Fatalf("%s at %s: %s", d.Status, d.Plan.Commit, d.Message)
	}
	commit(stackText + "\noutput \"new\" { value = 1 }\n")
	if run, err = f.engine.Modify(t.Context(), "test", rest.ModifyRequest{Parameters: map[string]any{"size": 2}}); err != nil {
		t.Fatal(err)
	}
	if d := f.await(run); d.Outputs["new"] != nil || d.Plan.Commit != first {
		t.Errorf("the deployment moved with its branch: %+v", d)
	}
}
