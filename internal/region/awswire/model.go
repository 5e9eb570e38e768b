package awswire

import (
	"embed"
	"fmt"
	"reflect"
	"strings"
)

//go:generate go run ./internal/gen

// modelFiles hold, for each service, what the SDK's types do not say: which
// operations there are, names that differ from those of Go, and what is required.
//
//go:embed model/*.txt
var modelFiles embed.FS

// model is the wire model of a service.
type model struct {
	operations map[string]string // operation → result element, empty if there is no output
	paths      map[string]string // path → operation, of REST services
	members    map[string]member // "Type.Field" → its irregularities
	shapes     map[reflect.Type]*shape
	defaults   member
}

// member is how a structure's field is called on the wire.
type member struct {
	in       string // in requests
	out      string // in answers
	item     string // of a list, in answers
	required bool
}

func loadModel(service string) *model {
	data, err := modelFiles.ReadFile("model/" + service + ".txt")
	if err != nil {
		panic(fmt.Sprintf("awswire: no model of %s: %v", service, err))
	}
	m := &model{operations: map[string]string{}, paths: map[string]string{}, members: map[string]member{}, shapes: map[reflect.Type]*shape{}}
	m.defaults.item = "member"
	if service == "ec2" {
		m.defaults.item = "item"
	}
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "operation" && len(words) == 2:
			m.operations[words[1]] = ""
		case words[0] == "path":
			m.paths[words[2]] = words[1]
		case words[0] == "operation":
			m.operations[words[1]] = words[2]
		default:
			m.members[words[0]] = parseMember(words[1:])
		}
	}
	return m
}

func parseMember(words []string) member {
	var f member
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "in":
			f.in = value
		case "out":
			f.out = value
		case "item":
			f.item = value
		case "required":
			f.required = true
		}
	}
	return f
}

// member returns the wire names of a field, where the Go name is the default.
func (m *model) member(typeName, field string) member {
	f := m.members[typeName+"."+field]
	if f.in == "" {
		f.in = field
	}
	if f.out == "" {
		f.out = field
	}
	if f.item == "" {
		f.item = m.defaults.item
	}
	return f
}
