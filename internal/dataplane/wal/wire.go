package wal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Between hosts a log speaks to its copies in frames over a connection to the
// other host's log socket, one request and one answer at a time: two lengths, a
// header in JSON, and WAL as it is.

const (
	maxWireHeader = 1 << 20
	maxWireData   = 8 << 20
)

// copyRequest orders something of copies of one cluster's log. Only append and
// state are of several copies at once.
type copyRequest struct {
	Op        string         `json:"op"`
	Cluster   string         `json:"cluster,omitempty"`
	Copies    []copyName     `json:"copies,omitempty"`
	Ballot    Ballot         `json:"ballot,omitzero"`
	At        LSN            `json:"at,omitempty"`
	End       LSN            `json:"end,omitempty"`
	Size      int            `json:"size,omitempty"` // bytes to read
	Terms     []TermBegin    `json:"terms,omitempty"`
	History   History        `json:"history,omitempty"`
	State     *State         `json:"state,omitempty"`
	Members   *Members       `json:"members,omitempty"`
	Committed LSN            `json:"committed,omitempty"` // what the ballot's log knows
	Reason    string         `json:"reason,omitempty"`
	Away      *injectRequest `json:"away,omitempty"`
}

// copyName says which copy, and what the sender knows of it.
type copyName struct {
	Zone   string `json:"zone"`
	Number int    `json:"number"`
	Shape  uint64 `json:"shape,omitempty"`
}

// copyAnswer has every copy's state after what was ordered.
type copyAnswer struct {
	Copies []copyState `json:"copies,omitempty"`
	LSN    LSN         `json:"lsn,omitempty"`
	Error  *wireError  `json:"error,omitempty"` // of what was ordered

	epoch uint64 // of the process that answered, as the receiver counts them
}

// copyState is what a copy is at a moment.
type copyState struct {
	// Stamp grows with every answer of a process: it says which of two is newer.
	Stamp uint64 `json:"stamp"`
	// Shape is another after every step but an append: with the same shape two
	// states differ in nothing but End and Committed.
	Shape     uint64     `json:"shape"`
	State     *State     `json:"state,omitempty"` // unless the sender has this shape
	End       LSN        `json:"end"`
	Committed LSN        `json:"committed"`
	Problem   *wireError `json:"problem,omitempty"` // why the copy cannot be used
	Damaged   []LSN      `json:"damaged,omitempty"`
	Disk      string     `json:"disk,omitempty"` // with State: which of its host's disks it is on
}

// wireError is an error that keeps its kind on the way to another host.
type wireError struct {
	Kind string `json:"kind,omitempty"`
	Text string `json:"text"`
}

// errorKinds are those that somebody asks for.
var errorKinds = map[string]error{
	"stale": ErrStale, "blank": errBlank, "rebuilding": errRebuilding, "gap": errGap, "short": errShort,
	"block": errBadBlock, "away": errAway, "damaged": errDamaged, "changed": errChanged,
	"slow": errSlow,
}

func toWire(err error) *wireError {
	if err == nil {
		return nil
	}
	for kind, of := range errorKinds {
		if errors.Is(err, of) {
			return &wireError{kind, err.Error()}
		}
	}
	return &wireError{Text: err.Error()}
}

func (e *wireError) Error() string { return e.Text }
func (e *wireError) Unwrap() error { return errorKinds[e.Kind] }

// err is nil for none: a nil *wireError would be an error.
func (e *wireError) err() error {
	if e == nil {
		return nil
	}
	return e
}

func writeFrame(w io.Writer, header any, data []byte) error {
	content, err := json.Marshal(header)
	if err != nil {
		return err
	}
	buf := make([]byte, 8, 8+len(content)+len(data))
	binary.BigEndian.PutUint32(buf, uint32(len(content)))
	binary.BigEndian.PutUint32(buf[4:], uint32(len(data)))
	_, err = w.Write(append(append(buf, content...), data...))
	return err
}

// readFrame reads the header, and the data into buf if that is large enough.
func readFrame(r io.Reader, header any, buf []byte) ([]byte, error) {
	var lengths [8]byte
	if _, err := io.ReadFull(r, lengths[:]); err != nil {
		return nil, err
	}
	n, size := binary.BigEndian.Uint32(lengths[:]), binary.BigEndian.Uint32(lengths[4:])
	if n > maxWireHeader || size > maxWireData {
		return nil, fmt.Errorf("a frame of %d and %d bytes is too long", n, size)
	}
	content := make([]byte, n)
	if _, err := io.ReadFull(r, content); err != nil {
		return nil, cut(err)
	}
	if err := json.Unmarshal(content, header); err != nil {
		return nil, err
	}
	if int(size) > cap(buf) {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	_, err := io.ReadFull(r, buf)
	return buf, cut(err)
}

// cut says that a frame has ended too early, which is not an orderly end.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
