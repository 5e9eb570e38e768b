package postgres

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Fault is a kind of fault that a member of rds_superuser can ask for.
type Fault string

const (
	FaultCrash          Fault = "crash"           // aurora_inject_crash
	FaultReplicaFailure Fault = "replica_failure" // aurora_inject_replica_failure
	FaultDiskFailure    Fault = "disk_failure"    // aurora_inject_disk_failure
	FaultDiskCongestion Fault = "disk_congestion" // aurora_inject_disk_congestion
)

// Crash says what is to crash.
type Crash string

const (
	CrashInstance   Crash = "instance"   // PostgreSQL
	CrashDispatcher Crash = "dispatcher" // what writes to the cluster volume
	CrashNode       Crash = "node"       // both
)

// Injection is a request for a fault.
type Injection struct {
	Fault Fault
	At    time.Time // when it was asked for; it may be long ago

	Crash Crash // of FaultCrash, which has nothing else

	Percentage float64       // 0 to 100
	Interval   time.Duration // how long it lasts
	Replica    string        // of FaultReplicaFailure: Member.ServerID, empty for all
	Index      int           // of a disk fault: the logical block, or the storage node
	IsDisk     bool          // Index is a logical block's
	MinDelay   time.Duration // of FaultDiskCongestion
	MaxDelay   time.Duration
}

func (s Server) injectDir() string { return filepath.Join(s.Dir, "inject") }

// TakeInjections takes the requests that were left since it was last called, at
// most one of each kind. A request that makes no sense is taken too, and named in
// the error beside the others.
func (s Server) TakeInjections() ([]Injection, error) {
	root, err := os.OpenRoot(s.injectDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var (
		taken []Injection
		wrong []error
	)
	for _, fault := range []Fault{FaultCrash, FaultReplicaFailure, FaultDiskFailure, FaultDiskCongestion} {
		injection, err := takeInjection(root, fault)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, errUnfinished):
		case err != nil:
			wrong = append(wrong, fmt.Errorf("request for the fault %s: %w", fault, err))
		default:
			taken = append(taken, injection)
		}
	}
	return taken, errors.Join(wrong...)
}

// errUnfinished: the server has not written the end of the line yet.
var errUnfinished = errors.New("the request is unfinished")

func takeInjection(root *os.Root, fault Fault) (Injection, error) {
	line, at, err := readInjection(root, string(fault))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errUnfinished) {
		return Injection{}, err
	}
	if err := errors.Join(err, root.RemoveAll(string(fault))); err != nil {
		return Injection{}, err
	}
	injection, err := parseInjection(fault, line)
	injection.At = at
	return injection, err
}

// maxInjection is longer than any request.
const maxInjection = 1 * kB

// readInjection reads the first line of a request. The directory is the server's,
// so the name may have become anything: links out of it are not followed, and
// nothing can make the read wait. Two sessions that ask at once write over each
// other from the start, so that the first line is the whole request of one.
func readInjection(root *os.Root, name string) (line []byte, at time.Time, err error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	if !info.Mode().IsRegular() {
		return nil, time.Time{}, errors.New("it is not a file")
	}
	content, err := io.ReadAll(io.LimitReader(f, maxInjection))
	if err != nil {
		return nil, time.Time{}, err
	}
	line, _, whole := bytes.Cut(content, []byte("\n"))
	switch {
	case whole:
		return line, info.ModTime(), nil
	case len(content) == maxInjection:
		return nil, time.Time{}, errors.New("it is too long")
	}
	return nil, time.Time{}, errUnfinished
}

// injectionFile is the format of a request, which functions.sql writes.
type injectionFile struct {
	CrashType    Crash   `json:"crash_type"`
	Percentage   float64 `json:"percentage_of_failure"`
	TimeInterval int32   `json:"time_interval"`
	ReplicaName  string  `json:"replica_name"`
	Index        int32   `json:"index"`
	IsDisk       bool    `json:"is_disk"`
	Minimum      float64 `json:"minimum"`
	Maximum      float64 `json:"maximum"`
}

// parseInjection checks what the functions have checked, for the server could
// have written anything.
func parseInjection(fault Fault, line []byte) (Injection, error) {
	var file injectionFile
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return Injection{}, err
	}
	if fault == FaultCrash {
		if !slices.Contains([]Crash{CrashInstance, CrashDispatcher, CrashNode}, file.CrashType) {
			return Injection{}, fmt.Errorf("crash type %q is unknown", file.CrashType)
		}
		return Injection{Fault: fault, Crash: file.CrashType}, nil
	}
	switch {
	case !(file.Percentage >= 0 && file.Percentage <= 100):
		return Injection{}, fmt.Errorf("percentage_of_failure %v is not between 0 and 100", file.Percentage)
	case file.TimeInterval <= 0:
		return Injection{}, fmt.Errorf("time_interval %d is not positive", file.TimeInterval)
	case file.Index < 0:
		return Injection{}, fmt.Errorf("index %d is negative", file.Index)
	case file.ReplicaName != "" && !isServerID(file.ReplicaName):
		return Injection{}, fmt.Errorf("replica_name %q is none", file.ReplicaName)
	case fault == FaultDiskCongestion && !(file.Minimum >= 0 && file.Minimum < file.Maximum && file.Maximum <= 100):
		return Injection{}, fmt.Errorf("delays from %v to %v ms are not between 0.0 and 100.0", file.Minimum, file.Maximum)
	}
	return Injection{
		Fault: fault, Percentage: file.Percentage, Interval: time.Duration(file.TimeInterval) * time.Second,
		Replica: file.ReplicaName, Index: int(file.Index), IsDisk: file.IsDisk,
		MinDelay: time.Duration(file.Minimum * float64(time.Millisecond)),
		MaxDelay: time.Duration(file.Maximum * float64(time.Millisecond)),
	}, nil
}
