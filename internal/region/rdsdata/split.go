package rdsdata

import "strings"

// piece is a part of SQL: text, or the name of a parameter.
type piece struct {
	text      string
	parameter bool
}

// split finds the parameters, :name, in SQL. What is in quotes or comments is none,
// and neither is a cast.
func split(sql string) []piece {
	var pieces []piece
	start := 0
	for i := 0; i < len(sql); {
		if n := opaque(sql[i:], wordBefore(sql, i)); n > 0 {
			i += n
			continue
		}
		name := nameAt(sql, i)
		if name == "" {
			i++
			continue
		}
		pieces = append(pieces, piece{text: sql[start:i]}, piece{name, true})
		i += 1 + len(name)
		start = i
	}
	return append(pieces, piece{text: sql[start:]})
}

// firstWord is that of a statement, after comments.
func firstWord(sql string) string {
	for sql != "" {
		n := opaque(sql, false)
		if n == 0 && strings.IndexByte(" \t\r\n\f\v;", sql[0]) >= 0 {
			n = 1
		}
		if n == 0 || sql[0] != '-' && sql[0] != '/' && n > 1 {
			break
		}
		sql = sql[n:]
	}
	end := 0
	for end < len(sql) && isWord(sql[end]) {
		end++
	}
	return sql[:end]
}

// nameAt is the name of the parameter that begins at i, if one does.
func nameAt(sql string, i int) string {
	if sql[i] != ':' || i > 0 && sql[i-1] == ':' {
		return ""
	}
	end := i + 1
	for end < len(sql) && isWord(sql[end]) {
		end++
	}
	if end == i+1 || '0' <= sql[i+1] && sql[i+1] <= '9' {
		return "" // a cast, or the bounds of an array's slice
	}
	return sql[i+1 : end]
}

// wordBefore says that the character before i belongs to a word.
func wordBefore(sql string, i int) bool { return i > 0 && isWord(sql[i-1]) }

func isWord(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c >= 0x80
}

// opaque is how much at the beginning of sql is quoted or a comment; all of it if
// that does not end. inWord says that a word goes on there.
func opaque(sql string, inWord bool) int {
	switch {
	case sql[0] == '\'' || sql[0] == '"':
		return quoted(sql, sql[0], false)
	case (sql[0] == 'e' || sql[0] == 'E') && !inWord && len(sql) > 1 && sql[1] == '\'':
		return 1 + quoted(sql[1:], '\'', true)
	case sql[0] == '$' && !inWord:
		return dollarQuoted(sql)
	case strings.HasPrefix(sql, "--"):
		if end := strings.IndexByte(sql, '\n'); end >= 0 {
			return end
		}
		return len(sql)
	case strings.HasPrefix(sql, "/*"):
		return comment(sql)
	}
	return 0
}

// quoted is the length of what is between two quotes, which stand for one where they
// are doubled: that is the same as two strings in a row.
func quoted(sql string, quote byte, escapes bool) int {
	for i := 1; i < len(sql); i++ {
		switch {
		case escapes && sql[i] == '\\':
			i++
		case sql[i] == quote && escapes && i+1 < len(sql) && sql[i+1] == quote:
			i++
		case sql[i] == quote:
			return i + 1
		}
	}
	return len(sql)
}

// dollarQuoted is the length of $tag$…$tag$; 0 if none begins here.
func dollarQuoted(sql string) int {
	end := 1
	for end < len(sql) && isWord(sql[end]) && (end > 1 || sql[end] < '0' || sql[end] > '9') {
		end++
	}
	if end == len(sql) || sql[end] != '$' {
		return 0
	}
	tag := sql[:end+1]
	if close := strings.Index(sql[len(tag):], tag); close >= 0 {
		return len(tag) + close + len(tag)
	}
	return len(sql)
}

// comment is the length of a comment, which may have others in it.
func comment(sql string) int {
	depth := 0
	for i := 0; i+1 < len(sql); i++ {
		switch sql[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(sql)
}
