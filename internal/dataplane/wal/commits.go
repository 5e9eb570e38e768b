package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// What PostgreSQL 15 writes: access/xact.h, access/rmgrlist.h, access/xlogrecord.h.
const (
	resourceXact       = 1
	xactMask           = 0x70
	xactCommit         = 0x00
	xactPrepare        = 0x10
	xactCommitPrepared = 0x30

	blockDataShort   = 255
	blockDataLong    = 254
	blockOrigin      = 253
	blockToplevelXid = 252
)

// recordHead is how much of a record's body is kept: enough to see when a
// transaction was committed.
const recordHead = 64

// Commits finds the transactions that were committed in WAL, which it is given
// from one position on.
type Commits struct {
	at     LSN // where the next record begins; 0: not known yet
	base   LSN // of window: a page boundary
	window []byte
}

// CommitsFrom begins where a record begins. The WAL is to be given from the
// beginning of its page, or before.
func CommitsFrom(record LSN) *Commits { return &Commits{at: record} }

// End is up to where records have been read.
func (c *Commits) End() LSN { return c.at }

// Cut forgets what is at and beyond a position: other WAL comes in its place.
func (c *Commits) Cut(at LSN) {
	switch {
	case c.at > at || at < c.base:
		*c = Commits{}
	case at < c.base+LSN(len(c.window)):
		c.window = c.window[:at-c.base]
	}
}

// Add takes the WAL that follows and calls found for each commit whose record is
// complete, in order. An error of found ends it; the record is then not read yet.
// Without a known record it begins at the first one of a segment.
func (c *Commits) Add(at LSN, data []byte, found func(record LSN, when time.Time) error) error {
	if err := c.append(at, data); err != nil || len(c.window) == 0 {
		return err
	}
	limit := c.base + LSN(len(c.window))
	s := newScanner(func(p []byte, at LSN) error {
		copy(p, c.window[at-c.base:])
		return nil
	}, limit)
	if c.at == 0 {
		first, err := s.first(c.base)
		if errors.Is(err, errShort) {
			return nil
		}
		if err != nil {
			return err
		}
		c.at = first
	}
	for c.at < limit {
		end, err := s.next(c.at)
		if errors.Is(err, errShort) {
			break
		}
		if err != nil {
			return err
		}
		if when, ok := commitTime(s.kind, s.info, s.head[:s.headLen]); ok && s.whole {
			if err := found(s.record, when); err != nil {
				return err
			}
		}
		c.at = end
	}
	c.forget()
	return nil
}

func (c *Commits) append(at LSN, data []byte) error {
	end := c.base + LSN(len(c.window))
	switch {
	case len(c.window) > 0 && at == end:
	case len(c.window) > 0:
		return fmt.Errorf("WAL at %s was to follow, not at %s", end, at)
	case c.at == 0: // the beginning of a segment is waited for
		start := segmentStart(at + segmentSize - 1)
		if start >= at+LSN(len(data)) {
			return nil
		}
		data, at = data[start-at:], start
		c.base = at
	default:
		c.base = max(at, c.at&^(pageSize-1))
		if c.base >= at+LSN(len(data)) {
			return nil
		}
		if c.base&(pageSize-1) != 0 || c.base > c.at {
			return fmt.Errorf("WAL from %s on does not have the page of the record at %s", at, c.at)
		}
		data = data[c.base-at:]
	}
	c.window = append(c.window, data...)
	return nil
}

// forget drops the pages that are read.
func (c *Commits) forget() {
	if page := min(c.at&^(pageSize-1), (c.base+LSN(len(c.window)))&^(pageSize-1)); page > c.base {
		c.window = append(c.window[:0:0], c.window[page-c.base:]...)
		c.base = page
	}
}

// commitTime returns when a transaction was committed, or prepared for that.
func commitTime(kind, info byte, body []byte) (time.Time, bool) {
	if kind != resourceXact {
		return time.Time{}, false
	}
	skip := 0
	switch info & xactMask {
	case xactCommit, xactCommitPrepared:
	case xactPrepare:
		skip = 16 // magic, length, transaction, database
	default:
		return time.Time{}, false
	}
	for len(body) > 0 {
		switch id := body[0]; {
		case id == blockOrigin && len(body) > 3:
			body = body[3:]
		case id == blockToplevelXid && len(body) > 5:
			body = body[5:]
		case id == blockDataShort && len(body) >= 2+skip+8:
			return fromPgTime(body[2+skip:]), true
		case id == blockDataLong && len(body) >= 5+skip+8:
			return fromPgTime(body[5+skip:]), true
		default:
			return time.Time{}, false
		}
	}
	return time.Time{}, false
}

// fromPgTime reads PostgreSQL's timestamptz: microseconds since 2000.
func fromPgTime(p []byte) time.Time {
	return time.UnixMicro(int64(binary.LittleEndian.Uint64(p)) + pgEpoch).UTC()
}
