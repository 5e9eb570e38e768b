package postgres

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrNotInstalled: no PostgreSQL 15 on this host.
	ErrNotInstalled = errors.New("PostgreSQL 15 is not installed: apt-get install postgresql-15, or set DAYBREAK_PG_BINDIR")
	// ErrNotRunning: no live postmaster owns the data directory.
	ErrNotRunning = errors.New("the PostgreSQL server is not running")
	// ErrNoData: there is no complete data directory; Init and Copy make one.
	ErrNoData = errors.New("there is no data directory")
	// ErrNotClean: the server did not shut down cleanly.
	ErrNotClean = errors.New("the PostgreSQL server was not shut down cleanly")
)

// ParameterError says which parameter was refused and why. Name is empty when
// only the parameters together are impossible.
type ParameterError struct{ Name, Value, Reason string }

func (e *ParameterError) Error() string {
	if e.Name == "" {
		return "parameters: " + e.Reason
	}
	return fmt.Sprintf("parameter %q = %q: %s", e.Name, e.Value, e.Reason)
}

// StartError is a server that ended before it served, or that nobody can start.
type StartError struct {
	// Log is the end of what it wrote, without what clients made it write.
	Log string
	// Reason is what it said of its data directory; empty when the data is not why,
	// as far as that is known: a full disk, a setting, a signal.
	Reason string
}

func (e *StartError) Error() string {
	return "the PostgreSQL server ended while starting: " + strings.TrimSpace(e.Log)
}

// commandError is a PostgreSQL program that failed.
type commandError struct {
	program string
	stderr  string
	err     error
}

func (e *commandError) Error() string {
	return fmt.Sprintf("%s: %v: %s", e.program, e.err, strings.TrimSpace(e.stderr))
}

func (e *commandError) Unwrap() error { return e.err }
