package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-exec/tfexec"
	tfjson "github.com/hashicorp/terraform-json"
)

// Config of a run.
type Config struct {
	Dir          string // of the run; holds everything the run has on disk
	Path         string // of the stack below Files()
	Owner        string // the deployment's id
	Tool         Tool
	Target       Target
	Installation Installation
	Secrets      []string  // never to be written to Log or into an error
	Log          io.Writer // Terraform's words
}

// Run is one stack in its working directory. Its methods may be repeated.
type Run struct {
	config Config
	tf     *tfexec.Terraform
	mask   mask
	log    *maskWriter
}

// interruptDelay is how long Terraform may take to end after SIGINT.
const interruptDelay = 60 * time.Second

// configVariable names Terraform's CLI configuration, which every run has for
// itself.
const configVariable = "TF_CLI_CONFIG_FILE"

func configFile(dir string) string { return filepath.Join(dir, "terraformrc") }

// Files is where the rendered files of a run in dir belong.
func Files(dir string) string { return filepath.Join(dir, "files") }

// New prepares the rendered files of a run. The state, if there is one, is put
// beside them with PutState.
func New(c Config) (*Run, error) {
	work := filepath.Join(Files(c.Dir), c.Path)
	if err := prepare(Files(c.Dir), work, c.Owner, c.Target); err != nil {
		return nil, err
	}
	if err := c.Installation.write(configFile(c.Dir)); err != nil {
		return nil, err
	}
	tf, err := tfexec.NewTerraform(work, c.Tool.Path)
	if err != nil {
		return nil, err
	}
	m := newMask(c.Secrets)
	r := &Run{config: c, tf: tf, mask: m, log: newMaskWriter(c.Log, m)}
	tf.SetStdout(r.log)
	tf.SetStderr(r.log)
	if err := tf.SetWaitDelay(interruptDelay); err != nil {
		return nil, err
	}
	tmp, err := tempDir(c.Dir)
	if err != nil {
		return nil, err
	}
	return r, tf.SetEnv(r.environment(tmp))
}

// longestTempDir leaves room for the name of a provider's socket.
const longestTempDir = 80

// tempDir is the run's own, so that nothing of it outlives the run, unless the
// sockets that providers make there would have too long a path.
func tempDir(dir string) (string, error) {
	tmp := filepath.Join(dir, "tmp")
	if len(tmp) > longestTempDir {
		return os.TempDir(), nil
	}
	return tmp, os.MkdirAll(tmp, 0o700)
}

// environment is all that Terraform and its providers see.
func (r *Run) environment(tmp string) map[string]string {
	env := map[string]string{
		"PATH":                      os.Getenv("PATH"),
		"HOME":                      r.config.Dir,
		"TMPDIR":                    tmp,
		configVariable:              configFile(r.config.Dir),
		"CHECKPOINT_DISABLE":        "1",
		"AWS_EC2_METADATA_DISABLED": "true",
	}
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		if passes(name, r.config.Target.Embedded) {
			env[name] = value
		}
	}
	if t := r.config.Target; t.Embedded {
		// For provider blocks with an alias, which the override does not reach.
		env["AWS_ENDPOINT_URL"], env["AWS_REGION"] = t.Endpoint, t.Region
		env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"] = t.AccessKey, t.SecretKey
	} else {
		delete(env, "AWS_EC2_METADATA_DISABLED")
		env["HOME"] = os.Getenv("HOME") // ~/.aws
	}
	return env
}

// passes says which of our own variables Terraform may see: those to reach a
// registry, and for AWS the caller's credentials.
func passes(name string, embedded bool) bool {
	switch strings.ToUpper(name) {
	case "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR":
		return true
	}
	return !embedded && strings.HasPrefix(name, "AWS_")
}

func (r *Run) path(name string) string { return filepath.Join(r.tf.WorkingDir(), name) }

// fail makes an error of a Terraform command readable and free of secrets.
func (r *Run) fail(ctx context.Context, step string, err error) error {
	_ = r.log.Flush()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &Error{Step: step, Text: r.mask.text(tidy(err.Error()))}
}

// Error is a Terraform command that failed.
type Error struct {
	Step string // init, validate, plan, apply, output, import
	Text string // Terraform's own words, without secrets
}

func (e *Error) Error() string { return "terraform " + e.Step + ": " + e.Text }

// tidy drops the frame that Terraform draws around errors and the exit status.
func tidy(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(strings.TrimLeft(strings.TrimSpace(line), "│╷╵ "), " ")
		if line != "" && !strings.HasPrefix(line, "exit status") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// silently keeps what a command writes for programs out of the log.
func (r *Run) silently() (restore func()) {
	r.tf.SetStdout(io.Discard)
	return func() { r.tf.SetStdout(r.log) }
}

// Init installs providers and modules.
func (r *Run) Init(ctx context.Context) error {
	restore := r.silently()
	_, _, err := r.tf.Version(ctx, false) // kept: every command asks for it
	restore()
	if err == nil {
		err = r.tf.Init(ctx, tfexec.Upgrade(false))
	}
	return r.fail(ctx, "init", err)
}

// Validate checks the configuration against the providers' schemas.
func (r *Run) Validate(ctx context.Context) error {
	defer r.silently()()
	out, err := r.tf.Validate(ctx)
	if err != nil {
		return r.fail(ctx, "validate", err)
	}
	if out.Valid {
		return nil
	}
	var lines []string
	for _, d := range out.Diagnostics {
		if d.Severity == tfjson.DiagnosticSeverityError {
			lines = append(lines, diagnosticText(d))
		}
	}
	return r.fail(ctx, "validate", errors.New(strings.Join(lines, "\n")))
}

func diagnosticText(d tfjson.Diagnostic) string {
	text := d.Summary
	if d.Range != nil {
		text = fmt.Sprintf("%s:%d: %s", d.Range.Filename, d.Range.Start.Line, text)
	}
	if d.Detail != "" {
		text += ": " + d.Detail
	}
	return text
}

// Summary is what a Terraform plan would do.
type Summary struct {
	Add, Change, Destroy int
	// Databases are the addresses of databases that would be destroyed or
	// replaced.
	Databases []string
	// Creates are the resources that would be made.
	Creates []Planned
}

// Planned is a resource that a plan makes.
type Planned struct {
	Address string
	Type    string
	After   map[string]any
}

// Empty reports whether the plan changes nothing.
func (s Summary) Empty() bool { return s.Add+s.Change+s.Destroy == 0 }

func (s Summary) String() string {
	if s.Empty() {
		return "no changes"
	}
	return fmt.Sprintf("%d to add, %d to change, %d to destroy", s.Add, s.Change, s.Destroy)
}

// Plan makes and saves a Terraform plan; with destroy, one that destroys all.
// changed is false when there is nothing to apply, not even to outputs.
func (r *Run) Plan(ctx context.Context, destroy bool) (s Summary, changed bool, err error) {
	changed, err = r.tf.Plan(ctx, tfexec.Out(planFile), tfexec.Destroy(destroy), tfexec.Lock(true))
	if err != nil {
		return s, false, r.fail(ctx, "plan", err)
	}
	_ = r.log.Flush()
	defer r.silently()() // the plan as JSON has every value in it
	plan, err := r.tf.ShowPlanFile(ctx, planFile)
	if err != nil {
		return s, false, r.fail(ctx, "plan", err)
	}
	return summarize(plan), changed, nil
}

// databases are the types whose loss is the loss of data.
var databases = []string{"aws_db_instance", "aws_docdb_cluster", "aws_neptune_cluster", "aws_rds_cluster", "aws_rds_global_cluster"}

func summarize(plan *tfjson.Plan) Summary {
	var s Summary
	for _, rc := range plan.ResourceChanges {
		if rc.Mode != tfjson.ManagedResourceMode || rc.Change == nil {
			continue
		}
		actions := rc.Change.Actions
		destroys := actions.Delete() || actions.Replace()
		if destroys {
			s.Destroy++
			if slices.Contains(databases, rc.Type) {
				s.Databases = append(s.Databases, rc.Address)
			}
		}
		if actions.Create() || actions.Replace() {
			s.Add++
		}
		if actions.Update() {
			s.Change++
		}
		if actions.Create() {
			after, _ := rc.Change.After.(map[string]any)
			s.Creates = append(s.Creates, Planned{Address: rc.Address, Type: rc.Type, After: after})
		}
	}
	return s
}

// Apply carries out the saved plan. A plan that is stale is refused.
func (r *Run) Apply(ctx context.Context) error {
	return r.fail(ctx, "apply", r.tf.Apply(ctx, tfexec.DirOrPlan(planFile), tfexec.Lock(true)))
}

// Output is a value of the stack.
type Output struct {
	Value     any
	Sensitive bool
}

// Outputs reads the outputs from the state.
func (r *Run) Outputs(ctx context.Context) (map[string]Output, error) {
	defer r.silently()()
	metas, err := r.tf.Output(ctx)
	if err != nil {
		return nil, r.fail(ctx, "output", err)
	}
	outputs := map[string]Output{}
	for name, meta := range metas {
		var value any
		if err := json.Unmarshal(meta.Value, &value); err != nil {
			return nil, fmt.Errorf("output %s: %w", name, err)
		}
		outputs[name] = Output{Value: value, Sensitive: meta.Sensitive}
	}
	return outputs, nil
}
