package render

import (
	"fmt"
	"strings"
)

// context is where in HCL a byte stands.
type context int

const (
	inBody        context = iota // blocks and expressions
	inQuotes                     // a quoted string
	inHere                       // a heredoc
	inLineComment                // to the end of the line
	inComment                    // /* … */
)

// frame is a context within another.
type frame struct {
	context
	depth  int    // of braces, in an interpolation's body
	marker string // that ends a heredoc
}

// scanner walks HCL source and keeps the context of each byte.
type scanner struct {
	src   string
	pos   int
	stack []frame
	out   strings.Builder
}

func (s *scanner) top() *frame { return &s.stack[len(s.stack)-1] }

func (s *scanner) push(f frame) { s.stack = append(s.stack, f) }

func (s *scanner) pop() {
	if len(s.stack) > 1 {
		s.stack = s.stack[:len(s.stack)-1]
	}
}

// emit copies n bytes of the source.
func (s *scanner) emit(n int) {
	n = min(n, len(s.src)-s.pos)
	s.out.WriteString(s.src[s.pos : s.pos+n])
	s.pos += n
}

func (s *scanner) at(text string) bool { return strings.HasPrefix(s.src[s.pos:], text) }

// configuration fills the placeholders of a .tf or .tfvars file.
func configuration(file, src string, scope Scope) (string, error) {
	s := &scanner{src: src, stack: []frame{{context: inBody}}}
	for s.pos < len(s.src) {
		if expr, n := placeholder(s.src[s.pos:]); n > 0 && s.top().context != inLineComment && s.top().context != inComment {
			text, err := s.fill(expr, scope)
			if err != nil {
				return "", fmt.Errorf("%s:%d: {{ %s }}: %w", file, 1+strings.Count(s.src[:s.pos], "\n"), expr, err)
			}
			s.out.WriteString(text)
			s.pos += n
			continue
		}
		s.step()
	}
	return s.out.String(), nil
}

func (s *scanner) fill(expr string, scope Scope) (string, error) {
	value, err := Eval(expr, scope)
	if err != nil {
		return "", err
	}
	switch s.top().context {
	case inQuotes:
		return inString(value)
	case inHere:
		return inHeredoc(value)
	}
	return bare(value)
}

// step copies the next token and follows the context.
func (s *scanner) step() {
	switch s.top().context {
	case inBody:
		s.stepBody()
	case inQuotes:
		s.stepQuotes()
	case inHere:
		s.stepHeredoc()
	case inLineComment:
		if s.src[s.pos] == '\n' {
			s.pop()
		}
		s.emit(1)
	case inComment:
		if s.at("*/") {
			s.pop()
			s.emit(1)
		}
		s.emit(1)
	}
}

func (s *scanner) stepBody() {
	switch c := s.src[s.pos]; {
	case c == '"':
		s.push(frame{context: inQuotes})
	case c == '#' || s.at("//"):
		s.push(frame{context: inLineComment})
	case s.at("/*"):
		s.push(frame{context: inComment})
		s.emit(1)
	case s.at("<<"):
		if marker, n := heredocMarker(s.src[s.pos:]); n > 0 {
			s.emit(n)
			s.push(frame{context: inHere, marker: marker})
			return
		}
	case c == '{':
		s.top().depth++
	case c == '}':
		if len(s.stack) > 1 && s.top().depth == 0 {
			s.pop() // the end of an interpolation
		} else {
			s.top().depth--
		}
	}
	s.emit(1)
}

// heredocMarker reads <<EOT or <<-EOT with the end of its line.
func heredocMarker(src string) (marker string, length int) {
	rest := strings.TrimPrefix(src[2:], "-")
	line, _, ok := strings.Cut(rest, "\n")
	marker = strings.TrimSuffix(line, "\r")
	if !ok || marker == "" || strings.ContainsFunc(marker, func(r rune) bool { return !isNameRune(r) }) {
		return "", 0
	}
	return marker, len(src) - len(rest) + len(line) + 1
}

func (s *scanner) stepQuotes() {
	switch {
	case s.at(`\`):
		s.emit(2)
	case s.at(`"`):
		s.pop()
		s.emit(1)
	default:
		s.stepTemplate()
	}
}

// stepTemplate follows ${ and %{ into their expressions.
func (s *scanner) stepTemplate() {
	switch {
	case s.at("$${") || s.at("%%{"):
		s.emit(3)
	case s.at("${") || s.at("%{"):
		if _, n := placeholder(s.src[s.pos+1:]); n > 0 {
			s.emit(1) // a plain $ before a placeholder
			return
		}
		s.emit(2)
		s.push(frame{context: inBody})
	default:
		s.emit(1)
	}
}

func (s *scanner) stepHeredoc() {
	atLineStart := s.src[s.pos-1] == '\n'
	if atLineStart {
		line, _, _ := strings.Cut(s.src[s.pos:], "\n")
		if strings.TrimSpace(line) == s.top().marker {
			s.pop()
			s.emit(len(line))
			return
		}
	}
	s.stepTemplate()
}
