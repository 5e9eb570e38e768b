package backup

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
)

// Manifest says what a base backup holds. It is stored when all else is: a backup
// without one does not exist.
type Manifest struct {
	ID string `json:"id"`
	// Start is where its recovery begins, on Timeline; Stop up to where it must go.
	Start    wal.LSN `json:"start"`
	Stop     wal.LSN `json:"stop"`
	Timeline uint32  `json:"timeline"`
	// Began and Ended are when it was made. No transaction before Stop was committed
	// after Ended.
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	Label string    `json:"label"` // backup_label

	Dirs    []string `json:"dirs"`
	Files   []File   `json:"files"`
	Objects []Object `json:"objects"`
	// Bytes of the files, and that the objects take.
	Bytes  int64 `json:"bytes"`
	Stored int64 `json:"stored"`
}

// File is one file of the data directory.
type File struct {
	Path  string `json:"path"`
	Size  int64  `json:"size"`
	Parts []Part `json:"parts,omitempty"`
}

// Part is where a stretch of a file is: in an object of the backup.
type Part struct {
	Object int   `json:"object"`
	Offset int64 `json:"offset"` // in the object
	At     int64 `json:"at"`     // in the file
	Length int64 `json:"length"`
}

// Object is one object of a backup.
type Object struct {
	Bytes int64 `json:"bytes"`
}

func baseFolder(id string) string           { return "base/" + id + "/" }
func manifestName(id string) string         { return baseFolder(id) + "manifest" }
func partName(id string, number int) string { return fmt.Sprintf("%s%06d", baseFolder(id), number) }

func (s Store) putManifest(ctx context.Context, m *Manifest) error {
	content, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = s.put(ctx, manifestName(m.ID), content)
	return err
}

// Manifest reads what a base backup holds.
func (s Store) Manifest(ctx context.Context, id string) (*Manifest, error) {
	content, err := s.get(ctx, manifestName(id))
	if err != nil {
		return nil, err
	}
	m := new(Manifest)
	if err := json.Unmarshal(content, m); err != nil {
		return nil, &DamagedError{s.Name(manifestName(id)), err.Error()}
	}
	return m, nil
}

// RemoveBase deletes a base backup, its manifest first.
func (s Store) RemoveBase(ctx context.Context, id string) error {
	if err := s.Blobs.Delete(ctx, s.Name(manifestName(id))); err != nil {
		return fmt.Errorf("delete base backup %s: %w", id, err)
	}
	names, err := s.Blobs.List(ctx, s.Name(baseFolder(id)))
	if err != nil {
		return fmt.Errorf("delete base backup %s: %w", id, err)
	}
	for _, name := range names {
		if err := s.Blobs.Delete(ctx, name); err != nil {
			return fmt.Errorf("delete base backup %s: %w", id, err)
		}
	}
	return nil
}

// Bases lists the base backups of which there is anything, complete or not.
func (s Store) Bases(ctx context.Context) ([]string, error) {
	names, err := s.Blobs.List(ctx, s.Name("base/"))
	if err != nil {
		return nil, fmt.Errorf("list the base backups of %s: %w", s.Cluster, err)
	}
	var ids []string
	for _, name := range names {
		id, _, _ := strings.Cut(strings.TrimPrefix(name, s.Name("base/")), "/")
		if len(ids) == 0 || ids[len(ids)-1] != id {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
