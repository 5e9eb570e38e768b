package stack

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"unicode"
)

// mask finds secrets in what Terraform says, however it writes them: as they
// are, escaped as in HCL or in JSON, or in JSON inside of HCL. Terraform hides
// what it knows to be sensitive; this is for what a provider or a stack lets
// through, and for the lines of the stack that a diagnostic quotes.
type mask struct{ secrets *regexp.Regexp }

// shortestSecret that is replaced: shorter ones would tear ordinary words.
const shortestSecret = 6

func newMask(secrets []string) mask {
	var patterns []string
	for _, s := range secrets {
		if len(s) >= shortestSecret {
			patterns = append(patterns, anyWriting(s))
		}
	}
	if len(patterns) == 0 {
		return mask{}
	}
	return mask{secrets: regexp.MustCompile(strings.Join(patterns, "|"))}
}

// anyWriting is a pattern for every way to write a text in HCL and JSON.
func anyWriting(text string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text, "\uFFFD") {
		plain := regexp.QuoteMeta(string(r))
		switch {
		case r == '\\':
			b.WriteString(`\\+`)
		case r == '$' || r == '%': // doubled before { in HCL
			fmt.Fprintf(&b, `\\*(?:%s{1,2}|u%04x)`, plain, r)
		case r == '\n' || r == '\r' || r == '\t':
			fmt.Fprintf(&b, `(?:%s|\\+%c|\\+u%04x)`, plain, map[rune]byte{'\n': 'n', '\r': 'r', '\t': 't'}[r], r)
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteString(plain)
		default:
			fmt.Fprintf(&b, `\\*(?:%s|u%04x)`, plain, r)
		}
	}
	return b.String()
}

func (m mask) bytes(p []byte) []byte {
	if m.secrets == nil {
		return p
	}
	return m.secrets.ReplaceAllLiteral(p, []byte("(sensitive)"))
}

func (m mask) text(s string) string { return string(m.bytes([]byte(s))) }

// maskWriter writes whole lines with secrets replaced.
type maskWriter struct {
	mu   sync.Mutex
	to   io.Writer
	mask mask
	line []byte
}

func newMaskWriter(to io.Writer, m mask) *maskWriter { return &maskWriter{to: to, mask: m} }

func (m *maskWriter) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.line = append(m.line, p...)
	end := bytes.LastIndexByte(m.line, '\n') + 1
	if end == 0 {
		return len(p), nil
	}
	_, err := m.to.Write(m.mask.bytes(m.line[:end]))
	m.line = append(m.line[:0], m.line[end:]...)
	return len(p), err
}

// Flush writes an unfinished last line.
func (m *maskWriter) Flush() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.line) == 0 {
		return nil
	}
	_, err := m.to.Write(m.mask.bytes(m.line))
	m.line = nil
	return err
}
