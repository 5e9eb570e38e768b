package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Providers are the providers that Init chose, as hashicorp/aws, with their
// versions.
func (r *Run) Providers() (map[string]string, error) {
	data, err := os.ReadFile(r.path(".terraform.lock.hcl"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a stack without providers
	}
	if err != nil {
		return nil, err
	}
	file, diags := hclsyntax.ParseConfig(data, "lock", hcl.InitialPos)
	if diags.HasErrors() {
		return nil, fmt.Errorf("read the lock file of Terraform: %w", diags)
	}
	versions := map[string]string{}
	for _, block := range file.Body.(*hclsyntax.Body).Blocks {
		if block.Type != "provider" || len(block.Labels) != 1 || block.Body.Attributes["version"] == nil {
			continue
		}
		version, diags := block.Body.Attributes["version"].Expr.Value(nil)
		if diags.HasErrors() {
			return nil, fmt.Errorf("read the lock file of Terraform: %w", diags)
		}
		_, name, _ := strings.Cut(block.Labels[0], "/")
		versions[name] = version.AsString()
	}
	return versions, nil
}
