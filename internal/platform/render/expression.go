package render

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Scope is the tree of values that expressions walk: map[string]any, []any,
// string, float64, bool and nil. Its roots are "var", "sys", "secret" and the keys of
// services.
type Scope map[string]any

// UnknownError says that an expression names something that the scope has not.
type UnknownError struct {
	Path   string // $var.nope
	Parent string // $var
	Known  []string
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("%s is not known; %s has: %s", e.Path, e.Parent, strings.Join(e.Known, ", "))
}

// Eval evaluates an expression, as $sys.deploymentCell.publicSubnetIDs[0].id or
// $func.base64encode($var.x).
func Eval(expr string, scope Scope) (any, error) {
	expr = strings.TrimSpace(expr)
	if arg, ok := strings.CutPrefix(expr, "$func."); ok {
		return call(arg, scope)
	}
	segments, err := parse(expr)
	if err != nil {
		return nil, err
	}
	return walk("$", map[string]any(scope), segments)
}

// Text is Eval for templates outside Terraform's files: {{ … }} anywhere in a
// text, each replaced by its value as text.
func Text(text string, scope Scope) (string, error) {
	t := newTemplate("", text)
	var b strings.Builder
	pos := 0
	for _, h := range t.holes {
		value, err := t.value(h, scope)
		if err != nil {
			return "", fmt.Errorf("%s: %w", h.source, err)
		}
		plain, err := asText(value)
		if err != nil {
			return "", fmt.Errorf("%s: %w", h.source, err)
		}
		b.WriteString(t.plain[pos:h.start] + plain)
		pos = h.end
	}
	b.WriteString(t.plain[pos:])
	return b.String(), nil
}

// placeholder reads {{ $… }} at the start of s: its expression, and its length
// or 0. Braces that hold no $ are not ours: Docker and Go use them too.
func placeholder(s string) (expr string, length int) {
	if !strings.HasPrefix(s, "{{") {
		return "", 0
	}
	end := strings.Index(s, "}}")
	if end < 0 {
		return "", 0
	}
	expr = strings.TrimSpace(s[2:end])
	if !strings.HasPrefix(expr, "$") || strings.ContainsAny(expr, "\n\r") {
		return "", 0
	}
	return expr, end + 2
}

func call(text string, scope Scope) (any, error) {
	name, rest, ok := strings.Cut(text, "(")
	arg, closed := strings.CutSuffix(strings.TrimSpace(rest), ")")
	if !ok || !closed || name != "base64encode" {
		return nil, fmt.Errorf("$func.%s: the one function is $func.base64encode(…)", text)
	}
	value, err := Eval(arg, scope)
	if err != nil {
		return nil, err
	}
	plain, err := asText(value)
	return base64.StdEncoding.EncodeToString([]byte(plain)), err
}

// segment is a step of a path: a key, an index, or all elements.
type segment struct {
	key   string
	index int
	kind  segmentKind
}

type segmentKind int

const (
	byKey segmentKind = iota
	byIndex
	all
)

func (s segment) String() string {
	switch s.kind {
	case byIndex:
		return "[" + strconv.Itoa(s.index) + "]"
	case all:
		return "[*]"
	}
	return "." + s.key
}

func isNameRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '-'
}

func parse(expr string) ([]segment, error) {
	rest, ok := strings.CutPrefix(expr, "$")
	if !ok {
		return nil, fmt.Errorf("%q is not an expression: it begins with $", expr)
	}
	rest = "." + rest
	var segments []segment
	for rest != "" {
		s, after, err := parseSegment(rest)
		if err != nil {
			return nil, fmt.Errorf("%q is not an expression: %w", expr, err)
		}
		segments, rest = append(segments, s), after
	}
	return segments, nil
}

func parseSegment(rest string) (segment, string, error) {
	if rest[0] == '.' {
		end := strings.IndexFunc(rest[1:], func(r rune) bool { return !isNameRune(r) })
		if end < 0 {
			end = len(rest) - 1
		}
		if end == 0 {
			return segment{}, "", fmt.Errorf("a name is missing at %q", rest)
		}
		return segment{key: rest[1 : 1+end]}, rest[1+end:], nil
	}
	inside, after, ok := strings.Cut(rest[1:], "]")
	if rest[0] != '[' || !ok {
		return segment{}, "", fmt.Errorf("unexpected %q", rest)
	}
	if inside == "*" {
		return segment{kind: all}, after, nil
	}
	if key, err := strconv.Unquote(inside); err == nil {
		return segment{key: key}, after, nil
	}
	index, err := strconv.Atoi(inside)
	if err != nil || index < 0 {
		return segment{}, "", fmt.Errorf("[%s] is not an index", inside)
	}
	return segment{kind: byIndex, index: index}, after, nil
}

func walk(path string, value any, segments []segment) (any, error) {
	if len(segments) == 0 {
		return value, nil
	}
	s, rest := segments[0], segments[1:]
	here := strings.Replace(path+s.String(), "$.", "$", 1)
	switch s.kind {
	case byKey:
		m, ok := value.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s: %s is no map", here, path)
		}
		next, ok := m[s.key]
		if !ok {
			return nil, &UnknownError{Path: here, Parent: path, Known: slices.Sorted(maps.Keys(m))}
		}
		return walk(here, next, rest)
	}
	list, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("%s: %s is no list", here, path)
	}
	if s.kind == byIndex {
		if s.index >= len(list) {
			return nil, fmt.Errorf("%s: %s has %d elements", here, path, len(list))
		}
		return walk(here, list[s.index], rest)
	}
	out := make([]any, len(list))
	for i, item := range list {
		v, err := walk(here, item, rest)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}
