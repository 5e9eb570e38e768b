package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/daybreakdb/daybreak/internal/layout"
)

// OwnerTag is put on everything a deployment makes, by the provider's
// default_tags; its value is the deployment's id. It proves what is ours.
const OwnerTag = "daybreak:deployment"

// Target says where the AWS API is.
type Target struct {
	Embedded  bool
	Endpoint  string // of the embedded region, http://127.0.0.1:4566
	Region    string
	AccessKey string
	SecretKey string
}

// services that the provider is pointed at in the embedded region.
var services = []string{"appautoscaling", "cloudwatch", "ec2", "iam", "kms", "logs", "rds", "secretsmanager", "sns", "sts"}

const (
	overrideFile = "daybreak_override.tf.json"
	stateFile    = "terraform.tfstate"
	planFile     = "daybreak.tfplan"
)

// prepare makes a rendered folder ready to run: its own backend is taken out,
// so that the state is the local file that we keep, and the provider is pointed
// at the target.
func prepare(dir, owner string, t Target) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case strings.HasSuffix(e.Name(), ".tf"):
			err = editFile(path, withoutBackend)
		case strings.HasSuffix(e.Name(), ".tf.json"):
			err = editFile(path, withoutBackendJSON)
		}
		if err != nil {
			return err
		}
	}
	if !usesAWS(dir) {
		return nil // an override would make Terraform ask for the provider
	}
	data, err := json.MarshalIndent(override(owner, t), "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, overrideFile), data, 0o600)
}

var namesAWS = regexp.MustCompile(`"aws(_[a-z0-9_]+)?"|\baws\s*=\s*\{`)

// usesAWS reports whether the folder or a module beside it names the provider.
func usesAWS(dir string) bool {
	found := false
	_ = filepath.WalkDir(filepath.Dir(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || found {
			return err
		}
		data, err := os.ReadFile(path)
		found = err == nil && namesAWS.Match(data)
		return err
	})
	return found
}

// override merges into the stack's own provider block.
func override(owner string, t Target) map[string]any {
	aws := map[string]any{
		"default_tags": []any{map[string]any{"tags": map[string]string{OwnerTag: owner}}},
	}
	if t.Embedded {
		endpoints := map[string]string{}
		for _, s := range services {
			endpoints[s] = t.Endpoint
		}
		aws["endpoints"] = []any{endpoints}
		aws["region"], aws["access_key"], aws["secret_key"] = t.Region, t.AccessKey, t.SecretKey
		aws["skip_metadata_api_check"] = "true"
		aws["skip_region_validation"] = true
	}
	return map[string]any{"provider": map[string]any{"aws": aws}}
}

func editFile(path string, edit func(name string, src []byte) ([]byte, error)) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	out, err := edit(filepath.Base(path), src)
	if err != nil {
		return err
	}
	return os.WriteFile(path, out, 0o600)
}

func withoutBackend(name string, src []byte) ([]byte, error) {
	file, diags := hclwrite.ParseConfig(src, name, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, fmt.Errorf("%w: %s", ErrInvalidStack, diags.Error())
	}
	changed := false
	for _, block := range file.Body().Blocks() {
		if block.Type() != "terraform" {
			continue
		}
		for _, inner := range block.Body().Blocks() {
			if inner.Type() == "backend" || inner.Type() == "cloud" {
				changed = block.Body().RemoveBlock(inner) || changed
			}
		}
	}
	if !changed {
		return src, nil
	}
	return file.Bytes(), nil
}

func withoutBackendJSON(name string, src []byte) ([]byte, error) {
	var doc map[string]any
	if err := json.Unmarshal(src, &doc); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInvalidStack, name, err)
	}
	blocks, ok := doc["terraform"]
	if !ok {
		return src, nil
	}
	list, isList := blocks.([]any)
	if !isList {
		list = []any{blocks}
	}
	for _, b := range list {
		if m, ok := b.(map[string]any); ok {
			delete(m, "backend")
			delete(m, "cloud")
		}
	}
	return json.MarshalIndent(doc, "", "  ")
}

// ErrInvalidStack says that the stack's files cannot be read as Terraform's.
var ErrInvalidStack = errors.New("the Terraform stack is not valid")

// Contents is what a stack declares.
type Contents struct {
	Resources   []string // types, sorted
	DataSources []string
	Outputs     []string
}

// Inspect reads the declarations of the rendered files in the folder path.
func Inspect(files map[string]string, folder string) (Contents, error) {
	var c Contents
	found := false
	for name, text := range files {
		if path.Dir(name) != folder {
			continue
		}
		found = true
		if !strings.HasSuffix(name, ".tf") {
			continue
		}
		file, diags := hclsyntax.ParseConfig([]byte(text), path.Base(name), hcl.InitialPos)
		if diags.HasErrors() {
			return c, fmt.Errorf("%w: %s", ErrInvalidStack, diags.Error())
		}
		for _, block := range file.Body.(*hclsyntax.Body).Blocks {
			switch {
			case block.Type == "resource" && len(block.Labels) == 2:
				c.Resources = append(c.Resources, block.Labels[0])
			case block.Type == "data" && len(block.Labels) == 2:
				c.DataSources = append(c.DataSources, block.Labels[0])
			case block.Type == "output" && len(block.Labels) == 1:
				c.Outputs = append(c.Outputs, block.Labels[0])
			}
		}
	}
	if !found {
		return c, fmt.Errorf("%w: there is no folder /%s with Terraform files", ErrInvalidStack, folder)
	}
	for _, list := range []*[]string{&c.Resources, &c.DataSources, &c.Outputs} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return c, nil
}

// Installation says where Terraform takes providers from.
type Installation struct {
	// Embedded is the mirror of the embedded providers.
	Embedded string
	// Mirror is a filesystem mirror of real providers; empty: the registry.
	Mirror string
	// UseEmbedded takes hashicorp/aws and hashicorp/random from Embedded.
	UseEmbedded bool
}

// registries under which the same providers are known.
var registries = []string{"registry.terraform.io", "registry.opentofu.org"}

// cliConfig is Terraform's CLI configuration for a run.
func (i Installation) cliConfig() string {
	var b strings.Builder
	var excluded []string
	mirror := func(path string, providers ...string) {
		var include []string
		for _, r := range registries {
			for _, p := range providers {
				include = append(include, fmt.Sprintf("%q", r+"/"+p))
			}
		}
		excluded = append(excluded, include...)
		fmt.Fprintf(&b, "  filesystem_mirror {\n    path    = %q\n    include = [%s]\n  }\n", path, strings.Join(include, ", "))
	}
	b.WriteString("provider_installation {\n")
	if i.UseEmbedded {
		mirror(i.Embedded, "hashicorp/aws", "hashicorp/random")
	} else if i.Mirror != "" {
		has := i.mirrored()
		mirror(i.Mirror, has...)
		if !slices.Contains(has, "hashicorp/random") {
			mirror(i.Embedded, "hashicorp/random")
		}
	}
	fmt.Fprintf(&b, "  direct {\n    exclude = [%s]\n  }\n}\n", strings.Join(excluded, ", "))
	return b.String()
}

// mirrored are the providers that the mirror holds, as hashicorp/aws.
func (i Installation) mirrored() []string {
	var providers []string
	for _, r := range registries {
		found, _ := fs.Glob(os.DirFS(i.Mirror), r+"/*/*")
		for _, f := range found {
			providers = append(providers, strings.TrimPrefix(f, r+"/"))
		}
	}
	slices.Sort(providers)
	return slices.Compact(providers)
}

func (i Installation) write(path string) error {
	return layout.WriteFile(path, []byte(i.cliConfig()), 0o600)
}
