package stack

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
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
func prepare(root, dir, owner string, t Target) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case native(e.Name()):
			err = editFile(path, withoutBackend)
		case isJSON(e.Name()):
			err = editFile(path, withoutBackendJSON)
		}
		if err != nil {
			return err
		}
	}
	if !usesAWS(root) {
		return nil // an override would make Terraform ask for the provider
	}
	data, err := json.MarshalIndent(override(owner, t), "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, overrideFile), data, 0o600)
}

var namesAWS = regexp.MustCompile(`"aws(_[a-z0-9_]+)?"|\baws\s*=\s*\{`)

// usesAWS reports whether the stack or a module that came with it names the
// provider.
func usesAWS(root string) bool {
	found := false
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
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

// Terraform's files and OpenTofu's, in the native syntax and in JSON.
func native(name string) bool { return hasSuffix(name, ".tf", ".tofu") }
func isJSON(name string) bool { return hasSuffix(name, ".tf.json", ".tofu.json") }

func hasSuffix(name string, suffixes ...string) bool {
	return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(name, s) })
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
