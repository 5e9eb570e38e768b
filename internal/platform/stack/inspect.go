package stack

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	hcljson "github.com/hashicorp/hcl/v2/json"
)

// ErrInvalidStack says that the stack's files cannot be read as Terraform's.
var ErrInvalidStack = errors.New("the Terraform stack is not valid")

// Contents is what a stack declares: types of its resources and data sources,
// those of its local modules included, and its own outputs. Sorted.
type Contents struct {
	Resources   []string
	DataSources []string
	Outputs     []string
}

// Inspect reads the declarations of the rendered files in the folder path.
func Inspect(files map[string]string, folder string) (Contents, error) {
	var all Contents
	seen := map[string]bool{}
	for todo := []string{folder}; len(todo) > 0; todo = todo[1:] {
		if seen[todo[0]] {
			continue
		}
		seen[todo[0]] = true
		c, modules, found, err := inspectFolder(files, todo[0])
		if err != nil {
			return all, err
		}
		if todo[0] == folder {
			if !found {
				return all, fmt.Errorf("%w: there is no folder /%s with Terraform files", ErrInvalidStack, folder)
			}
			all.Outputs = c.Outputs
		}
		all.Resources = append(all.Resources, c.Resources...)
		all.DataSources = append(all.DataSources, c.DataSources...)
		todo = append(todo, modules...)
	}
	for _, list := range []*[]string{&all.Resources, &all.DataSources, &all.Outputs} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return all, nil
}

func inspectFolder(files map[string]string, folder string) (c Contents, modules []string, found bool, err error) {
	for name, text := range files {
		if path.Dir(name) != path.Clean(folder) {
			continue
		}
		found = true
		body, err := parse(name, text)
		if err != nil {
			return c, nil, found, err
		}
		if body == nil {
			continue
		}
		content, _, diags := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
			{Type: "resource", LabelNames: []string{"type", "name"}}, {Type: "data", LabelNames: []string{"type", "name"}},
			{Type: "output", LabelNames: []string{"name"}}, {Type: "module", LabelNames: []string{"name"}},
		}})
		if diags.HasErrors() {
			return c, nil, found, fmt.Errorf("%w: %s", ErrInvalidStack, diags.Error())
		}
		for _, block := range content.Blocks {
			switch block.Type {
			case "resource":
				c.Resources = append(c.Resources, block.Labels[0])
			case "data":
				c.DataSources = append(c.DataSources, block.Labels[0])
			case "output":
				c.Outputs = append(c.Outputs, block.Labels[0])
			case "module":
				if source := localSource(block.Body); source != "" {
					modules = append(modules, path.Join(folder, source))
				}
			}
		}
	}
	return c, modules, found, nil
}

// parse reads one file in the syntax that its name says; other files have no
// body.
func parse(name, text string) (hcl.Body, error) {
	var file *hcl.File
	var diags hcl.Diagnostics
	switch {
	case native(name):
		file, diags = hclsyntax.ParseConfig([]byte(text), path.Base(name), hcl.InitialPos)
	case isJSON(name):
		file, diags = hcljson.Parse([]byte(text), path.Base(name))
	default:
		return nil, nil
	}
	if diags.HasErrors() {
		return nil, fmt.Errorf("%w: %s", ErrInvalidStack, diags.Error())
	}
	return file.Body, nil
}

// localSource is the folder of a module that came with the stack, or "".
func localSource(module hcl.Body) string {
	content, _, _ := module.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "source"}}})
	if content == nil || content.Attributes["source"] == nil {
		return ""
	}
	value, diags := content.Attributes["source"].Expr.Value(nil)
	if diags.HasErrors() || value.IsNull() || !value.IsKnown() || value.Type().FriendlyName() != "string" {
		return ""
	}
	source := value.AsString()
	if !strings.HasPrefix(source, "./") && !strings.HasPrefix(source, "../") {
		return ""
	}
	return source
}
