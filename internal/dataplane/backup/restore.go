package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/daybreakdb/daybreak/internal/blob"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
)

// Target is what is restored.
type Target struct {
	Base string
	// Time is the last moment whose commits are wanted; zero: those before End.
	Time time.Time
	// End is up to where WAL must be in the archive.
	End wal.LSN
}

// Restored is what was made.
type Restored struct {
	Timeline uint32  // that its last byte of WAL is on
	End      wal.LSN // where its WAL ends
	Bytes    int64
}

// ErrTooEarly says that a base backup was not complete at the time that is wanted.
var ErrTooEarly = errors.New("the base backup was made after the time that is to be restored")

// Restore writes a base backup into an empty directory, with all WAL up to the
// target. Everything that is read is checked, and nothing but files is made.
func (s Store) Restore(ctx context.Context, dir string, t Target, progress func(done, total int64)) (Restored, error) {
	m, err := s.Manifest(ctx, t.Base)
	if err != nil {
		return Restored{}, notFound(err, s.Cluster)
	}
	if !t.Time.IsZero() && t.Time.Before(m.Ended) {
		return Restored{}, fmt.Errorf("%w: %s is before %s", ErrTooEarly, t.Time.Format(time.RFC3339Nano), m.Ended.Format(time.RFC3339Nano))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Restored{}, err
	}
	defer root.Close()
	w := &restoring{Store: s, root: root, manifest: m, target: t, progress: progress}
	if err := w.planWAL(ctx); err != nil {
		return Restored{}, err
	}
	if err := w.files(ctx); err != nil {
		return Restored{}, err
	}
	if err := w.wal(ctx); err != nil {
		return Restored{}, err
	}
	return Restored{Timeline: w.history.At(w.end - 1), End: w.end, Bytes: w.done}, nil
}

// notFound says that an object is missing rather than that a file is.
func notFound(err error, cluster string) error {
	if errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("a backup of %s lacks an object: %w", cluster, err)
	}
	return err
}

type restoring struct {
	Store
	root     *os.Root
	manifest *Manifest
	target   Target
	progress func(done, total int64)

	history wal.History
	spans   []span
	end     wal.LSN // what is restored ends here

	mu          sync.Mutex
	done, total int64
}

func (r *restoring) advance(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done += n
	if r.progress != nil {
		r.progress(r.done, r.total)
	}
}

// planWAL finds all WAL that is needed, before anything is written.
func (r *restoring) planWAL(ctx context.Context) (err error) {
	if r.history, err = r.Store.history(ctx); err != nil {
		return err
	}
	all, err := r.pieces(ctx, 0)
	if err != nil {
		return err
	}
	begin := r.manifest.Start &^ (wal.SegmentSize - 1)
	if r.history[0].Begin > begin {
		begin = r.history[0].Begin
	}
	if r.end = r.target.End; r.end < r.manifest.Stop {
		return fmt.Errorf("%w: it needs WAL up to %s", ErrTooEarly, r.manifest.Stop)
	}
	if r.spans, err = r.cover(all, r.history, begin, r.end); err != nil {
		return err
	}
	r.total = r.manifest.Bytes + int64(r.end-begin)
	return nil
}

// files writes the base backup.
func (r *restoring) files(ctx context.Context) error {
	for _, dir := range r.manifest.Dirs {
		if err := r.root.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	byObject := make([][]filePart, len(r.manifest.Objects))
	for i, f := range r.manifest.Files {
		if err := r.create(f.Path, f.Size); err != nil {
			return err
		}
		for _, part := range f.Parts {
			if part.Object < 0 || part.Object >= len(byObject) {
				return &DamagedError{r.Name(manifestName(r.manifest.ID)), "it names an object that it does not have"}
			}
			byObject[part.Object] = append(byObject[part.Object], filePart{i, part})
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for i, parts := range byObject {
		group.Go(func() error { return r.object(ctx, i, parts) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if r.manifest.Label == "" {
		return nil
	}
	return r.root.WriteFile("backup_label", []byte(r.manifest.Label), 0o600)
}

type filePart struct {
	file int
	Part
}

func (r *restoring) create(name string, size int64) error {
	if err := r.root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := r.root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// object reads one object and writes what it has of the files.
func (r *restoring) object(ctx context.Context, number int, parts []filePart) error {
	content, err := r.get(ctx, partName(r.manifest.ID, number))
	if err != nil {
		return notFound(err, r.Cluster)
	}
	for _, p := range parts {
		if p.Offset < 0 || p.Length < 0 || p.Offset+p.Length > int64(len(content)) {
			return &DamagedError{r.Name(partName(r.manifest.ID, number)), "it is shorter than the manifest says"}
		}
		f, err := r.root.OpenFile(r.manifest.Files[p.file].Path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(content[p.Offset:p.Offset+p.Length], p.At)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	r.advance(int64(len(content)))
	return nil
}

// fetchers is how many pieces of WAL are read ahead.
const fetchers = 4

type fetched struct {
	span
	data []byte
	err  error
}

// wal writes the WAL up to the target, with the files that lead to its timeline.
func (r *restoring) wal(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := &segments{root: r.root, history: r.history}
	defer func() { _ = out.close() }()
	commits := wal.CommitsFrom(r.manifest.Start)
	for answer := range r.fetch(ctx) {
		got := <-answer
		if got.err != nil {
			return notFound(got.err, r.Cluster)
		}
		err := commits.Add(got.from, got.data, func(record wal.LSN, when time.Time) error {
			if !r.target.Time.IsZero() && when.After(r.target.Time) {
				r.end = record
				return errReached
			}
			return nil
		})
		if err != nil && !errors.Is(err, errReached) {
			return fmt.Errorf("archived WAL of %s: %w", r.Cluster, err)
		}
		if n := r.end; n < got.to {
			got.data = got.data[:max(n, got.from)-got.from]
		}
		if err := out.write(got.from, got.data); err != nil {
			return err
		}
		r.advance(int64(len(got.data)))
		if errors.Is(err, errReached) {
			break
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.end < r.manifest.Stop {
		return fmt.Errorf("%w: its WAL goes to %s, a transaction before that was committed after the time", ErrTooEarly, r.manifest.Stop)
	}
	return out.finish(r.end)
}

var errReached = errors.New("the target is reached")

// fetch reads spans ahead; the answers come in order.
func (r *restoring) fetch(ctx context.Context) <-chan chan fetched {
	answers := make(chan chan fetched, fetchers)
	go func() {
		defer close(answers)
		for _, sp := range r.spans {
			answer := make(chan fetched, 1)
			select {
			case answers <- answer:
			case <-ctx.Done():
				return
			}
			go func() {
				data, err := r.read(ctx, sp)
				answer <- fetched{sp, data, err}
			}()
		}
	}()
	return answers
}

// segments writes WAL as PostgreSQL's files. They get their names at the end: that
// of a segment is the newest timeline that it has WAL of.
type segments struct {
	root    *os.Root
	history wal.History
	file    *os.File
	begin   wal.LSN   // of file
	begins  []wal.LSN // of all files
}

func (w *segments) write(at wal.LSN, data []byte) error {
	for len(data) > 0 {
		begin := at &^ (wal.SegmentSize - 1)
		if w.file == nil || w.begin != begin {
			if err := w.open(begin); err != nil {
				return err
			}
		}
		n := min(wal.LSN(len(data)), begin+wal.SegmentSize-at)
		if _, err := w.file.WriteAt(data[:n], int64(at-begin)); err != nil {
			return err
		}
		at, data = at+n, data[n:]
	}
	return nil
}

func unnamed(begin wal.LSN) string { return fmt.Sprintf("pg_wal/daybreak-%016X", uint64(begin)) }

func (w *segments) open(begin wal.LSN) error {
	if err := w.close(); err != nil {
		return err
	}
	if err := w.root.MkdirAll("pg_wal", 0o700); err != nil {
		return err
	}
	f, err := w.root.OpenFile(unnamed(begin), os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w.file, w.begin, w.begins = f, begin, append(w.begins, begin)
	return f.Truncate(wal.SegmentSize)
}

func (w *segments) close() error {
	if w.file == nil {
		return nil
	}
	defer func() { w.file = nil }()
	return w.file.Close()
}

// finish leaves nothing but zeros from end on, and names the files.
func (w *segments) finish(end wal.LSN) error {
	if err := w.close(); err != nil {
		return err
	}
	for _, begin := range w.begins {
		if begin >= end {
			if err := w.root.Remove(unnamed(begin)); err != nil {
				return err
			}
			continue
		}
		if end < begin+wal.SegmentSize {
			if err := w.clear(begin, end); err != nil {
				return err
			}
		}
		last := min(end, begin+wal.SegmentSize) - 1
		if err := w.root.Rename(unnamed(begin), "pg_wal/"+wal.SegmentName(w.history.At(last), begin)); err != nil {
			return err
		}
	}
	for _, t := range w.history[1:] {
		if t.Begin >= end {
			break
		}
		if err := w.root.WriteFile("pg_wal/"+wal.HistoryFileName(t.ID), []byte(w.history.File(t.ID)), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (w *segments) clear(begin, end wal.LSN) error {
	f, err := w.root.OpenFile(unnamed(begin), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = f.Truncate(int64(end - begin))
	return errors.Join(err, f.Truncate(wal.SegmentSize), f.Close())
}
