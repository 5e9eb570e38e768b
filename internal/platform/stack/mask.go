package stack

import (
	"bytes"
	"io"
	"sync"
)

// maskWriter writes whole lines with secrets replaced. Terraform masks what it
// knows to be sensitive; this is for what a provider or a stack lets through.
type maskWriter struct {
	mu      sync.Mutex
	to      io.Writer
	secrets [][]byte
	line    []byte
}

// shortestSecret that is replaced: shorter ones would tear ordinary words.
const shortestSecret = 6

// newMaskWriter returns a writer to to without the secrets.
func newMaskWriter(to io.Writer, secrets []string) *maskWriter {
	m := &maskWriter{to: to}
	for _, s := range secrets {
		if len(s) >= shortestSecret {
			m.secrets = append(m.secrets, []byte(s))
		}
	}
	return m
}

func (m *maskWriter) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.line = append(m.line, p...)
	end := bytes.LastIndexByte(m.line, '\n') + 1
	if end == 0 {
		return len(p), nil
	}
	err := m.write(m.line[:end])
	m.line = append(m.line[:0], m.line[end:]...)
	return len(p), err
}

// Flush writes an unfinished last line.
func (m *maskWriter) Flush() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.write(m.line)
	m.line = nil
	return err
}

func (m *maskWriter) write(p []byte) error {
	for _, s := range m.secrets {
		p = bytes.ReplaceAll(p, s, []byte("(sensitive)"))
	}
	_, err := m.to.Write(p)
	return err
}

// mask replaces secrets in an error's text.
func mask(text string, secrets []string) string {
	for _, s := range secrets {
		if len(s) >= shortestSecret {
			text = string(bytes.ReplaceAll([]byte(text), []byte(s), []byte("(sensitive)")))
		}
	}
	return text
}
