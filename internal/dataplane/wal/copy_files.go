package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func (c *Copy) closeFiles() {
	for name, f := range c.files {
		_ = f.Close()
		delete(c.files, name)
	}
}

// write puts bytes into the copy's files, which a sync of the journal makes
// durable. The caller holds step.
func (c *Copy) write(h History, at LSN, data []byte) error {
	for len(data) > 0 {
		n := min(LSN(len(data)), segmentStart(at)+segmentSize-at)
		for _, t := range h { // not across the begin of a timeline
			if t.Begin > at {
				n = min(n, t.Begin-at)
			}
		}
		name, offset := SegmentName(h.At(at), at), int64(at-segmentStart(at))
		f, err := c.file(name)
		if err != nil {
			return err
		}
		if _, err := f.WriteAt(data[:n], offset); err != nil {
			return err
		}
		if err := c.sum(f, name, offset, data[:n]); err != nil {
			return err
		}
		at, data = at+n, data[n:]
	}
	return nil
}

// maxFiles is how many segments a copy keeps open.
const maxFiles = 8

func (c *Copy) file(name string) (*os.File, error) {
	c.mu.Lock()
	c.dirty[name] = true
	f := c.files[name]
	c.mu.Unlock()
	if f != nil {
		return f, nil
	}
	f, err := os.OpenFile(filepath.Join(c.dir, name), os.O_RDWR|os.O_CREATE, 0o600) // may hang
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for old, f := range c.files {
		if len(c.files) < maxFiles {
			break
		}
		if old != strings.TrimSuffix(name, checksumSuffix) { // that one is being written
			_ = f.Close()
			delete(c.files, old)
		}
	}
	c.files[name] = f
	return f, nil
}

// ReadAt reads all of p, which the copy must have, or says that its disk hangs. It
// returns the state that the copy had all the while.
func (c *Copy) ReadAt(p []byte, at LSN) (State, error) {
	s, err := c.State()
	if err != nil {
		return s, err
	}
	if err := c.reads.read(p, func(p []byte) error { return c.readState(s, p, at) }); err != nil {
		return s, fmt.Errorf("copy %d: %w", c.number, err)
	}
	now, err := c.State()
	if err == nil && (now.Owner != s.Owner || now.Begun != s.Begun || !slices.Equal(now.Terms, s.Terms)) {
		err = errChanged
	}
	return now, err
}

// RecordEnd returns where the last record before limit ends, as lastRecordEnd.
func (c *Copy) RecordEnd(start, limit LSN) (LSN, error) {
	return lastRecordEnd(func(p []byte, at LSN) error { _, err := c.ReadAt(p, at); return err }, start, limit)
}

func (c *Copy) readState(s State, p []byte, at LSN) error {
	if at < s.Start || at+LSN(len(p)) > s.End {
		return fmt.Errorf("it has %s to %s, not %s and %d bytes more: %w", s.Start, s.End, at, len(p), errShort)
	}
	err := c.read(s, p, at)
	if errors.Is(err, errBadBlock) { // or it was being replaced by what a newer copy has
		now, stateErr := c.State()
		if stateErr == nil && slices.Equal(now.Terms, s.Terms) && now.End >= s.End {
			var block *blockError
			if err = c.read(now, p, at); errors.As(err, &block) {
				c.mu.Lock()
				c.bad[block.at] = true
				c.mu.Unlock()
			}
		}
	}
	return err
}

func (c *Copy) read(s State, p []byte, at LSN) error {
	for len(p) > 0 {
		n := min(LSN(len(p)), segmentStart(at)+segmentSize-at)
		for _, t := range s.History {
			if t.Begin > at {
				n = min(n, t.Begin-at)
			}
		}
		start := segmentStart(at)
		if err := c.readChecked(SegmentName(s.History.At(at), at), start, p[:n], int64(at-start), s.End); err != nil {
			return err
		}
		at, p = at+n, p[n:]
	}
	return nil
}
