package render

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Problem is a placeholder that cannot be filled.
type Problem struct {
	File         string
	Line, Column int
	Expression   string // as it stands in the file, with its braces
	Message      string
}

func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", p.File, p.Line, p.Column, p.Expression, p.Message)
}

// Problems is every problem that was found. It is an error.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// template is a file cut at its placeholders.
type template struct {
	file, src string
	plain     string // the file with standIn for every placeholder
	holes     []hole
	problems  Problems
}

// standIn can stand wherever a value can: it is an expression by itself, and
// part of a string.
const standIn = "0"

// hole is a placeholder: its place in plain, and in the source.
type hole struct {
	start, end int
	pos        int
	source     string // {{ $var.x }}
	expr       string // $var.x
	err        error  // it is none, but was meant as one
}

func newTemplate(file, src string) *template {
	t := &template{file: file, src: src}
	var b strings.Builder
	for i := 0; i < len(src); {
		next := strings.Index(src[i:], "{{")
		if next < 0 {
			b.WriteString(src[i:])
			break
		}
		b.WriteString(src[i : i+next])
		i += next
		h, ok := readHole(src[i:])
		if !ok {
			b.WriteByte(src[i])
			i++
			continue
		}
		h.start, h.end, h.pos = b.Len(), b.Len()+len(standIn), i
		b.WriteString(standIn)
		t.holes = append(t.holes, h)
		i += len(h.source)
	}
	t.plain = b.String()
	return t
}

// lost are braces that were meant as a placeholder, and are none.
var lost = regexp.MustCompile(`^\{\{\s*(\$|(sys|var|secret|func)\.[A-Za-z][^\r\n{}]*\}\})`)

var (
	errOpen     = errors.New("}} is missing on this line")
	errNoDollar = errors.New("an expression begins with $")
)

// readHole reads a placeholder at the start of s. Braces that were not meant as
// one are not ours: Docker and Go use them too.
func readHole(s string) (hole, bool) {
	if expr, n := placeholder(s); n > 0 {
		return hole{source: s[:n], expr: expr}, true
	}
	m := lost.FindStringSubmatch(s)
	if m == nil {
		return hole{}, false
	}
	h := hole{source: m[0], err: errOpen}
	if m[2] != "" {
		h.err = errNoDollar
	}
	return h, true
}

// previousEnd is where the hole before hole i ends, in plain.
func (t *template) previousEnd(i int) int {
	if i == 0 {
		return 0
	}
	return t.holes[i-1].end
}

func (t *template) value(h hole, scope Scope) (any, error) {
	if h.err != nil {
		return nil, h.err
	}
	return Eval(h.expr, scope)
}

func (t *template) problem(h hole, err error) {
	before := t.src[:h.pos]
	t.problems = append(t.problems, Problem{
		File: t.file, Line: 1 + strings.Count(before, "\n"), Column: h.pos - strings.LastIndexByte(before, '\n'),
		Expression: h.source, Message: err.Error(),
	})
}
