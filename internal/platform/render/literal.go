package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// errNotText is a value that no text file can hold.
var errNotText = errors.New("the value is not text: it has bytes that are not UTF-8, or a NUL")

// asText is a value as text without quotes: lists and maps as JSON.
func asText(value any) (string, error) {
	switch v := value.(type) {
	case string:
		if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
			return "", errNotText
		}
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	}
	data, err := json.Marshal(value)
	return string(data), err
}

// inString is a value inside a quoted string of HCL. Every character that means
// something there is written as an escape, also those that only mean something
// together with what stands before or after the placeholder, as $ before {.
func inString(value any) (string, error) {
	text, err := asText(value)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r < 0x20 || strings.ContainsRune("$%{}", r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String(), nil
}

// inHeredoc is a value inside a heredoc: an interpolated string, so that no line
// of it can be the end of the heredoc.
func inHeredoc(value any) (string, error) {
	s, err := inString(value)
	return `${"` + s + `"}`, err
}

// bare is a value as one literal of HCL. Text that is a number or a boolean, as
// parameters are, is written as one.
func bare(value any) (string, error) {
	switch v := value.(type) {
	case string:
		if isNumber(v) || v == "true" || v == "false" {
			return v, nil
		}
		s, err := inString(v)
		return `"` + s + `"`, err
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			var err error
			if parts[i], err = element(item); err != nil {
				return "", err
			}
		}
		return "[" + strings.Join(parts, ", ") + "]", nil
	case map[string]any:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			name, err := inString(key)
			if err != nil {
				return "", err
			}
			item, err := element(v[key])
			if err != nil {
				return "", err
			}
			parts = append(parts, `"`+name+`" = `+item)
		}
		return "{" + strings.Join(parts, ", ") + "}", nil
	case nil:
		return "null", nil
	}
	return asText(value)
}

// element is bare, but a string stays a string.
func element(value any) (string, error) {
	if s, ok := value.(string); ok {
		text, err := inString(s)
		return `"` + text + `"`, err
	}
	return bare(value)
}

// isNumber reports whether text is a number in the one way that Terraform would
// write it, so that 007 stays text.
func isNumber(text string) bool {
	n, err := strconv.ParseFloat(text, 64)
	return err == nil && strconv.FormatFloat(n, 'f', -1, 64) == text && !strings.ContainsAny(text, "INn")
}

// inJSON is a value inside a string of a JSON file. Terraform reads some of
// these strings as templates and some not, so a value that would be one is
// refused.
func inJSON(value any) (string, error) {
	text, err := asText(value)
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(text, "$%{") {
		return "", errors.New("a value with $, % or { cannot stand in a JSON file; use a .tf file")
	}
	data, err := json.Marshal(text)
	return string(data[1 : len(data)-1]), err
}
