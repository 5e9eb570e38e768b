package backup

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
)

// Kept is a base backup as far as it matters how long it is kept.
type Kept struct {
	ID    string
	Start wal.LSN
	Ended time.Time
}

// Use is a restore, or a snapshot that one may be made of: it needs a base backup
// and the WAL from there up to End.
type Use struct {
	Base string
	End  wal.LSN
}

// Range is a stretch of WAL.
type Range struct{ Begin, End wal.LSN }

// Needed says which base backups stay, and which WAL with them: what any moment since
// the window's begin can be restored from, and what is in use. The newest base backup
// of a cluster that is there always stays. The zero window is that of a cluster whose
// automated backups go.
func Needed(bases []Kept, window time.Time, uses []Use) (keep []string, ranges []Range) {
	oldest := -1 // of those for the window
	bases = slices.SortedFunc(slices.Values(bases), func(a, b Kept) int { return a.Ended.Compare(b.Ended) })
	if !window.IsZero() {
		for i, b := range bases {
			if !b.Ended.After(window) || oldest < 0 {
				oldest = i
			}
		}
	}
	for i, b := range bases {
		stays := oldest >= 0 && i >= oldest
		if i == oldest {
			ranges = append(ranges, Range{b.Start, ^wal.LSN(0)})
		}
		for _, u := range uses {
			if u.Base == b.ID {
				stays, ranges = true, append(ranges, Range{b.Start, u.End})
			}
		}
		if stays {
			keep = append(keep, b.ID)
		}
	}
	if !window.IsZero() && oldest < 0 { // the first base backup is being made
		ranges = append(ranges, Range{0, ^wal.LSN(0)})
	}
	return keep, ranges
}

// RemoveWAL deletes the pieces that are in none of the ranges.
func (s Store) RemoveWAL(ctx context.Context, needed []Range) error {
	all, err := s.pieces(ctx, 0)
	if err != nil {
		return err
	}
	for _, p := range all {
		if slices.ContainsFunc(needed, func(r Range) bool { return p.begin < r.End && p.end > r.Begin&^(wal.SegmentSize-1) }) {
			continue
		}
		if err := s.Blobs.Delete(ctx, s.Name(p.name())); err != nil {
			return fmt.Errorf("delete WAL of %s: %w", s.Cluster, err)
		}
	}
	return nil
}

// RemoveAll deletes everything of the cluster.
func (s Store) RemoveAll(ctx context.Context) error {
	names, err := s.Blobs.List(ctx, s.Name(""))
	for _, name := range names {
		if err == nil {
			err = s.Blobs.Delete(ctx, name)
		}
	}
	if err != nil {
		return fmt.Errorf("delete the backups of %s: %w", s.Cluster, err)
	}
	return nil
}
