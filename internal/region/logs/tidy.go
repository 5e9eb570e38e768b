package logs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Tidy removes what is older than its group keeps it, what is more than all
// streams may have, and what belongs to no group or stream any more.
func (a *API) Tidy(ctx context.Context) error {
	present, err := a.events.directories()
	if err != nil {
		return err
	}
	// Read after the directories: a group is there before its directory is.
	items, _, err := a.groups.List(ctx, "")
	if err != nil {
		return err
	}
	retention := map[string]time.Duration{} // by stream directory
	for _, item := range items {
		streams, _, err := a.streams.List(ctx, item.Value.ID+"/")
		if err != nil {
			return err
		}
		for _, s := range streams {
			retention[item.Value.directory(s.Value)] = item.Value.retention()
		}
	}
	var kept []segment
	for _, directory := range present {
		days, known := retention[directory]
		if !known {
			if err := a.events.remove(directory); err != nil {
				return err
			}
			continue
		}
		all, err := a.events.segments(directory)
		if err != nil {
			return err
		}
		for _, s := range all {
			if days > 0 && s.modified.Before(a.now().Add(-days-newestEvent)) {
				err = errors.Join(err, removeSegment(s))
				continue
			}
			kept = append(kept, s)
		}
		if err != nil {
			return err
		}
	}
	return a.events.bound(kept)
}

// directories are those of all streams.
func (e *events) directories() ([]string, error) {
	found, err := filepath.Glob(filepath.Join(e.dir, "*", "*"))
	for i, path := range found {
		if found[i], err = filepath.Rel(e.dir, path); err != nil {
			return nil, fmt.Errorf("log events: %w", err)
		}
	}
	return found, err
}

// bound removes the oldest segments of all streams that have too much together.
func (e *events) bound(all []segment) error {
	slices.SortFunc(all, func(a, b segment) int { return b.modified.Compare(a.modified) })
	var size int64
	for _, s := range all {
		if size += s.size; size > e.total {
			if err := removeSegment(s); err != nil {
				return err
			}
		}
	}
	return nil
}

func removeSegment(s segment) error {
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("log events: %w", err)
	}
	return nil
}
