package wal

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
)

// LSN is a position in the WAL.
type LSN = postgres.LSN

const (
	pageSize    = 8 << 10
	segmentSize = SegmentSize

	// SegmentSize is how much WAL a file of PostgreSQL's holds.
	SegmentSize = 16 << 20
)

func segmentStart(at LSN) LSN { return at &^ (segmentSize - 1) }

// SegmentName is PostgreSQL's name of the file that holds the byte at a position.
func SegmentName(timeline uint32, at LSN) string {
	const perID = 1 << 32 / segmentSize
	n := uint64(at) / segmentSize
	return fmt.Sprintf("%08X%08X%08X", timeline, n/perID, n%perID)
}

// Timeline is a stretch of WAL, from Begin to where the next one begins.
type Timeline struct {
	ID    uint32 `json:"id"`
	Begin LSN    `json:"begin"`
}

// History is the line of timelines that lead to the newest, oldest first. A
// timeline that was reserved and never written has no length.
type History []Timeline

// At returns the timeline that a byte belongs to.
func (h History) At(lsn LSN) uint32 {
	id := h[0].ID
	for _, t := range h[1:] {
		if t.Begin <= lsn {
			id = t.ID
		}
	}
	return id
}

// Newest is the timeline that is being written.
func (h History) Newest() uint32 { return h.newest() }

func (h History) newest() uint32 {
	if len(h) == 0 {
		return 0
	}
	return h[len(h)-1].ID
}

// next returns the timeline that followed id, and false when id is the newest.
func (h History) next(id uint32) (t Timeline, ok bool) {
	i := h.index(id)
	if i < 0 || i == len(h)-1 {
		return Timeline{}, false
	}
	return h[i+1], true
}

// Holds says whether a position on a timeline is part of the history, as far as
// that goes.
func (h History) Holds(id uint32, at LSN) bool {
	if h.index(id) < 0 {
		return false
	}
	next, ended := h.next(id)
	return !ended || at < next.Begin
}

func (h History) index(id uint32) int {
	return slices.IndexFunc(h, func(t Timeline) bool { return t.ID == id })
}

// File is the content of PostgreSQL's history file of a timeline.
func (h History) File(id uint32) string {
	var b strings.Builder
	for i, t := range h[:max(h.index(id), 0)] {
		fmt.Fprintf(&b, "%d\t%s\tno recovery target specified\n\n", t.ID, h[i+1].Begin)
	}
	return b.String()
}

// HistoryFileName is PostgreSQL's name of that file.
func HistoryFileName(id uint32) string { return fmt.Sprintf("%08X.history", id) }

// parseHistory reads the history file of a timeline; start is where its oldest
// ancestor's WAL begins here.
func parseHistory(id uint32, content string, start LSN) (History, error) {
	h := History{{Begin: start}}
	for line := range strings.Lines(content) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) < 2 {
			return nil, fmt.Errorf("history of timeline %d: line %q", id, line)
		}
		parent, err := strconv.ParseUint(fields[0], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("history of timeline %d: line %q", id, line)
		}
		end, err := postgres.ParseLSN(fields[1])
		if err != nil {
			return nil, fmt.Errorf("history of timeline %d: %w", id, err)
		}
		h[len(h)-1].ID = uint32(parent)
		h = append(h, Timeline{Begin: end})
	}
	h[len(h)-1].ID = id
	for i := 1; i < len(h); i++ {
		if h[i].Begin < h[i-1].Begin && h[i-1].Begin != start || h[i].ID <= h[i-1].ID {
			return nil, fmt.Errorf("history of timeline %d is not in order", id)
		}
	}
	return h, nil
}
