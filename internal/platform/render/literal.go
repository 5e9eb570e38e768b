package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// errNotText is a value that no text file can hold.
var errNotText = errors.New("the value is not text: it has bytes that are not UTF-8, or a NUL")

// check refuses a value that is no tree of what a Scope holds, or that no text
// file can hold.
func check(value any) error {
	switch v := value.(type) {
	case nil, bool:
	case string:
		if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
			return errNotText
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("the value is not a number")
		}
	case []any:
		for _, item := range v {
			if err := check(item); err != nil {
				return err
			}
		}
	case map[string]any:
		for key, item := range v {
			if err := errors.Join(check(key), check(item)); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("a value of type %T cannot be written", v)
	}
	return nil
}

// asText is a value as text without quotes: lists and maps as JSON.
func asText(value any) (string, error) {
	if err := check(value); err != nil {
		return "", err
	}
	if s, ok := value.(string); ok {
		return s, nil
	}
	return asJSON(value)
}

// asJSON is a checked value as JSON.
func asJSON(value any) (string, error) {
	if n, ok := value.(float64); ok {
		return strconv.FormatFloat(n, 'f', -1, 64), nil
	}
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return strings.TrimSuffix(buf.String(), "\n"), err
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

// inHeredoc is a value inside a heredoc, after the $ and % right before it: an
// interpolated string, so that no line of it can be the end of the heredoc.
func inHeredoc(before string, value any) (string, error) {
	text, err := asText(value)
	if err != nil {
		return "", err
	}
	s, err := inString(before + text)
	return `${"` + s + `"}`, err
}

// bare is a value as one literal of HCL. Text that is a number or a boolean, as
// parameters are, is written as one.
func bare(value any) (string, error) {
	if err := check(value); err != nil {
		return "", err
	}
	if s, ok := value.(string); ok && isLiteral(s) {
		return s, nil
	}
	return literal(value)
}

// literal is bare, but a string stays a string.
func literal(value any) (string, error) {
	switch v := value.(type) {
	case string:
		s, err := inString(v)
		return `"` + s + `"`, err
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			var err error
			if parts[i], err = literal(item); err != nil {
				return "", err
			}
		}
		return "[" + strings.Join(parts, ", ") + "]", nil
	case map[string]any:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			name, err := literal(key)
			if err != nil {
				return "", err
			}
			item, err := literal(v[key])
			if err != nil {
				return "", err
			}
			parts = append(parts, name+" = "+item)
		}
		return "{" + strings.Join(parts, ", ") + "}", nil
	}
	return asJSON(value)
}

// isLiteral reports whether text is a boolean, or a number in the one way that
// Terraform would write it, so that 007 stays text.
func isLiteral(text string) bool {
	if text == "true" || text == "false" {
		return true
	}
	n, err := strconv.ParseFloat(text, 64)
	return err == nil && strconv.FormatFloat(n, 'f', -1, 64) == text && !strings.ContainsAny(text, "INn") && text != "-0"
}

// inJSON is a value inside a string of a JSON file, at its start, at its end or
// within. Terraform reads some of these strings as templates and some not, so a
// value that would be one is refused.
func inJSON(value any, atStart, atEnd bool) (string, error) {
	text, err := asText(value)
	if err != nil {
		return "", err
	}
	joins := !atStart && strings.HasPrefix(text, "{") || !atEnd && strings.HasSuffix(text, "$") || !atEnd && strings.HasSuffix(text, "%") ||
		text == "" && !atStart && !atEnd ||
		strings.HasPrefix(text, "\ufeff") // HCL takes it for a mark of the encoding
	if joins || isTemplate(text) {
		return "", errJSON
	}
	quoted, err := asJSON(text)
	return ascii(strings.TrimSuffix(strings.TrimPrefix(quoted, `"`), `"`)), err
}

// ascii escapes what is more than ASCII in JSON: HCL does not see a quote beside
// a character that combines with it.
func ascii(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// bareJSON is a value as one JSON value.
func bareJSON(value any) (string, error) {
	if err := check(value); err != nil {
		return "", err
	}
	if s, ok := value.(string); ok && isLiteral(s) {
		return s, nil
	}
	text, err := asJSON(value)
	if err == nil && isTemplate(text) {
		err = errJSON
	}
	return ascii(text), err
}

func isTemplate(text string) bool {
	return strings.Contains(text, "${") || strings.Contains(text, "%{")
}
