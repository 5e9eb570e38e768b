package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// view writes what a command has to say: results to out, progress to log.
type view struct {
	out, log io.Writer
	json     bool
	color    bool // out is a terminal that shows colours
	live     bool // log is a terminal, where a line can be written over
}

func newView(out, log io.Writer, asJSON bool) *view {
	return &view{out: out, log: log, json: asJSON, color: isTerminal(out) && os.Getenv("NO_COLOR") == "", live: isTerminal(log)}
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// JSON writes value for programs.
func (v *view) JSON(value any) error {
	enc := json.NewEncoder(v.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}

// Table writes rows under a heading, columns aligned.
func (v *view) Table(heading []string, rows [][]string) error {
	return v.columns(append([][]string{heading}, rows...))
}

// Pairs writes names and values, one a line.
func (v *view) Pairs(pairs [][2]string) error {
	rows := make([][]string, len(pairs))
	for i, p := range pairs {
		rows[i] = p[:]
	}
	return v.columns(rows)
}

// columns aligns cells by what is seen of them, without the codes of colours.
func (v *view) columns(rows [][]string) error {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], seen(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-seen(cell)+2))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(v.out, b.String())
	return err
}

var colorCode = regexp.MustCompile("\x1b\\[[0-9;]*m")

// seen is how many characters of a cell a terminal shows.
func seen(cell string) int { return utf8.RuneCountInString(colorCode.ReplaceAllString(cell, "")) }

// Line writes one line of the result.
func (v *view) Line(format string, args ...any) { fmt.Fprintf(v.out, format+"\n", args...) }

// Title writes a line that stands out on a terminal.
func (v *view) Title(format string, args ...any) {
	v.Line("%s", v.paint(bold, fmt.Sprintf(format, args...)))
}

// Note writes one line of progress. With --output json it goes to standard
// error all the same, so that standard output stays JSON.
func (v *view) Note(format string, args ...any) { fmt.Fprintf(v.log, format+"\n", args...) }

type paint string

const (
	bold  paint = "\x1b[1m"
	red   paint = "\x1b[31m"
	green paint = "\x1b[32m"
	amber paint = "\x1b[33m"
	plain       = "\x1b[0m"
)

func (v *view) paint(p paint, text string) string {
	if !v.color {
		return text
	}
	return string(p) + text + plain
}

// status paints a status word by what it means.
func (v *view) status(word string) string {
	switch strings.ToLower(word) {
	case "available", "running", "ok":
		return v.paint(green, word)
	case "failed", "stopped", "missing":
		return v.paint(red, word)
	}
	return v.paint(amber, word)
}

// round makes a duration readable.
func round(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// ExitError ends the program with a code and without a message: a program that
// we ran has spoken already.
type ExitError struct{ Code int }

func (e ExitError) Error() string { return fmt.Sprintf("exit status %d", e.Code) }

// hinted is an error with what to do next.
type hinted struct {
	err  error
	hint string
}

func (h hinted) Error() string { return h.err.Error() }
func (h hinted) Unwrap() error { return h.err }

// withHint adds what to do next to an error.
func withHint(err error, hint string) error { return hinted{err: err, hint: hint} }

// FormatError writes an error for people: what was wrong, then what to do.
func FormatError(err error) string {
	text := "error: " + err.Error()
	var h hinted
	if errors.As(err, &h) && h.hint != "" {
		text += "\n\n" + h.hint
	}
	return text
}
