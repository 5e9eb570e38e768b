package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// States of a data directory, in PostgreSQL's words.
const (
	StateShutDown           = "shut down"
	StateShutDownInRecovery = "shut down in recovery"
	StateInProduction       = "in production"
)

// ControlData is what the data directory says of itself, running or not.
type ControlData struct {
	SystemIdentifier string
	State            string
	Timeline         int // of the latest checkpoint
	// CheckpointLSN is where the latest checkpoint lies; of a server that is
	// shut down, where its last record begins.
	CheckpointLSN LSN
	// RedoLSN is where recovery from that checkpoint begins.
	RedoLSN LSN
	// MinRecoveryLSN is how far a standby must replay to be consistent.
	MinRecoveryLSN LSN

	// floors are the primary's settings that a standby must not be below.
	floors map[string]int
}

// ControlData reads pg_control.
func (s Server) ControlData(ctx context.Context) (ControlData, error) {
	if err := s.needData(); err != nil {
		return ControlData{}, err
	}
	out, err := s.run(ctx, s.UID, s.Dir, nil, "pg_controldata", s.dataDir())
	var failed *commandError
	switch {
	case errors.As(err, &failed) && failed.stderr != "" && !notTheData.MatchString(failed.stderr):
		return ControlData{}, damagedControl(failed.stderr)
	case err != nil:
		return ControlData{}, err
	case strings.Contains(out, "Calculated CRC checksum does not match"):
		return ControlData{}, damagedControl("its checksum does not match")
	}
	return parseControlData(out)
}

// damagedControl is a server that cannot be started for its pg_control.
func damagedControl(why string) error {
	why = "global/pg_control is damaged: " + strings.TrimSpace(why)
	return &StartError{Log: why, Reason: lastBytes([]byte(why), maxReason)}
}

func parseControlData(out string) (ControlData, error) {
	c := ControlData{floors: map[string]int{}}
	var err error
	for line := range strings.Lines(out) {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch name {
		case "Database system identifier":
			c.SystemIdentifier = value
		case "Database cluster state":
			c.State = value
		case "Latest checkpoint location":
			c.CheckpointLSN, err = ParseLSN(value)
		case "Latest checkpoint's REDO location":
			c.RedoLSN, err = ParseLSN(value)
		case "Minimum recovery ending location":
			c.MinRecoveryLSN, err = ParseLSN(value)
		case "Latest checkpoint's TimeLineID":
			c.Timeline, err = strconv.Atoi(value)
		case "max_connections setting", "max_worker_processes setting", "max_wal_senders setting",
			"max_prepared_xacts setting", "max_locks_per_xact setting":
			c.floors[floorName(name)], err = strconv.Atoi(value)
		}
		if err != nil {
			return ControlData{}, fmt.Errorf("pg_controldata: %q: %w", line, err)
		}
	}
	if c.SystemIdentifier == "" || c.State == "" {
		return ControlData{}, fmt.Errorf("pg_controldata: no system identifier or state")
	}
	return c, nil
}

func floorName(label string) string {
	name := strings.TrimSuffix(label, " setting")
	return strings.Replace(name, "_xact", "_transaction", 1)
}

// LSN is a position in the WAL.
type LSN uint64

func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint32(l>>32), uint32(l)) }

// ParseLSN reads PostgreSQL's notation, as 0/3000060.
func ParseLSN(s string) (LSN, error) {
	high, low, ok := strings.Cut(s, "/")
	h, err1 := strconv.ParseUint(high, 16, 32)
	l, err2 := strconv.ParseUint(low, 16, 32)
	if !ok || err1 != nil || err2 != nil {
		return 0, fmt.Errorf("%q is no LSN", s)
	}
	return LSN(h<<32 | l), nil
}
