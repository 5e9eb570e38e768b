package backup

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
)

const historyFolder = "history/"

func historyName(timeline uint32) string { return fmt.Sprintf(historyFolder+"%08X", timeline) }

// putHistory stores the timelines up to the newest one.
func (s Store) putHistory(ctx context.Context, h wal.History) error {
	content, err := json.Marshal(h)
	if err != nil {
		return err
	}
	_, err = s.put(ctx, historyName(h.Newest()), content)
	return err
}

// history returns the newest timelines that were archived.
func (s Store) history(ctx context.Context) (wal.History, error) {
	names, err := s.Blobs.List(ctx, s.Name(historyFolder))
	if err != nil {
		return nil, fmt.Errorf("list the timelines of %s: %w", s.Cluster, err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no WAL of %s was archived", s.Cluster)
	}
	newest := names[len(names)-1]
	content, err := s.get(ctx, strings.TrimPrefix(newest, s.Name("")))
	if err != nil {
		return nil, err
	}
	var h wal.History
	if err := json.Unmarshal(content, &h); err != nil || len(h) == 0 {
		return nil, &DamagedError{newest, "it is no list of timelines"}
	}
	return h, nil
}
