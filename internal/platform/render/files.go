package render

import (
	"encoding/json"
	"errors"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Files renders every file of a repository.
func Files(src map[string]string, scope Scope) (map[string]string, error) {
	return Stack(src, ".", scope)
}

// Stack renders the files of a repository that the stack in folder consists of:
// what is in the folder, and in the local modules that it names. The others are
// copied as they are. The error is Problems: all of them.
func Stack(src map[string]string, folder string, scope Scope) (map[string]string, error) {
	var problems Problems
	out := maps.Clone(src)
	done := map[string]bool{}
	for todo := []string{path.Clean(folder)}; len(todo) > 0; todo = todo[1:] {
		if done[todo[0]] {
			continue
		}
		done[todo[0]] = true
		for _, name := range slices.Sorted(maps.Keys(src)) {
			if !inFolder(name, todo[0]) {
				continue
			}
			text, ps := file(name, src[name], scope)
			problems = append(problems, ps...)
			out[name] = text
			todo = append(todo, modules(path.Dir(name), text)...)
		}
	}
	if len(problems) > 0 {
		return nil, unique(problems)
	}
	return out, nil
}

func inFolder(name, folder string) bool {
	return folder == "." || strings.HasPrefix(name, folder+"/")
}

// unique takes out what was found twice, since folders can hold each other.
func unique(problems Problems) Problems {
	seen := map[Problem]bool{}
	return slices.DeleteFunc(problems, func(p Problem) bool {
		defer func() { seen[p] = true }()
		return seen[p]
	})
}

// localModule finds the modules beside a stack.
var localModule = regexp.MustCompile(`(?m)^\s*"?source"?\s*[=:]\s*"(\.\.?/[^"]*)"`)

func modules(dir, text string) []string {
	var found []string
	for _, m := range localModule.FindAllStringSubmatch(text, -1) {
		found = append(found, path.Join(dir, m[1]))
	}
	return found
}

// File renders one file, by the kind that its name says it is.
func File(name, text string, scope Scope) (string, error) {
	out, problems := file(name, text, scope)
	if len(problems) > 0 {
		return "", problems
	}
	return out, nil
}

func file(name, text string, scope Scope) (string, Problems) {
	switch {
	case hasSuffix(name, ".tf.json", ".tofu.json", ".tfvars.json"):
		return jsonFile(name, text, scope)
	case hasSuffix(name, ".tf", ".tofu", ".tfvars"):
		return configuration(name, text, scope)
	}
	return text, nil
}

func hasSuffix(name string, suffixes ...string) bool {
	return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(name, s) })
}

// jsonFile fills the placeholders of a JSON file: in strings as text, elsewhere
// as JSON values.
func jsonFile(name, src string, scope Scope) (string, Problems) {
	t := newTemplate(name, src)
	var b strings.Builder
	pos, quote := 0, -1 // where the string that pos is in begins
	for _, h := range t.holes {
		b.WriteString(t.plain[pos:h.start])
		quote = openQuote(t.plain[:h.start], pos, quote)
		pos = h.end
		filled, err := t.fillJSON(h, quote, scope)
		if err != nil {
			t.problem(h, err)
		}
		b.WriteString(filled)
	}
	b.WriteString(t.plain[pos:])
	return b.String(), t.problems
}

// openQuote is where the string begins that the end of text is in, or -1; quote
// is the same of pos.
func openQuote(text string, pos, quote int) int {
	for i := pos; i < len(text); i++ {
		switch {
		case quote >= 0 && text[i] == '\\':
			i++
		case text[i] == '"' && quote >= 0:
			quote = -1
		case text[i] == '"':
			quote = i
		}
	}
	return quote
}

func (t *template) fillJSON(h hole, quote int, scope Scope) (string, error) {
	value, err := t.value(h, scope)
	if err != nil {
		return "", err
	}
	if quote < 0 {
		if !aloneInJSON(t.plain, h) {
			return "", errBare
		}
		return bareJSON(value)
	}
	var before string
	if err := json.Unmarshal([]byte(t.plain[quote:h.start]+`"`), &before); err != nil {
		return "", errBackslash
	}
	if isTemplate(before) {
		return "", errJSONExpression
	}
	if isKey(t.plain[h.end:]) {
		return "", errJSONKey
	}
	return inJSON(value, before == "", strings.HasPrefix(t.plain[h.end:], `"`))
}

// isKey reports whether the string that goes on with rest is a key.
func isKey(rest string) bool {
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case '"':
			return strings.HasPrefix(strings.TrimLeft(rest[i+1:], " \t\r\n"), ":")
		}
	}
	return false
}

// aloneInJSON reports whether a hole is a whole value, and no key.
func aloneInJSON(plain string, h hole) bool {
	before := strings.TrimRight(plain[:h.start], " \t\r\n")
	after := strings.TrimLeft(plain[h.end:], " \t\r\n")
	return (before == "" || strings.ContainsAny(before[len(before)-1:], ":[,")) && (after == "" || strings.ContainsAny(after[:1], ",]}"))
}

var (
	errJSON           = errors.New("a value with ${ or %{, or that would make one with what is beside it, cannot stand in a JSON file: use a .tf file")
	errJSONKey        = errors.New("no value can stand in a key of a JSON file: use a .tf file")
	errJSONExpression = errors.New("no value can stand in or after an expression of a JSON file: use a .tf file")
)
