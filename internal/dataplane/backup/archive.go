package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
)

// Log is what is archived: a cluster's log, as the host sees it that leads it.
type Log interface {
	Status(ctx context.Context) (wal.Status, error)
	Read(ctx context.Context, at wal.LSN, n int) ([]byte, error)
}

// Position is how far the archive is.
type Position struct {
	// Begin is from where on it has all WAL, End up to where.
	Begin, End wal.LSN
	Timeline   uint32
	// Commit is when the last transaction before End was committed that is known:
	// all that were committed earlier are in the archive.
	Commit time.Time
}

const (
	// PieceInterval is how long WAL waits at most until it becomes an object.
	PieceInterval = 3 * time.Second
	// mergeAfter is how many small pieces of a segment become one.
	mergeAfter = 100
)

// Archiver copies the committed WAL of a log to the object store: whole segments at
// once, and what there is of the last one every few seconds. It may end at any
// moment; the next one goes on from what is in the store. Two at a time, as when a
// cluster's writer moves to another host, store the same.
type Archiver struct {
	Store Store
	Log   Log

	now     Position
	term    int64
	history wal.History
	commits *wal.Commits
	last    time.Time // when a piece was stored
	small   []piece   // of the segment that End is in
}

// Position is what the archive has, as far as this archiver knows.
func (a *Archiver) Position() Position { return a.now }

// Step archives what is committed. Without hurry it leaves a part of a segment for
// later. It is to be repeated, also after an error.
func (a *Archiver) Step(ctx context.Context, hurry bool) error {
	st, err := a.Log.Status(ctx)
	if err != nil {
		return err
	}
	if len(st.History) == 0 {
		return nil // the log is not led here, or holds nothing
	}
	if err := a.follow(ctx, st); err != nil {
		return err
	}
	due := hurry || time.Since(a.last) >= PieceInterval
	for a.now.End < st.Committed && ctx.Err() == nil {
		end := min(st.Committed, a.segmentEnd())
		for _, t := range st.History {
			if t.Begin > a.now.End {
				end = min(end, t.Begin)
				break
			}
		}
		if end == st.Committed && end < a.segmentEnd() && !due {
			break
		}
		if err := a.store(ctx, end); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (a *Archiver) segmentEnd() wal.LSN {
	return a.now.End&^(wal.SegmentSize-1) + wal.SegmentSize
}

// follow takes up the log's newest timeline and term.
func (a *Archiver) follow(ctx context.Context, st wal.Status) error {
	if a.commits == nil {
		if err := a.resume(ctx, st); err != nil {
			return err
		}
	}
	if a.now.End < st.Start { // a restore over this gap is refused
		a.now.Begin, a.now.End = st.Start, st.Start
		a.commits, a.small = &wal.Commits{}, nil
	}
	if !slices.Equal(a.history, st.History) {
		if err := a.Store.putHistory(ctx, st.History); err != nil {
			return err
		}
		// WAL of an older timeline beyond where the next one begins never counted.
		if begin := divergence(a.history, st.History); begin < a.now.End {
			a.now.End = max(begin, st.Start)
			all, err := a.Store.pieces(ctx, 0)
			if err == nil {
				err = a.rescan(ctx, all, st)
			}
			if err != nil {
				return err
			}
		}
		a.history, a.small = slices.Clone(st.History), nil
	}
	if st.Term != a.term {
		a.term, a.small = st.Term, nil
	}
	return nil
}

// divergence is where two histories part: what is before it is the same in both.
func divergence(a, b wal.History) wal.LSN {
	for i := range min(len(a), len(b)) {
		if a[i].ID != b[i].ID {
			return min(a[i].Begin, b[i].Begin)
		}
	}
	switch {
	case len(a) < len(b):
		return b[len(a)].Begin
	case len(b) < len(a):
		return a[len(b)].Begin
	}
	return ^wal.LSN(0)
}

// resume finds out how far the archive is. The last piece is stored again: it may
// have been of a term whose end nobody had committed.
func (a *Archiver) resume(ctx context.Context, st wal.Status) error {
	var all []piece
	old, err := a.Store.history(ctx)
	if err == nil {
		all, err = a.Store.pieces(ctx, 0)
	} else if names, listErr := a.Store.Blobs.List(ctx, a.Store.Name(historyFolder)); listErr == nil && len(names) == 0 {
		err = nil // nothing was archived yet
	}
	if err != nil {
		return err
	}
	a.history = old
	begin, end := a.reach(all, old, st)
	a.now = Position{Begin: begin, End: end, Timeline: st.History.At(end)}
	return a.rescan(ctx, all, st)
}

// rescan reads the segment that End is in, to know where its records begin. What the
// log does not have any more is in the archive.
func (a *Archiver) rescan(ctx context.Context, all []piece, st wal.Status) error {
	a.commits = nil
	from := max(a.now.End&^(wal.SegmentSize-1), a.now.Begin)
	data, err := a.archived(ctx, all, st.History, from, min(st.Start, a.now.End))
	if err == nil && from+wal.LSN(len(data)) < a.now.End {
		var rest []byte
		at := from + wal.LSN(len(data))
		rest, err = a.Log.Read(ctx, at, int(a.now.End-at))
		data = append(data, rest...)
	}
	if err != nil {
		return err
	}
	a.commits = &wal.Commits{}
	if len(data) == 0 {
		return nil
	}
	return a.take(from, data)
}

func (a *Archiver) archived(ctx context.Context, all []piece, h wal.History, from, to wal.LSN) (data []byte, err error) {
	if from >= to {
		return nil, nil
	}
	spans, err := a.Store.cover(all, h, from, to)
	if err != nil {
		return nil, err
	}
	for _, sp := range spans {
		part, err := a.Store.read(ctx, sp)
		if err != nil {
			return nil, err
		}
		data = append(data, part...)
	}
	return data, nil
}

// reach returns from where to where the pieces are whole, in their newest part. If
// the log does not have what follows any more, it begins anew there.
func (a *Archiver) reach(all []piece, h wal.History, st wal.Status) (begin, end wal.LSN) {
	if len(all) == 0 || len(h) == 0 {
		return st.Start, st.Start
	}
	var last piece
	for _, p := range all {
		if h.Holds(p.timeline, p.begin) && (p.end > last.end || p.end == last.end && p.begin > last.begin) {
			last = p
		}
	}
	if last.end == 0 || last.begin < st.Start && last.end < st.Start {
		return st.Start, st.Start
	}
	end = max(last.begin, st.Start)
	slices.SortFunc(all, func(a, b piece) int { return cmp.Compare(b.end, a.end) })
	begin = end
	for _, p := range all {
		if p.end < begin {
			break
		}
		if h.Holds(p.timeline, p.begin) {
			begin = min(begin, p.begin)
		}
	}
	return begin, min(end, st.Committed)
}

// take reads the times of commits.
func (a *Archiver) take(at wal.LSN, data []byte) error {
	err := a.commits.Add(at, data, func(_ wal.LSN, when time.Time) error {
		if when.After(a.now.Commit) {
			a.now.Commit = when
		}
		return nil
	})
	if err != nil {
		a.commits = &wal.Commits{}
		return fmt.Errorf("read the archived WAL at %s: %w", at, err)
	}
	return nil
}

// store makes a piece of what is before end.
func (a *Archiver) store(ctx context.Context, end wal.LSN) error {
	data, err := a.Log.Read(ctx, a.now.End, int(end-a.now.End))
	if err != nil {
		return err
	}
	p := piece{timeline: a.history.At(a.now.End), begin: a.now.End, end: end, term: a.term}
	if _, err := a.Store.put(ctx, p.name(), data); err != nil {
		return err
	}
	a.last, a.now.End, a.now.Timeline = time.Now(), end, p.timeline
	a.small = append(a.small, p)
	err = a.take(p.begin, data)
	whole := end&(wal.SegmentSize-1) == 0
	if whole || len(a.small) >= mergeAfter {
		err = errors.Join(err, a.merge(ctx))
	}
	return err
}

// merge makes one piece of the small ones of a segment.
func (a *Archiver) merge(ctx context.Context) error {
	small := a.small
	a.small = nil
	first, last := small[0], small[len(small)-1]
	if len(small) == 1 || first.timeline != last.timeline {
		return nil
	}
	data, err := a.Log.Read(ctx, first.begin, int(last.end-first.begin))
	if err != nil {
		return fmt.Errorf("merge pieces of WAL: %w", err)
	}
	all := piece{timeline: first.timeline, begin: first.begin, end: last.end, term: last.term}
	if _, err := a.Store.put(ctx, all.name(), data); err != nil {
		return err
	}
	for _, p := range small {
		if err := a.Store.Blobs.Delete(ctx, a.Store.Name(p.name())); err != nil {
			return fmt.Errorf("remove a merged piece of WAL: %w", err)
		}
	}
	return nil
}
