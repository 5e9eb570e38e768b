package plugin

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Schemas are the schemas of one provider.
type Schemas struct {
	Provider    *tfprotov5.Schema
	Resources   map[string]*tfprotov5.Schema
	DataSources map[string]*tfprotov5.Schema
}

var nestings = map[string]tfprotov5.SchemaNestedBlockNestingMode{
	"single": tfprotov5.SchemaNestedBlockNestingModeSingle,
	"list":   tfprotov5.SchemaNestedBlockNestingModeList,
	"set":    tfprotov5.SchemaNestedBlockNestingModeSet,
}

// ParseSchemas reads schemas from text. A schema starts with a line "provider VERSION",
// "resource NAME VERSION" or "data NAME VERSION". Below it, two spaces deeper for each level, stand
// attributes, "NAME TYPE FLAG,FLAG" with the type as Terraform writes it in JSON, and nested blocks,
// "NAME block NESTING MIN MAX".
func ParseSchemas(text string) (*Schemas, error) {
	s := &Schemas{Resources: map[string]*tfprotov5.Schema{}, DataSources: map[string]*tfprotov5.Schema{}}
	var stack []*tfprotov5.SchemaBlock
	for n, line := range strings.Split(text, "\n") {
		body := strings.TrimLeft(line, " ")
		if body == "" || body[0] == '#' {
			continue
		}
		depth := (len(line) - len(body)) / 2
		if depth > len(stack) {
			return nil, fmt.Errorf("schema line %d: indented too far", n+1)
		}
		stack = stack[:depth]
		block, err := s.parseLine(strings.Fields(body), stack)
		if err != nil {
			return nil, fmt.Errorf("schema line %d: %w", n+1, err)
		}
		if block != nil {
			stack = append(stack, block)
		}
	}
	return s, nil
}

// parseLine adds one line to the innermost block, and returns the block that it opens.
func (s *Schemas) parseLine(words []string, stack []*tfprotov5.SchemaBlock) (*tfprotov5.SchemaBlock, error) {
	if len(stack) == 0 {
		return s.open(words)
	}
	parent := stack[len(stack)-1]
	if len(words) == 5 && words[1] == "block" {
		lowest, err1 := strconv.ParseInt(words[3], 10, 64)
		highest, err2 := strconv.ParseInt(words[4], 10, 64)
		nesting, ok := nestings[words[2]]
		if err1 != nil || err2 != nil || !ok {
			return nil, fmt.Errorf("not a block: %q", words)
		}
		nested := &tfprotov5.SchemaNestedBlock{
			TypeName: words[0], Nesting: nesting, MinItems: lowest, MaxItems: highest, Block: &tfprotov5.SchemaBlock{},
		}
		parent.BlockTypes = append(parent.BlockTypes, nested)
		return nested.Block, nil
	}
	if len(words) != 3 {
		return nil, fmt.Errorf("not an attribute: %q", words)
	}
	attribute, err := parseAttribute(words)
	parent.Attributes = append(parent.Attributes, attribute)
	return nil, err
}

func (s *Schemas) open(words []string) (*tfprotov5.SchemaBlock, error) {
	version, err := strconv.ParseInt(words[len(words)-1], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("no version: %q", words)
	}
	schema := &tfprotov5.Schema{Version: version, Block: &tfprotov5.SchemaBlock{}}
	switch {
	case words[0] == "provider" && len(words) == 2:
		s.Provider = schema
	case words[0] == "resource" && len(words) == 3:
		s.Resources[words[1]] = schema
	case words[0] == "data" && len(words) == 3:
		s.DataSources[words[1]] = schema
	default:
		return nil, fmt.Errorf("not the start of a schema: %q", words)
	}
	return schema.Block, nil
}

func parseAttribute(words []string) (*tfprotov5.SchemaAttribute, error) {
	//lint:ignore SA1019 it reads Terraform's own notation of types, and nothing else does
	typ, err := tftypes.ParseJSONType([]byte(words[1]))
	if err != nil {
		return nil, fmt.Errorf("type of %s: %w", words[0], err)
	}
	a := &tfprotov5.SchemaAttribute{Name: words[0], Type: typ}
	for _, flag := range strings.Split(words[2], ",") {
		switch flag {
		case "required":
			a.Required = true
		case "optional":
			a.Optional = true
		case "computed":
			a.Computed = true
		case "sensitive":
			a.Sensitive = true
		case "write_only":
			a.WriteOnly = true
		case "deprecated":
			a.Deprecated = true
		default:
			return nil, fmt.Errorf("%s: unknown flag %q", words[0], flag)
		}
	}
	return a, nil
}
