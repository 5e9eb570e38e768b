package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

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
	w := tabwriter.NewWriter(v.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(heading, "\t"))
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// Pairs writes names and values, one a line.
func (v *view) Pairs(pairs [][2]string) error {
	w := tabwriter.NewWriter(v.out, 0, 8, 2, ' ', 0)
	for _, p := range pairs {
		fmt.Fprintf(w, "%s\t%s\n", p[0], p[1])
	}
	return w.Flush()
}

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
