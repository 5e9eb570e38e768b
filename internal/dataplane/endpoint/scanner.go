package endpoint

import "bytes"

// Kinds of tokens. A punctuation mark has its own byte as kind.
const (
	tokenEnd    byte = 0
	tokenWord   byte = 'w' // a keyword or an identifier
	tokenQuoted byte = 'q' // an identifier in quotes, without them
	tokenOther  byte = 'o' // a literal or a part of a number
	tokenBad    byte = 'b' // something unfinished, or too strange to judge
)

type token struct {
	kind byte
	text []byte // of words
}

// scanner reads the tokens of SQL text, as PostgreSQL's lexer does with
// standard_conforming_strings on (documentation, 4.1).
type scanner struct {
	text []byte
	at   int
}

func (s *scanner) next() token {
	if !s.skipSpace() {
		return token{kind: tokenBad}
	}
	if s.at >= len(s.text) {
		return token{}
	}
	switch c := s.text[s.at]; {
	case isWordStart(c):
		return s.word()
	case c == '\'':
		return s.quoted('\'', tokenOther, false)
	case c == '"':
		return s.quoted('"', tokenQuoted, false)
	case c == '$':
		return s.dollar()
	case '0' <= c && c <= '9':
		s.at++
		return token{kind: tokenOther}
	case c == 0:
		return token{kind: tokenBad}
	default:
		s.at++
		return token{kind: c}
	}
}

// ends says whether nothing follows but the end of the statement.
func (s *scanner) ends() bool {
	t := s.next()
	for t.kind == ';' {
		t = s.next()
	}
	return t.kind == tokenEnd
}

// skipSpace skips white space and comments. False: a comment does not end.
func (s *scanner) skipSpace() bool {
	for s.at < len(s.text) {
		switch rest := s.text[s.at:]; {
		case rest[0] == ' ' || '\t' <= rest[0] && rest[0] <= '\r':
			s.at++
		case bytes.HasPrefix(rest, []byte("--")):
			n := bytes.IndexAny(rest, "\n\r")
			if n < 0 {
				n = len(rest)
			}
			s.at += n
		case bytes.HasPrefix(rest, []byte("/*")):
			if !s.skipComment() {
				return false
			}
		default:
			return true
		}
	}
	return true
}

// skipComment skips a comment, and those in it.
func (s *scanner) skipComment() bool {
	depth := 0
	for s.at+1 < len(s.text) {
		switch string(s.text[s.at : s.at+2]) {
		case "/*":
			depth++
			s.at += 2
		case "*/":
			depth--
			s.at += 2
		default:
			s.at++
		}
		if depth == 0 {
			return true
		}
	}
	return false
}

func isWordStart(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= 0x80
}

func isWordPart(c byte) bool { return isWordStart(c) || '0' <= c && c <= '9' || c == '$' }

// word reads a word, or the literal that it is the prefix of.
func (s *scanner) word() token {
	start := s.at
	for s.at++; s.at < len(s.text) && isWordPart(s.text[s.at]); s.at++ {
	}
	word, rest := s.text[start:s.at], s.text[s.at:]
	if len(word) == 1 && len(rest) > 0 {
		switch letter := word[0] | 0x20; {
		case letter == 'e' && rest[0] == '\'':
			return s.quoted('\'', tokenOther, true)
		case letter == 'u' && bytes.HasPrefix(rest, []byte(`&"`)):
			return token{kind: tokenBad} // an identifier in code points could be anything
		}
	}
	return token{kind: tokenWord, text: word}
}

// quoted reads to the closing quote; two of them are one in the text.
func (s *scanner) quoted(quote, kind byte, escapes bool) token {
	start := s.at + 1
	for s.at++; s.at < len(s.text); s.at++ {
		if !escapes { // most of the text of large statements is in literals
			n := bytes.IndexByte(s.text[s.at:], quote)
			if n < 0 {
				break
			}
			s.at += n
		}
		switch {
		case escapes && s.text[s.at] == '\\':
			s.at++
		case s.text[s.at] != quote:
		case s.at+1 < len(s.text) && s.text[s.at+1] == quote:
			s.at++
		default:
			s.at++
			return token{kind: kind, text: s.text[start : s.at-1]}
		}
	}
	s.at = len(s.text)
	return token{kind: tokenBad}
}

// dollar reads a literal in dollar quotes, or the dollar of a parameter.
func (s *scanner) dollar() token {
	rest := s.text[s.at:]
	n := 1
	for n < len(rest) && isWordPart(rest[n]) && rest[n] != '$' {
		n++
	}
	if n == len(rest) || rest[n] != '$' || n > 1 && !isWordStart(rest[1]) {
		s.at++
		return token{kind: tokenOther}
	}
	tag := rest[:n+1]
	end := bytes.Index(rest[len(tag):], tag)
	if end < 0 {
		s.at = len(s.text)
		return token{kind: tokenBad}
	}
	s.at += end + 2*len(tag)
	return token{kind: tokenOther}
}
