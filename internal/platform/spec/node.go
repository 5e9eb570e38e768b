package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder walks a document and collects what is wrong with it.
type decoder struct {
	file     string
	problems Problems
	warnings []Problem
	merges   int
}

// value is a YAML node with its path, for messages.
type value struct {
	d    *decoder
	node *yaml.Node
	path string
}

func (v value) problem(format string, args ...any) {
	v.d.problems = append(v.d.problems, v.at(fmt.Sprintf(format, args...)))
}

func (v value) warn(format string, args ...any) {
	v.d.warnings = append(v.d.warnings, v.at(fmt.Sprintf(format, args...)))
}

func (v value) at(message string) Problem {
	return Problem{File: v.d.file, Line: v.node.Line, Column: v.node.Column, Path: v.path, Message: message}
}

func (v value) isNull() bool { return v.node.Kind == yaml.ScalarNode && v.node.Tag == "!!null" }

// resolved follows aliases.
func (v value) resolved() value {
	for v.node.Kind == yaml.AliasNode {
		v.node = v.node.Alias
	}
	return v
}

// object is a mapping whose keys are checked: each is one of known (in any
// case), one of ignored (accepted, with a warning), or begins with "x-".
func (v value) object(known []string, ignored ...string) map[string]value {
	fields := map[string]value{}
	v = v.resolved()
	if v.isNull() {
		return fields
	}
	if v.node.Kind != yaml.MappingNode {
		v.problem("want a map of %s", strings.Join(known, ", "))
		return fields
	}
	v.collect(fields, known, ignored)
	return fields
}

// maxMerges bounds the merge keys that are followed: a document that merges
// itself would never end.
const maxMerges = 1000

func (v value) collect(fields map[string]value, known, ignored []string) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key := value{v.d, v.node.Content[i], v.path}
		field := value{v.d, v.node.Content[i+1], join(v.path, key.node.Value)}
		if key.node.Tag == "!!merge" {
			field.merge(fields, known, ignored)
			continue
		}
		name, ok := canonical(key.node.Value, known)
		switch {
		case ok && seen[name]:
			key.problem("%q stands twice", key.node.Value)
		case ok:
			seen[name] = true
			fields[name] = field.resolved()
			if name != key.node.Value {
				key.warn("%q is written %q", key.node.Value, name)
			}
		case strings.HasPrefix(key.node.Value, "x-"):
		case containsFold(ignored, key.node.Value):
			key.warn("%s has no effect here", key.node.Value)
		default:
			all := slices.Concat(known, ignored)
			key.problem("unknown key %q%s; allowed: %s", key.node.Value, suggest(key.node.Value, all), strings.Join(known, ", "))
		}
	}
}

// merge adds the fields of a merge key that are not there yet.
func (v value) merge(fields map[string]value, known, ignored []string) {
	v = v.resolved()
	sources := []value{v}
	if v.node.Kind == yaml.SequenceNode {
		sources = v.items()
	}
	for _, s := range sources {
		s = s.resolved()
		if s.node.Kind != yaml.MappingNode {
			s.problem("a merge key takes a map")
			continue
		}
		if s.d.merges++; s.d.merges > maxMerges {
			if s.d.merges == maxMerges+1 {
				s.problem("more than %d merges", maxMerges)
			}
			return
		}
		merged := map[string]value{}
		s.collect(merged, known, ignored)
		for name, field := range merged {
			if _, there := fields[name]; !there {
				fields[name] = field
			}
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func canonical(key string, known []string) (string, bool) {
	for _, k := range known {
		if strings.EqualFold(k, key) {
			return k, true
		}
	}
	return "", false
}

func containsFold(list []string, key string) bool {
	_, ok := canonical(key, list)
	return ok
}

// items are the elements of a list.
func (v value) items() []value {
	v = v.resolved()
	if v.isNull() {
		return nil
	}
	if v.node.Kind != yaml.SequenceNode {
		v.problem("want a list")
		return nil
	}
	items := make([]value, len(v.node.Content))
	for i, node := range v.node.Content {
		items[i] = value{v.d, node, v.path + "[" + strconv.Itoa(i) + "]"}.resolved()
	}
	return items
}

// text is a scalar as it is written.
func (v value) text() string {
	if v.node.Kind != yaml.ScalarNode || v.isNull() {
		v.problem("want text")
		return ""
	}
	return v.node.Value
}

func (v value) boolean() bool {
	b, err := strconv.ParseBool(v.node.Value)
	if v.node.Kind != yaml.ScalarNode || err != nil {
		v.problem("want true or false")
	}
	return b
}

func (v value) number() *float64 {
	n, err := strconv.ParseFloat(v.node.Value, 64)
	if v.node.Kind != yaml.ScalarNode || err != nil {
		v.problem("want a number")
		return nil
	}
	return &n
}

// get returns the text of an optional field.
func get(fields map[string]value, key string) string {
	if f, ok := fields[key]; ok && !f.isNull() {
		return f.text()
	}
	return ""
}

func flag(fields map[string]value, key string) bool {
	if f, ok := fields[key]; ok && !f.isNull() {
		return f.boolean()
	}
	return false
}

// required is get for a field that must be there.
func required(v value, fields map[string]value, key string) string {
	f, ok := fields[key]
	if !ok || f.isNull() || f.node.Value == "" && f.node.Kind == yaml.ScalarNode {
		v.problem("%s is missing", key)
		return ""
	}
	return f.text()
}
