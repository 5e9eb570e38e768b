package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// Being filled in; the signatures are meant to stay.

var errTODO = errors.New("postgres: not built yet")

var (
	// ErrNotInstalled: no PostgreSQL 15 on this host; its text says how to get it.
	ErrNotInstalled = errors.New("PostgreSQL 15 is not installed")
	// ErrNotRunning: no live postmaster owns the data directory.
	ErrNotRunning = errors.New("the PostgreSQL server is not running")
	// ErrNoData: there is no complete data directory.
	ErrNoData = errors.New("there is no data directory")
)

// Installation is the PostgreSQL that this host has.
type Installation struct {
	BinDir  string
	Version string // 15.18
}

// Find looks in DAYBREAK_PG_BINDIR (then nowhere else), PATH and Debian's place.
func Find(ctx context.Context) (Installation, error) { return Installation{}, errTODO }

// Master is the tenant's first user.
type Master struct {
	Name     string
	Verifier string // SCRAM-SHA-256$…, never a plaintext
}

// InitOptions say what a new database cluster holds.
type InitOptions struct {
	Master   Master
	Database string // owned by the master user, beside "postgres"; may be empty
}

// Init fills an empty directory. It does nothing when a complete data directory
// is there, and starts again from nothing when a half-built one is.
func (s Server) Init(ctx context.Context, o InitOptions) error { return errTODO }

// Upstream is the running server that a standby follows or is copied from.
type Upstream struct {
	SocketDir string
	Slot      string // physical replication slot on the upstream; may be empty
}

// Copy builds a standby's data directory from a running server; as repeatable as Init.
func (s Server) Copy(ctx context.Context, from Upstream) error { return errTODO }

// HasData says whether a complete data directory is there.
func (s Server) HasData() (bool, error) { return false, errTODO }

// IsStandby says whether the data directory, running or not, is a standby's.
func (s Server) IsStandby() (bool, error) { return false, errTODO }

// Config is what the caller decides about the settings.
type Config struct {
	Memory     int64             // bytes that the server should live in
	Parameters map[string]string // the tenant's; checked, an unknown or bad one is a *ParameterError
	Upstream   *Upstream         // a standby's; nil for a primary
}

// ParameterError says which parameter was refused and why.
type ParameterError struct{ Name, Value, Reason string }

func (e *ParameterError) Error() string { return e.Name + ": " + e.Reason }

// Configure writes the configuration, checked by PostgreSQL, or leaves the old
// one as it was. A running server takes it with Process.Reload, and the settings
// in Status.PendingRestart with its next start. changed is false when the files
// were so already.
func (s Server) Configure(ctx context.Context, c Config) (changed bool, err error) {
	return false, errTODO
}

// Start starts the configured server in its own session, after clearing away
// what a killed one left. It returns when the process is there; Process.Ready
// waits until it answers. overrides go on the command line, which nobody can
// change before the next start. A server that runs already is adopted.
func (s Server) Start(ctx context.Context, overrides map[string]string) (*Process, error) {
	return nil, errTODO
}

// Adopt finds the running server again, whoever started it; else ErrNotRunning.
func (s Server) Adopt(ctx context.Context) (*Process, error) { return nil, errTODO }

// Process is a running postmaster, pinned by a pidfd.
type Process struct{ exited chan struct{} }

func (p *Process) PID() int                { return 0 }
func (p *Process) StartTime() time.Time    { return time.Time{} }
func (p *Process) Exited() <-chan struct{} { return p.exited }
func (p *Process) Reload() error           { return errTODO }

// Ready waits until the server accepts connections (a standby: read-only ones).
// A server that ended instead is a *StartError with the end of its log.
func (p *Process) Ready(ctx context.Context) error { return errTODO }

// StartError holds the last lines that a server wrote before it ended.
type StartError struct{ Log string }

func (e *StartError) Error() string { return "the PostgreSQL server ended while starting: " + e.Log }

// StopMode is PostgreSQL's shutdown mode.
type StopMode string

const (
	StopSmart     StopMode = "smart"     // waits for clients
	StopFast      StopMode = "fast"      // rolls back, disconnects, checkpoints
	StopImmediate StopMode = "immediate" // as a crash
)

// Stop ends the server and all its children; after grace it goes on to the next
// harder mode, at last SIGKILL. Nil when nothing is left.
func (p *Process) Stop(ctx context.Context, mode StopMode, grace time.Duration) error { return errTODO }

// Connect opens a connection as rdsadmin to the database rdsadmin, the only one
// that we ever connect to with a superuser.
func (s Server) Connect(ctx context.Context) (*pgx.Conn, error) { return nil, errTODO }

// Promote makes a standby a primary and waits until it takes writes; nothing to
// do on a primary.
func (s Server) Promote(ctx context.Context) error { return errTODO }

// ApplyMaster gives the master user its password, and its role again should the
// tenant have dropped it. Only on a primary.
func (s Server) ApplyMaster(ctx context.Context, m Master) error { return errTODO }

// LSN is a position in the WAL.
type LSN uint64

// Status is what a running server says of itself.
type Status struct {
	Standby          bool
	SystemIdentifier string
	Timeline         int
	Version          string
	StartTime        time.Time
	SharedBuffers    int64 // bytes
	MaxConnections   int
	PendingRestart   []string // settings that wait for a restart

	CurrentLSN LSN // a primary's insert position
	ReceiveLSN LSN // a standby's
	ReplayLSN  LSN // a standby's
	// Streaming says whether a standby's WAL receiver is connected.
	Streaming bool
	// ReplayLag is the age of the last transaction replayed while there is WAL
	// left to replay; 0 when a standby has replayed all it has.
	ReplayLag time.Duration
}

func (s Server) Status(ctx context.Context) (Status, error) { return Status{}, errTODO }

// ControlData is what the data directory says of itself, running or not.
type ControlData struct {
	SystemIdentifier string
	State            string // PostgreSQL's words: "in production", "shut down", …
	Timeline         int
	CheckpointLSN    LSN
}

func (s Server) ControlData(ctx context.Context) (ControlData, error) { return ControlData{}, errTODO }

// Remove stops the server and deletes its directory and socket directory.
// Nothing to do when they are gone.
func (s Server) Remove(ctx context.Context) error { return errTODO }
