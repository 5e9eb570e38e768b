package plugin

import (
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
)

// validate checks a configuration against the rules.
func validate(rules Rules, path string, b *tfprotov5.SchemaBlock, config Object) error {
	var problems []error
	for _, a := range b.Attributes {
		name := join(path, a.Name)
		v := config[a.Name]
		if v == nil || isUnknown(v) {
			continue
		}
		problems = append(problems, checkValue(rules[name], root(name), a.Name, v))
		for _, other := range rules[name].Conflicts {
			if config[other] != nil && !isUnknown(config[other]) {
				problems = append(problems, &Problem{Attribute: root(name), Summary: "Conflicting configuration arguments",
					Detail: fmt.Sprintf("%q: conflicts with %s", a.Name, other)})
			}
		}
	}
	for _, n := range b.BlockTypes {
		name := join(path, n.TypeName)
		elements := list(config[n.TypeName])
		if single, ok := config[n.TypeName].(Object); ok {
			elements = []any{single}
		}
		for _, e := range elements {
			if o, ok := e.(Object); ok {
				problems = append(problems, validate(rules, name, n.Block, o))
			}
		}
	}
	return errors.Join(problems...)
}

func checkValue(rule Rule, attribute, name string, v any) error {
	if rule.Check == nil {
		return nil
	}
	values := []any{v}
	if l, ok := v.([]any); ok {
		values = l
	}
	var problems []error
	for _, v := range values {
		if v == nil || isUnknown(v) {
			continue
		}
		if wrong := rule.Check(v); wrong != "" {
			problems = append(problems, &Problem{Attribute: attribute, Summary: fmt.Sprintf("%s %s", name, wrong), Detail: fmt.Sprintf("The value is %#v.", v)})
		}
	}
	return errors.Join(problems...)
}

// root is the top-level attribute of a path: deeper ones would need indexes.
func root(path string) string {
	for i, r := range path {
		if r == '.' {
			return path[:i]
		}
	}
	return path
}
