package logs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Limits of what is kept of events, whatever the retention.
const (
	segmentBytes = 4 << 20
	streamBytes  = 64 << 20
	totalBytes   = 2 << 30
)

// Event is what a stream has of one event, as a line of JSON.
type Event struct {
	Time     int64  `json:"t"` // milliseconds
	Ingested int64  `json:"i"`
	Message  string `json:"m"`
}

// events keeps the events of streams: a directory for each group, in it one for
// each stream, in it segments, which are named by where they begin in the stream.
// What is too old, or too much, goes by whole segments.
type events struct {
	dir string
	// limits of a segment, a stream and all streams, in bytes
	segment, stream, total int64

	mu    sync.Mutex
	locks map[string]*sync.Mutex // by stream directory
}

func newEvents(dir string) *events {
	return &events{dir: dir, segment: segmentBytes, stream: streamBytes, total: totalBytes, locks: map[string]*sync.Mutex{}}
}

func (e *events) lock(stream string) *sync.Mutex {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.locks[stream] == nil {
		e.locks[stream] = &sync.Mutex{}
	}
	return e.locks[stream]
}

// segment is a file of a stream.
type segment struct {
	path     string
	from     int64 // where it begins in the stream
	size     int64
	modified time.Time
}

const segmentSuffix = ".jsonl"

// segments of a stream in order; none if it has no events.
func (e *events) segments(stream string) ([]segment, error) {
	files, err := os.ReadDir(filepath.Join(e.dir, stream))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("log events: %w", err)
	}
	var all []segment
	for _, f := range files {
		from, err := strconv.ParseInt(strings.TrimSuffix(f.Name(), segmentSuffix), 16, 64)
		if err != nil || !strings.HasSuffix(f.Name(), segmentSuffix) {
			continue
		}
		info, err := f.Info()
		if err != nil {
			continue // removed meanwhile
		}
		all = append(all, segment{filepath.Join(e.dir, stream, f.Name()), from, info.Size(), info.ModTime()})
	}
	slices.SortFunc(all, func(a, b segment) int { return cmp.Compare(a.from, b.from) })
	return all, nil
}

// append adds events to a stream, all or none of them, durably.
func (e *events) append(stream string, batch []Event) error {
	if len(batch) == 0 {
		return nil
	}
	var data bytes.Buffer
	for _, event := range batch {
		line, err := json.Marshal(event)
		if err != nil {
			return fmt.Errorf("log event: %w", err)
		}
		data.Write(line)
		data.WriteByte('\n')
	}
	lock := e.lock(stream)
	lock.Lock()
	defer lock.Unlock()
	if err := os.MkdirAll(filepath.Join(e.dir, stream), 0o700); err != nil {
		return fmt.Errorf("log events: %w", err)
	}
	all, err := e.segments(stream)
	if err != nil {
		return err
	}
	last := segment{path: e.segmentPath(stream, 0)}
	if n := len(all); n > 0 {
		if last, err = whole(all[n-1]); err != nil {
			return err
		}
		if last.size >= e.segment {
			last = segment{path: e.segmentPath(stream, last.from+last.size), from: last.from + last.size}
		}
	}
	if err := appendFile(last, data.Bytes()); err != nil {
		return fmt.Errorf("log events: %w", err)
	}
	return e.trim(all)
}

func (e *events) segmentPath(stream string, from int64) string {
	return filepath.Join(e.dir, stream, fmt.Sprintf("%016x%s", from, segmentSuffix))
}

// whole cuts what a crash left of a line off the end of a segment.
func whole(s segment) (segment, error) {
	data, err := os.ReadFile(s.path)
	if err != nil {
		return s, fmt.Errorf("log events: %w", err)
	}
	if end := int64(bytes.LastIndexByte(data, '\n') + 1); end != s.size {
		s.size = end
		return s, os.Truncate(s.path, end)
	}
	return s, nil
}

// appendFile writes data at the end of a segment. If it cannot write all, it
// takes back what it wrote.
func appendFile(s segment, data []byte) error {
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(data, s.size)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(err, f.Truncate(s.size))
	}
	return nil
}

// trim removes the oldest segments of a stream that is too large.
func (e *events) trim(all []segment) error {
	var size int64
	for i := len(all) - 1; i >= 0; i-- {
		if size += all[i].size; size > e.stream-e.segment {
			if err := os.Remove(all[i].path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("log events: %w", err)
			}
		}
	}
	return nil
}

// remove forgets a stream, or a group with all its streams.
func (e *events) remove(path string) error {
	if err := os.RemoveAll(filepath.Join(e.dir, path)); err != nil {
		return fmt.Errorf("log events: %w", err)
	}
	return nil
}

// size is how many bytes the events of a stream take.
func (e *events) size(stream string) int64 {
	all, _ := e.segments(stream)
	var size int64
	for _, s := range all {
		size += s.size
	}
	return size
}
