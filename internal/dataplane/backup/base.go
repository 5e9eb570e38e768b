package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
)

// Base is a base backup to be made.
type Base struct {
	ID string
	// Workers read, compress and store side by side; 0: as many as there are CPUs.
	Workers int
	// Rate is how many bytes a second are read at most; 0: as many as there are.
	Rate int64
	// Progress is told how many bytes of how many are done; it may be nil.
	Progress func(done, total int64)
}

// objectSize is how much of the data directory becomes one object.
const objectSize = 16 << 20

// TakeBase stores a base backup that was begun, of a reader or the writer, and ends it.
func (s Store) TakeBase(ctx context.Context, session *postgres.Backup, base Base) (*Manifest, error) {
	m := &Manifest{ID: base.ID, Began: time.Now().UTC()}
	defer session.Close(ctx)
	control, err := s.storeFiles(ctx, session.Files(), base, m)
	if err != nil {
		return nil, fmt.Errorf("base backup %s: %w", base.ID, err)
	}
	// pg_control is read last: on a reader it says from where on the rest is whole.
	if err := s.storeControl(ctx, session.Files(), control, m); err != nil {
		return nil, fmt.Errorf("base backup %s: %w", base.ID, err)
	}
	end, err := session.Stop(ctx)
	if err != nil {
		return nil, err
	}
	m.Start, m.Stop, m.Timeline, m.Label = end.Start, end.Stop, uint32(end.Timeline), end.Label
	m.Ended = time.Now().UTC()
	return m, s.putManifest(ctx, m)
}

const controlFile = "global/pg_control"

// leftOut says whether a base backup goes without a file or what is in a directory:
// PostgreSQL makes these anew, as pg_basebackup knows too.
func leftOut(name string) bool {
	switch path.Base(name) {
	case "postmaster.pid", "postmaster.opts", "backup_label", "backup_label.old", "tablespace_map", "tablespace_map.old", "backup_manifest",
		"pg_internal.init", "postgresql.auto.conf.tmp", "current_logfiles.tmp", "current_logfiles", "standby.signal", "recovery.signal":
		return true
	}
	switch dir, _, found := strings.Cut(name, "/"); dir {
	case "pg_wal", "pg_dynshmem", "pg_notify", "pg_replslot", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans":
		return found
	}
	return strings.HasPrefix(path.Base(name), "pgsql_tmp")
}

// stretch is a part of a file that is to be read.
type stretch struct {
	file   int
	at     int64
	length int64
}

// storeFiles stores all but pg_control.
func (s Store) storeFiles(ctx context.Context, root *os.Root, base Base, m *Manifest) (control int, err error) {
	if err := fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil || name == ".":
			return err
		case leftOut(name) && entry.IsDir():
			return fs.SkipDir
		case leftOut(name):
			return nil
		case entry.IsDir():
			m.Dirs = append(m.Dirs, name)
			return nil
		case !entry.Type().IsRegular():
			return fmt.Errorf("%s is neither a file nor a directory", name)
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		m.Files = append(m.Files, File{Path: name, Size: info.Size()})
		return nil
	}); err != nil {
		return 0, err
	}
	if control = slices.IndexFunc(m.Files, func(f File) bool { return f.Path == controlFile }); control < 0 {
		return 0, errors.New("there is no pg_control")
	}
	return control, s.storeObjects(ctx, root, base, m, control)
}

// objects divides the files into objects.
func objects(files []File, without int) (all [][]stretch, total int64) {
	var now []stretch
	room := int64(objectSize)
	for i, f := range files {
		total += f.Size
		for at := int64(0); at < f.Size && i != without; {
			n := min(f.Size-at, room)
			now = append(now, stretch{i, at, n})
			at += n
			if room -= n; room == 0 {
				all, now, room = append(all, now), nil, objectSize
			}
		}
	}
	if len(now) > 0 {
		all = append(all, now)
	}
	return all, total
}

func (s Store) storeObjects(ctx context.Context, root *os.Root, base Base, m *Manifest, control int) error {
	all, total := objects(m.Files, control)
	m.Objects = make([]Object, len(all))
	parts := make([][]Part, len(all))
	stored := make([]int64, len(all))
	workers := base.Workers
	if workers == 0 {
		workers = runtime.NumCPU()
	}
	pace := newPace(base.Rate)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	done := make(chan int64, len(all))
	for i, stretches := range all {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			if err := pace.wait(ctx, objectSize); err != nil {
				return err
			}
			content, found, err := readStretches(root, m.Files, stretches, i)
			if err != nil {
				return err
			}
			if stored[i], err = s.put(ctx, partName(m.ID, i), content); err != nil {
				return err
			}
			parts[i], m.Objects[i].Bytes = found, int64(len(content))
			done <- int64(len(content))
			return nil
		})
		for base.Progress != nil && len(done) > 0 {
			m.Bytes += <-done
			base.Progress(m.Bytes, total)
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	m.Bytes = 0
	for i, found := range parts {
		for j, part := range found {
			f := &m.Files[all[i][j].file]
			f.Parts = append(f.Parts, part)
		}
		m.Bytes, m.Stored = m.Bytes+m.Objects[i].Bytes, m.Stored+stored[i]
	}
	for i := range m.Files { // files that became shorter, or went, while they were read
		if f := &m.Files[i]; i != control {
			f.Size = 0
			for _, part := range f.Parts {
				f.Size = max(f.Size, part.At+part.Length)
			}
		}
	}
	return nil
}

// readStretches reads what becomes one object. What a file does not have any more,
// WAL that is replayed takes away too.
func readStretches(root *os.Root, files []File, stretches []stretch, object int) (content []byte, parts []Part, err error) {
	for _, st := range stretches {
		part := Part{Object: object, Offset: int64(len(content)), At: st.at}
		data := make([]byte, st.length)
		n, err := readStretch(root, files[st.file].Path, data, st.at)
		if err != nil {
			return nil, nil, err
		}
		part.Length = int64(n)
		content = append(content, data[:n]...)
		parts = append(parts, part)
	}
	return content, parts, nil
}

func readStretch(root *os.Root, name string, p []byte, at int64) (int, error) {
	f, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n, err := f.ReadAt(p, at)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// storeControl stores pg_control, as it was at one moment.
func (s Store) storeControl(ctx context.Context, root *os.Root, control int, m *Manifest) error {
	var content []byte
	for {
		again, err := root.ReadFile(controlFile)
		if err != nil {
			return err
		}
		if bytes.Equal(again, content) {
			break
		}
		content = again
	}
	number := len(m.Objects)
	stored, err := s.put(ctx, partName(m.ID, number), content)
	if err != nil {
		return err
	}
	size := int64(len(content))
	m.Files[control].Size, m.Files[control].Parts = size, []Part{{Object: number, Length: size}}
	m.Objects = append(m.Objects, Object{Bytes: size})
	m.Bytes, m.Stored = m.Bytes+size, m.Stored+stored
	return nil
}
