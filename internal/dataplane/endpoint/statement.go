package endpoint

import (
	"bytes"
	"slices"
	"strings"
)

// leavesNothing says whether SQL text, of any number of statements, leaves
// nothing in its session that a new one would not have: no settings, temporary
// objects, prepared statements, held cursors, advisory locks or listeners. It
// looks at the text alone, so it does not see what the functions do that are
// called there. In doubt the answer is no.
func leavesNothing(sql []byte) bool {
	s := scanner{text: sql}
	for {
		first := s.next()
		for first.kind == '(' || first.kind == ';' {
			first = s.next()
		}
		switch {
		case first.kind == tokenEnd:
			return true
		case first.kind != tokenWord || !s.statement(first):
			return false
		}
	}
}

// statement reads the rest of a statement, and says whether it leaves nothing.
func (s *scanner) statement(first token) bool {
	var space [maxWord]byte
	switch string(first.fold(&space)) {
	case "select", "insert", "update", "delete", "merge", "with", "values", "table", "copy", "truncate",
		"begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "lock", "notify",
		"declare", "fetch", "move", "close", // a cursor ends with its transaction, unless it is held
		"create", "alter", "drop", "comment", "grant", "revoke", "reindex", "refresh", "cluster",
		"explain", "analyze", "vacuum", "show":
	case "set", "prepare":
		second := s.next()
		if !slices.ContainsFunc([]string{"local", "transaction", "constraints"}, second.is) {
			return false
		}
	default:
		return false
	}
	for last := first; ; {
		t := s.next()
		switch t.kind {
		case ';', tokenEnd:
			return true
		case tokenBad:
			return false
		case tokenWord, tokenQuoted:
			if t.leaves(last) {
				return false
			}
			last = t
		}
	}
}

// leaves says whether a word, after the one before it, stands for something that
// stays in the session.
func (t token) leaves(before token) bool {
	if len(t.text) < len("temp") {
		return false
	}
	switch t.text[0] | 0x20 { // in lower case, for letters
	case 't':
		return (t.is("temp") || t.is("temporary")) &&
			slices.ContainsFunc([]string{"create", "replace", "local", "global", "into"}, before.is)
	case 'h':
		return t.is("hold") && !before.is("without")
	case 'c', 'd', 'l', 'p', 's':
		var space [maxWord]byte
		return keepsSomething(string(t.fold(&space)))
	}
	return false
}

// keepsSomething says whether a function, or the schema of temporary objects,
// has something to do with what its session keeps.
func keepsSomething(name string) bool {
	switch name {
	case "set_config", "setseed", "set_limit", "currval", "lastval":
		return true
	}
	for _, prefix := range []string{"dblink", "pg_temp", "pg_advisory_", "pg_try_advisory_", "pg_create_", "pg_replication_origin_"} {
		if strings.HasPrefix(name, prefix) {
			return !strings.Contains(name, "_advisory_xact_")
		}
	}
	return false
}

// isDiscardAll says whether SQL text is DISCARD ALL, which makes a session as new.
func isDiscardAll(sql []byte) bool {
	s := scanner{text: sql}
	return s.next().is("discard") && s.next().is("all") && s.ends()
}

// deallocated returns the prepared statement that SQL text removes, or that it
// removes all of them.
func deallocated(sql []byte) (name string, all, ok bool) {
	s := scanner{text: sql}
	if !s.next().is("deallocate") {
		return "", false, false
	}
	t := s.next()
	if t.is("prepare") {
		t = s.next()
	}
	name = string(t.text)
	switch {
	case t.is("all"):
		return "", true, s.ends()
	case t.kind == tokenWord:
		return strings.ToLower(name), false, s.ends()
	}
	return strings.ReplaceAll(name, `""`, `"`), false, t.kind == tokenQuoted && s.ends()
}

// maxWord is the length to which words are compared.
const maxWord = 32

// fold returns the beginning of a word in lower case.
func (t token) fold(space *[maxWord]byte) []byte {
	n := min(len(t.text), maxWord)
	for i, c := range t.text[:n] {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		space[i] = c
	}
	return space[:n]
}

// is says whether the token is a keyword.
func (t token) is(keyword string) bool {
	return t.kind == tokenWord && len(t.text) == len(keyword) && bytes.EqualFold(t.text, []byte(keyword))
}
