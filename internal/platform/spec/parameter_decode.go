package spec

import (
	"regexp"
	"strings"
)

// parameterKey is what can stand in $var.<key>.
var parameterKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

func (d *decoder) parameters(v value) []Parameter {
	var ps []Parameter
	keys := map[string]bool{}
	for _, item := range v.items() {
		p := d.parameter(item)
		if keys[p.Key] {
			item.problem("a parameter %q stands above already", p.Key)
		}
		keys[p.Key] = true
		ps = append(ps, p)
	}
	return ps
}

func (d *decoder) parameter(v value) Parameter {
	f := v.object([]string{"key", "name", "description", "type", "modifiable", "required", "export", "defaultValue",
		"options", "labeledOptions", "limits", "regex"},
		"hasOptions", "tabIndex", "isList", "scope", "parameterDependencyMap", "dependentResourceID")
	p := Parameter{
		Key: required(v, f, "key"), Name: get(f, "name"), Description: get(f, "description"),
		Modifiable: flag(f, "modifiable"), Required: flag(f, "required"), Export: flag(f, "export"), Regex: get(f, "regex"),
	}
	if p.Key != "" && !parameterKey.MatchString(p.Key) {
		f["key"].problem("%q is not a name: want letters, digits, _ and -", p.Key)
	}
	if t, ok := f["type"]; ok {
		p.Type = Type(oneOf(t, types()...))
	} else {
		v.problem("type is missing; allowed: %s", strings.Join(types(), ", "))
	}
	if p.Regex != "" {
		if _, err := regexp.Compile(p.Regex); err != nil {
			f["regex"].problem("not a regular expression: %v", err)
			p.Regex = ""
		}
	}
	p.Options = options(f)
	if limits, ok := f["limits"]; ok {
		d.limits(limits, &p)
	}
	if def, ok := f["defaultValue"]; ok && !def.isNull() {
		text := def.text()
		p.Default = &text
		if problem := p.check(text); problem != "" && p.Type != "" {
			def.problem("the default is not allowed: %s", problem)
		}
	} else if !p.Required {
		v.problem("%s is neither required nor has a defaultValue", p.Key)
	}
	return p
}

func options(f map[string]value) []string {
	var all []string
	if list, ok := f["options"]; ok {
		for _, item := range list.items() {
			all = append(all, item.text())
		}
	}
	if labeled, ok := f["labeledOptions"]; ok && !labeled.isNull() {
		for i := 1; i < len(labeled.node.Content); i += 2 {
			all = append(all, labeled.node.Content[i].Value)
		}
	}
	return all
}

func (d *decoder) limits(v value, p *Parameter) {
	f := v.object([]string{"min", "max", "minLength", "maxLength"})
	for key, to := range map[string]**float64{"min": &p.Min, "max": &p.Max, "minLength": &p.MinLength, "maxLength": &p.MaxLength} {
		if n, ok := f[key]; ok && !n.isNull() {
			*to = n.number()
		}
	}
	if p.Min != nil && p.Max != nil && *p.Min > *p.Max {
		v.problem("min is larger than max")
	}
	if p.MinLength != nil && p.MaxLength != nil && *p.MinLength > *p.MaxLength {
		v.problem("minLength is larger than maxLength")
	}
}
