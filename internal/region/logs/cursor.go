package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
)

// cursor reads a stream forwards, a segment at a time.
type cursor struct {
	segments []segment
	data     []byte // what is left of the segment that is read
	at       int64  // where data begins in the stream
}

// from returns a cursor that begins at a position of the stream, or at the oldest
// event that is kept.
func (e *events) from(stream string, position int64) (*cursor, error) {
	all, err := e.segments(stream)
	if err != nil {
		return nil, err
	}
	c := &cursor{at: position}
	for _, s := range all {
		if s.from+s.size > position {
			c.segments = append(c.segments, s)
		}
	}
	return c, nil
}

// next is the next event with the position after it; false at the end.
func (c *cursor) next() (Event, bool, error) {
	for {
		if end := bytes.IndexByte(c.data, '\n'); end >= 0 {
			var event Event
			err := json.Unmarshal(c.data[:end], &event)
			c.data, c.at = c.data[end+1:], c.at+int64(end)+1
			if err != nil {
				continue // a line that a failing disk damaged
			}
			return event, true, nil
		}
		if len(c.segments) == 0 {
			return Event{}, false, nil
		}
		s := c.segments[0]
		c.segments = c.segments[1:]
		data, err := os.ReadFile(s.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // trimmed meanwhile
		}
		if err != nil {
			return Event{}, false, err
		}
		skip := min(max(0, c.at-s.from), int64(len(data)))
		c.data, c.at = data[skip:], s.from+skip
	}
}

// placedEvent is an event with where it begins and ends in its stream.
type placedEvent struct {
	Event
	begin, end int64
}

// window says which events are asked for; zero values ask for all.
type window struct{ start, end *int64 }

func (w window) has(e Event) bool {
	return (w.start == nil || e.Time >= *w.start) && (w.end == nil || e.Time < *w.end)
}

// forwards are up to limit events from a position on, and where to go on.
func (e *events) forwards(stream string, position int64, limit, bytesLimit int, wanted func(Event) bool) ([]placedEvent, int64, error) {
	c, err := e.from(stream, position)
	if err != nil {
		return nil, position, err
	}
	var found []placedEvent
	next, size := position, 0
	for len(found) < limit && size < bytesLimit {
		event, ok, err := c.next()
		if err != nil || !ok {
			return found, max(next, c.at), err
		}
		begin := next
		next = c.at
		if wanted(event) {
			found, size = append(found, placedEvent{event, begin, next}), size+len(event.Message)
		}
	}
	return found, next, nil
}

// backwards are the last events before a position, up to limit, in their order,
// and where to go on. They are all read to find the last ones.
func (e *events) backwards(stream string, before int64, limit, bytesLimit int, wanted func(Event) bool) ([]placedEvent, error) {
	c, err := e.from(stream, 0)
	if err != nil {
		return nil, err
	}
	var found []placedEvent
	size, begin := 0, int64(0)
	for {
		event, ok, err := c.next()
		if err != nil || !ok || c.at > before {
			return found, err
		}
		if wanted(event) {
			found, size = append(found, placedEvent{event, begin, c.at}), size+len(event.Message)
		}
		begin = c.at
		for len(found) > limit || size > bytesLimit && len(found) > 1 {
			size -= len(found[0].Message)
			found = found[1:]
		}
	}
}
