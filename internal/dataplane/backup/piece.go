package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/daybreakdb/daybreak/internal/blob"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
)

// piece is an object of WAL. Pieces may overlap: a writer's term begins with a piece
// that the one before may have stored already, and many small ones become a large
// one. Of two that have a byte, the one of the later term counts.
type piece struct {
	timeline   uint32
	begin, end wal.LSN
	term       int64
}

const walFolder = "wal/"

func (p piece) name() string {
	return fmt.Sprintf(walFolder+"%08X/%016X-%016X-%016X", p.timeline, uint64(p.begin), uint64(p.end), p.term)
}

// pieceOf reads the name of a piece, below the cluster's prefix.
func pieceOf(name string) (p piece, ok bool) {
	n, err := fmt.Sscanf(name, walFolder+"%08X/%016X-%016X-%016X", &p.timeline, (*uint64)(&p.begin), (*uint64)(&p.end), &p.term)
	return p, err == nil && n == 4 && p.name() == name && p.begin < p.end
}

// pieces lists the WAL of a timeline; 0: of all.
func (s Store) pieces(ctx context.Context, timeline uint32) ([]piece, error) {
	folder := walFolder
	if timeline != 0 {
		folder += fmt.Sprintf("%08X/", timeline)
	}
	names, err := s.Blobs.List(ctx, s.Name(folder))
	if err != nil {
		return nil, fmt.Errorf("list the WAL of %s: %w", s.Cluster, err)
	}
	var found []piece
	for _, name := range names {
		if p, ok := pieceOf(strings.TrimPrefix(name, s.Name(""))); ok {
			found = append(found, p)
		}
	}
	return found, nil
}

// GapError says that WAL is missing that a restore needs.
type GapError struct {
	Cluster    string
	Begin, End wal.LSN
	Timeline   uint32
}

func (e *GapError) Error() string {
	return fmt.Sprintf("the archived WAL of %s has a gap: nothing has %s to %s of timeline %d", e.Cluster, e.Begin, e.End, e.Timeline)
}

// span is a stretch of a piece.
type span struct {
	piece
	from, to wal.LSN
}

// cover chooses the spans that together are all WAL from begin to end, along the
// history.
func (s Store) cover(all []piece, h wal.History, begin, end wal.LSN) ([]span, error) {
	byTimeline := map[uint32][]piece{}
	for _, p := range all {
		byTimeline[p.timeline] = append(byTimeline[p.timeline], p)
	}
	for _, of := range byTimeline {
		slices.SortFunc(of, func(a, b piece) int { return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end)) })
	}
	var spans []span
	for at := begin; at < end; {
		timeline := h.At(at)
		limit := end
		for _, t := range h {
			if t.Begin > at {
				limit = min(limit, t.Begin)
				break
			}
		}
		var best piece
		next := limit
		for _, p := range byTimeline[timeline] {
			if p.begin > at {
				next = min(next, p.begin)
				break
			}
			if p.end > at && (p.term > best.term || p.term == best.term && p.end > best.end) {
				best = p
			}
		}
		if best.end == 0 {
			return nil, &GapError{s.Cluster, at, next, timeline}
		}
		to := min(best.end, limit)
		for _, p := range byTimeline[timeline] { // one of a later term counts from where it begins
			if p.begin > at && p.begin < to && p.term > best.term {
				to = p.begin
			}
		}
		spans = append(spans, span{best, at, to})
		at = to
	}
	return spans, nil
}

// read reads a span, from another piece if its own was merged into one meanwhile.
func (s Store) read(ctx context.Context, sp span) ([]byte, error) {
	data, err := s.get(ctx, sp.name())
	if errors.Is(err, blob.ErrNotFound) {
		return s.readElsewhere(ctx, sp, err)
	}
	if err != nil {
		return nil, err
	}
	if wal.LSN(len(data)) != sp.end-sp.begin {
		return nil, &DamagedError{s.Name(sp.name()), fmt.Sprintf("it has %d bytes of WAL", len(data))}
	}
	return data[sp.from-sp.begin : sp.to-sp.begin], nil
}

func (s Store) readElsewhere(ctx context.Context, sp span, cause error) ([]byte, error) {
	all, err := s.pieces(ctx, sp.timeline)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if p != sp.piece && p.term >= sp.term && p.begin <= sp.from && p.end >= sp.to {
			data, err := s.get(ctx, p.name())
			if err != nil {
				return nil, err
			}
			if wal.LSN(len(data)) != p.end-p.begin {
				return nil, &DamagedError{s.Name(p.name()), fmt.Sprintf("it has %d bytes of WAL", len(data))}
			}
			return data[sp.from-p.begin : sp.to-p.begin], nil
		}
	}
	return nil, cause
}
