//go:build clients && modules

package clients

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/test/harness"
)

// edit is a difference to a module's example: what a pattern matches becomes
// something else. docs/guide.md has the list.
type edit struct{ pattern, with string }

// everywhere are the differences of all examples: the VPC module from a folder in
// place of the registry, our versions of PostgreSQL, a password of our own.
var everywhere = []edit{
	{`source  = "terraform-aws-modules/vpc/aws"\n\s*version = "[^"]*"`, `source = "../../../vpc"`},
	{`(engine_version|version)( *)= "[0-9.]+"`, `$1$2= "15.10"`},
	{`master_username *= "root"`, `master_username = "root"
  manage_master_user_password = false
  master_password = "` + harness.Password + `"`},
}

// example is one of terraform-aws-modules/rds-aurora, with a change that is made to
// it after it was applied.
type example struct {
	edits  []edit
	change edit
}

var examples = map[string]example{
	"postgresql": {
		edits: []edit{
			{`aurora-postgresql1[0-9]`, `aurora-postgresql15`},
			{`(?ms)^  create_db_cluster_activity_stream .*?"async"\n`, ``},
			{`(?ms)^module "kms" \{.*?^\}\n`, ``},
		},
		change: edit{`value( *)= 4000`, `value$1= 5000`},
	},
	"autoscaling": {
		edits:  []edit{{`autoscaling_enabled( *)= true`, `autoscaling_enabled$1= false`}},
		change: edit{`GithubOrg( *)= `, "Changed = \"yes\"\n    GithubOrg$1= "},
	},
	"serverless": {
		edits: []edit{
			{`(?ms)^#+\n# PostgreSQL Serverless v1.*?(^#+\n# PostgreSQL Serverless v2)`, `$1`},
			{`(?ms)^resource "random_password" .*?^\}\n`, ``},
			{`(?m)^ *enable_http_endpoint *= true\n`, ``},
			{`(?m)^ *seconds_until_auto_pause *= 3600\n`, ``},
			{`min_capacity( *)= 0\n`, "min_capacity$1= 0.5\n"},
		},
		change: edit{`max_capacity( *)= 10`, `max_capacity$1= 8`},
	},
}

// TestThePublicModuleRunsItsExamples applies examples of the public module with the
// real provider, which must plan nothing then, changes and destroys them.
func TestThePublicModuleRunsItsExamples(t *testing.T) {
	t.Parallel()
	modules, mirror := need(t, "MODULES"), need(t, "DAYBREAK_TEST_AWS_PROVIDER_MIRROR")
	in := harness.New(t, harness.Options{})
	t.Run("", func(t *testing.T) {
		for name, e := range examples {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				run := newModuleRun(t, in.For(t), modules, mirror, name)
				run.edit(append(everywhere, e.edits...)...)
				run.terraform("init", "-input=false")
				for range 2 {
					run.terraform("apply", "-auto-approve", "-input=false")
					run.plansNothing()
					if e.change.pattern != "" {
						run.edit(e.change)
						e.change.pattern = ""
					}
				}
				run.terraform("destroy", "-auto-approve", "-input=false")
			})
		}
	})
}

// moduleRun is an example in a copy of the modules.
type moduleRun struct {
	t        *testing.T
	dir, env string // env is the file of Terraform's settings
	region   []string
}

func newModuleRun(t *testing.T, in *harness.Installation, modules, mirror, name string) moduleRun {
	t.Helper()
	copied := t.TempDir()
	for _, module := range []string{"rds-aurora", "vpc"} {
		if err := os.CopyFS(filepath.Join(copied, module), os.DirFS(filepath.Join(modules, module))); err != nil {
			t.Fatal(err)
		}
	}
	r := moduleRun{t: t, dir: filepath.Join(copied, "rds-aurora", "examples", name), env: filepath.Join(copied, "terraform.rc")}
	settings := "provider_installation {\n  filesystem_mirror { path = \"" + mirror + "\" }\n}\n"
	if err := os.WriteFile(r.env, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	var env map[string]string
	in.JSON(&env, "env")
	for _, key := range []string{"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"} {
		r.region = append(r.region, key+"="+env[key])
	}
	// Outputs of what is taken out, and the provider of random_password with it.
	if err := os.Remove(filepath.Join(r.dir, "outputs.tf")); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	r.editFile("versions.tf", false, edit{`(?s)    random = \{.*?    \}\n`, ``})
	return r
}

func (r moduleRun) edit(edits ...edit) { r.editFile("main.tf", true, edits...) }

func (r moduleRun) editFile(name string, must bool, edits ...edit) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	text, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range edits {
		pattern := regexp.MustCompile(e.pattern)
		if must && !pattern.Match(text) {
			r.t.Fatalf("%s has nothing like %s: is this version 9 of the module?", path, e.pattern)
		}
		text = pattern.ReplaceAll(text, []byte(e.with))
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r moduleRun) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(r.t.Context(), "terraform", append(args, "-no-color")...)
	cmd.Dir = r.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "TF_CLI_CONFIG_FILE=" + r.env, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1"}, r.region...)
	return cmd
}

func (r moduleRun) terraform(args ...string) {
	r.t.Helper()
	if out, err := r.command(args...).CombinedOutput(); err != nil {
		r.t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// plansNothing fails the test with what Terraform would change.
func (r moduleRun) plansNothing() {
	r.t.Helper()
	r.terraform("plan", "-input=false", "-out=plan")
	out, err := r.command("show", "-json", "plan").Output()
	if err != nil {
		r.t.Fatal(err)
	}
	var plan struct {
		Changes []struct {
			Address string
			Change  struct{ Actions []string }
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal(out, &plan); err != nil {
		r.t.Fatal(err)
	}
	for _, c := range plan.Changes {
		if actions := strings.Join(c.Change.Actions, ","); actions != "no-op" && actions != "read" {
			r.t.Errorf("a plan of what was just applied would %s %s", actions, c.Address)
		}
	}
}
