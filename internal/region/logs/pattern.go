package logs

import (
	"slices"
	"strings"
)

// pattern is a filter pattern for text: all of some terms, none of others, and at
// least one of those that are marked with a question mark. Terms match in any part
// of the message, and their case counts.
type pattern struct{ all, any, none []string }

// parsePattern reads ERROR "out of memory" -test, or ?ERROR ?FATAL.
func parsePattern(text string) (pattern, error) {
	var p pattern
	rest := strings.TrimSpace(text)
	if rest != "" && strings.ContainsRune("{[%", rune(rest[0])) {
		return p, invalid("Invalid filter pattern: this region has patterns of terms, not of JSON, columns or regular expressions.")
	}
	for rest != "" {
		into := &p.all
		switch rest[0] {
		case '?':
			into, rest = &p.any, rest[1:]
		case '-':
			into, rest = &p.none, rest[1:]
		}
		term, after, ok := nextTerm(rest)
		if !ok || term == "" {
			return p, invalid("Invalid filter pattern: %.100s", text)
		}
		*into = append(*into, term)
		rest = strings.TrimSpace(after)
	}
	return p, nil
}

// nextTerm takes a word or a quoted phrase from the beginning of a text.
func nextTerm(text string) (term, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		if i := strings.IndexAny(text, " \t\n"); i >= 0 {
			return text[:i], text[i:], true
		}
		return text, "", true
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '"':
			return b.String(), text[i+1:], true
		case text[i] == '\\' && i+1 < len(text):
			i++
		}
		b.WriteByte(text[i])
	}
	return "", "", false
}

func (p pattern) matches(message string) bool {
	in := func(term string) bool { return strings.Contains(message, term) }
	return !slices.ContainsFunc(p.all, func(term string) bool { return !in(term) }) && !slices.ContainsFunc(p.none, in) &&
		(len(p.any) == 0 || len(p.all) > 0 || slices.ContainsFunc(p.any, in))
}
