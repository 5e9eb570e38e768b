package sdkmodel

import (
	"bytes"
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strings"
)

// write prints all operations, and every member of the types of the wanted ones
// (of all, if none is given) that its Go name does not describe.
func (s *service) write(text *bytes.Buffer, item string, operations []string) {
	for _, name := range slices.Sorted(maps.Keys(s.results)) {
		fmt.Fprintln(text, strings.TrimSpace("operation "+name+" "+s.results[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(s.paths)) {
		if s.paths[name] != "/" {
			fmt.Fprintln(text, "path", name, s.paths[name])
		}
	}
	if len(operations) == 0 {
		operations = slices.Collect(maps.Keys(s.results))
	}
	for _, typeName := range s.reachable(operations) {
		for _, field := range slices.Sorted(maps.Keys(s.members[typeName])) {
			if !ast.IsExported(field) {
				continue
			}
			if words := s.irregular(s.members[typeName][field], field, item); words != "" {
				fmt.Fprintf(text, "%s.%s%s\n", typeName, field, words)
			}
		}
	}
}

func (s *service) irregular(m *member, field, item string) string {
	words := ""
	if m.in != "" && m.in != field {
		words += " in=" + m.in
	}
	if m.out != "" && m.out != field {
		words += " out=" + m.out
	}
	if name := s.items[m.outType]; name != "" && name != item {
		words += " item=" + name
	}
	if m.required {
		words += " required"
	}
	return words
}

// reachable are the types of the operations' inputs and outputs and all below.
func (s *service) reachable(operations []string) []string {
	seen := map[string]bool{}
	var visit func(typeName string)
	visit = func(typeName string) {
		typeName = strings.TrimPrefix(typeName, "[]")
		if seen[typeName] || s.members[typeName] == nil {
			return
		}
		seen[typeName] = true
		for _, m := range s.members[typeName] {
			visit(s.typeOf[m.inType])
			visit(s.typeOf[m.outType])
		}
	}
	for _, operation := range operations {
		visit(operation + "Input")
		visit(operation + "Output")
	}
	return slices.Sorted(maps.Keys(seen))
}
