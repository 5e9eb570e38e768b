package render

import (
	"errors"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// configuration fills the placeholders of a file in HCL. Where each one stands
// is what HCL's own lexer says: it reads the file with a plain number in place
// of every placeholder, and the token that holds the number is the place.
func configuration(file, src string, scope Scope) (string, Problems) {
	t := newTemplate(file, src)
	if len(t.holes) == 0 {
		return src, t.problems
	}
	tokens, _ := hclsyntax.LexConfig([]byte(t.plain), file, hcl.InitialPos) // Terraform says what is wrong with it
	var b strings.Builder
	pos, at := 0, 0
	for i, h := range t.holes {
		for at < len(tokens)-1 && tokens[at].Range.End.Byte <= h.start {
			at++
		}
		before := t.plain[pos:h.start]
		pos = h.end
		filled, eaten, err := t.fill(i, tokens, at, scope)
		if err != nil {
			t.problem(h, err)
			continue
		}
		b.WriteString(before[:len(before)-eaten] + filled)
	}
	b.WriteString(t.plain[pos:])
	return b.String(), t.problems
}

// fill is hole i, which stands in tokens[at], filled for its place; eaten is how
// many bytes before the hole it stands for as well.
func (t *template) fill(i int, tokens hclsyntax.Tokens, at int, scope Scope) (filled string, eaten int, err error) {
	h, token := t.holes[i], tokens[at]
	if token.Type == hclsyntax.TokenComment {
		return h.source, 0, nil
	}
	value, err := t.value(h, scope)
	if err != nil {
		return "", 0, err
	}
	switch token.Type {
	case hclsyntax.TokenQuotedLit:
		if err := t.checkQuoted(i); err != nil {
			return "", 0, err
		}
		filled, err = inString(value)
	case hclsyntax.TokenStringLit:
		run := t.plain[t.previousEnd(i):h.start]
		run = run[len(strings.TrimRight(run, "$%")):]
		filled, err = inHeredoc(run, value)
		eaten = len(run)
	case hclsyntax.TokenNumberLit:
		if !t.alone(tokens, at, h, value) {
			return "", 0, errBare
		}
		filled, err = bare(value)
	default:
		err = errBare
	}
	return filled, eaten, err
}

var (
	errBackslash = errors.New("no value can stand after a backslash")
	errBraces    = errors.New("no value can stand between $ or % and one of $, % and {")
	errBare      = errors.New("outside of quotes a value stands alone, as an expression; inside of quotes it can be part of a text")
)

// checkQuoted refuses the places in a string where a value, or an empty one,
// would join what stands around it to something else.
func (t *template) checkQuoted(i int) error {
	first, last := i, i
	for first > 0 && t.holes[first-1].end == t.holes[first].start {
		first--
	}
	for last < len(t.holes)-1 && t.holes[last].end == t.holes[last+1].start {
		last++
	}
	before, after := t.plain[:t.holes[first].start], t.plain[t.holes[last].end:]
	slashes := len(before) - len(strings.TrimRight(before, `\`))
	switch {
	case slashes%2 == 1:
		return errBackslash
	case before != strings.TrimRight(before, "$%") && after != strings.TrimLeft(after, "${%"):
		return errBraces
	}
	return nil
}

// alone reports whether a value is an expression by itself: neither joined with
// its neighbours, nor a name of something.
func (t *template) alone(tokens hclsyntax.Tokens, at int, h hole, value any) bool {
	token := tokens[at]
	if token.Range.Start.Byte != h.start || token.Range.End.Byte != h.end {
		return false
	}
	if strings.HasSuffix(strings.TrimSuffix(t.plain[:h.start], "-"), "<<") {
		return false // a value that is a word would begin a heredoc
	}
	_, isMap := value.(map[string]any)
	return (at == 0 || opensExpression(tokens[at-1])) && closesExpression(tokens[at+1], isMap) // EOF is last
}

// opensExpression reports whether a value after the token is its own operand.
func opensExpression(t hclsyntax.Token) bool {
	switch t.Type {
	case hclsyntax.TokenIdent:
		return string(t.Bytes) == "in" || string(t.Bytes) == "if"
	case hclsyntax.TokenDot, hclsyntax.TokenDoubleColon, hclsyntax.TokenNumberLit, hclsyntax.TokenCQuote,
		hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCBrace:
		return false
	}
	return true
}

// closesExpression reports whether a value before the token is no name, and no
// part of another value; parts can be taken of maps.
func closesExpression(t hclsyntax.Token, isMap bool) bool {
	switch t.Type {
	case hclsyntax.TokenIdent:
		return string(t.Bytes) == "if"
	case hclsyntax.TokenDot:
		return isMap
	case hclsyntax.TokenEqual, hclsyntax.TokenOBrace, hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc, hclsyntax.TokenOParen,
		hclsyntax.TokenDoubleColon, hclsyntax.TokenNumberLit:
		return false
	}
	return true
}
