package render

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Files renders the files of a stack, by their names.
func Files(src map[string]string, scope Scope) (map[string]string, error) {
	out := make(map[string]string, len(src))
	for _, name := range slices.Sorted(maps.Keys(src)) {
		text, err := File(name, src[name], scope)
		if err != nil {
			return nil, err
		}
		out[name] = text
	}
	return out, nil
}

// File renders one file, by the kind that its name says it is.
func File(name, text string, scope Scope) (string, error) {
	base := path.Base(name)
	switch {
	case strings.HasSuffix(base, ".tf.json") || strings.HasSuffix(base, ".tfvars.json"):
		return jsonFile(name, text, scope)
	case strings.HasSuffix(base, ".tf") || strings.HasSuffix(base, ".tfvars"):
		return configuration(name, text, scope)
	}
	return text, nil
}

// jsonFile fills the placeholders of a JSON file: in strings as text, elsewhere
// as JSON values.
func jsonFile(file, text string, scope Scope) (string, error) {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(text); {
		expr, n := placeholder(text[i:])
		if n == 0 {
			n = 1
			switch {
			case quoted && text[i] == '\\' && i+1 < len(text):
				n = 2
			case text[i] == '"':
				quoted = !quoted
			}
			b.WriteString(text[i : i+n])
			i += n
			continue
		}
		value, err := Eval(expr, scope)
		var filled string
		if err == nil {
			filled, err = inJSON(value)
		}
		if err != nil {
			return "", fmt.Errorf("%s:%d: {{ %s }}: %w", file, 1+strings.Count(text[:i], "\n"), expr, err)
		}
		if s, isText := value.(string); isText && !quoted && !isNumber(s) && s != "true" && s != "false" {
			filled = `"` + filled + `"`
		}
		b.WriteString(filled)
		i += n
	}
	return b.String(), nil
}
