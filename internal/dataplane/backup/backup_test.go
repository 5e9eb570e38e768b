package backup

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/blob"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
)

// fakeLog is a log in memory, from begin on.
type fakeLog struct {
	begin   wal.LSN
	bytes   []byte
	history wal.History
	term    int64
}

func (l *fakeLog) Status(context.Context) (wal.Status, error) {
	return wal.Status{Term: l.term, Start: l.begin, Committed: l.end(), History: slices.Clone(l.history)}, nil
}

func (l *fakeLog) Read(_ context.Context, at wal.LSN, n int) ([]byte, error) {
	if at < l.begin || at+wal.LSN(n) > l.end() {
		return nil, fmt.Errorf("%s is not there", at)
	}
	return slices.Clone(l.bytes[at-l.begin:][:n]), nil
}

func (l *fakeLog) end() wal.LSN { return l.begin + wal.LSN(len(l.bytes)) }

// grow appends pages without records: their headers say where they are.
func (l *fakeLog) grow(pages int) {
	const page, header = 8 << 10, 24
	for range pages {
		p := make([]byte, page)
		binary.LittleEndian.PutUint16(p, 0xD110)
		binary.LittleEndian.PutUint64(p[8:], uint64(l.end()))
		_, _ = rand.NewChaCha8([32]byte{byte(l.term), byte(len(l.bytes) >> 13)}).Read(p[header+8:])
		l.bytes = append(l.bytes, p...)
	}
}

// forget is what a trim of the log does.
func (l *fakeLog) forget(before wal.LSN) {
	l.bytes, l.begin = l.bytes[before-l.begin:], before
}

const first = wal.LSN(3 * wal.SegmentSize)

func newArchive(t *testing.T) (Store, *fakeLog, *Archiver) {
	t.Helper()
	store := Store{Blobs: blob.Dir{Root: t.TempDir()}, Cluster: "cluster-TEST"}
	log := &fakeLog{begin: first, history: wal.History{{ID: 1, Begin: first}}, term: 1}
	return store, log, &Archiver{Store: store, Log: log}
}

func step(t *testing.T, a *Archiver) {
	t.Helper()
	if err := a.Step(t.Context(), true); err != nil {
		t.Fatal(err)
	}
}

// archived reads everything that is archived of a range.
func archived(ctx context.Context, s Store, begin, end wal.LSN) ([]byte, error) {
	h, err := s.history(ctx)
	if err != nil {
		return nil, err
	}
	all, err := s.pieces(ctx, 0)
	if err != nil {
		return nil, err
	}
	spans, err := s.cover(all, h, begin, end)
	var data []byte
	for _, sp := range spans {
		if err == nil {
			var part []byte
			part, err = s.read(ctx, sp)
			data = append(data, part...)
		}
	}
	return data, err
}

func TestArchiveHasTheLogsBytes(t *testing.T) {
	store, log, a := newArchive(t)
	whole := []byte{}
	check := func(what string) {
		t.Helper()
		whole = append(whole[:log.begin-first], log.bytes...)
		got, err := archived(t.Context(), store, first, log.end())
		if err != nil || !bytes.Equal(got, whole) {
			t.Fatalf("%s: %d bytes of %d, %v", what, len(got), len(whole), err)
		}
	}
	for _, pages := range []int{1, 100, 1, 3000} { // over the end of a segment
		log.grow(pages)
		step(t, a)
	}
	check("pieces of several sizes")

	a = &Archiver{Store: store, Log: log}
	step(t, a)
	if a.Position().Begin != first || a.Position().End != log.end() {
		t.Errorf("after a restart: %+v", a.Position())
	}
	log.grow(3)
	step(t, a)
	check("after a restart")

	// A failover: the end of the last timeline does not count, other bytes do.
	log.bytes = log.bytes[:len(log.bytes)-8<<10]
	log.term, log.history = 2, append(log.history, wal.Timeline{ID: 3, Begin: log.end()})
	log.grow(2)
	step(t, a)
	check("after a failover")

	// The same term's server again, on a host that has no memory of it.
	log.term = 3
	log.grow(2200)
	log.forget(first + wal.SegmentSize)
	a = &Archiver{Store: store, Log: log}
	step(t, a)
	check("after a failover in place and a trim")
	if a.Position().Begin != first {
		t.Errorf("the archive begins at %s, not at %s", a.Position().Begin, first)
	}
}

// TestArchiveBeginsAnewAfterAGap: the log has lost what was not archived.
func TestArchiveBeginsAnewAfterAGap(t *testing.T) {
	store, log, a := newArchive(t)
	log.grow(2)
	step(t, a)
	log.grow(3 * wal.SegmentSize / (8 << 10))
	log.forget(first + 2*wal.SegmentSize)
	for name, archiver := range map[string]*Archiver{"the same archiver": a, "another one": {Store: store, Log: log}} {
		step(t, archiver)
		if at := archiver.Position(); at.Begin != log.begin || at.End != log.end() {
			t.Errorf("%s: %+v, want %s to %s", name, at, log.begin, log.end())
		}
	}
	if got, err := archived(t.Context(), store, log.begin, log.end()); err != nil || !bytes.Equal(got, log.bytes) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestManySmallPiecesBecomeOne(t *testing.T) {
	store, log, a := newArchive(t)
	for range mergeAfter + 5 {
		log.grow(1)
		step(t, a)
	}
	all, err := store.pieces(t.Context(), 1)
	if err != nil || len(all) != 6 {
		t.Errorf("%d pieces, %v", len(all), err)
	}
	if got, err := archived(t.Context(), store, first, log.end()); err != nil || !bytes.Equal(got, log.bytes) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestAGapIsNamed(t *testing.T) {
	store, log, a := newArchive(t)
	for range 3 {
		log.grow(1)
		step(t, a)
	}
	all, err := store.pieces(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Blobs.Delete(t.Context(), store.Name(all[1].name())); err != nil {
		t.Fatal(err)
	}
	var gap *GapError
	_, err = archived(t.Context(), store, first, log.end())
	if !errors.As(err, &gap) || gap.Begin != all[1].begin || gap.End != all[1].end {
		t.Errorf("%v, want a gap from %s to %s", err, all[1].begin, all[1].end)
	}
}

// TestEveryChangedBitIsFound flips bits of an object, puts it under another name, and
// cuts it off.
func TestEveryChangedBitIsFound(t *testing.T) {
	store := Store{Blobs: blob.Dir{Root: t.TempDir()}, Cluster: "cluster-TEST"}
	ctx, content := t.Context(), bytes.Repeat([]byte("some content "), 50)
	if _, err := store.put(ctx, "base/1/000000", content); err != nil {
		t.Fatal(err)
	}
	name := store.Name("base/1/000000")
	frame, err := store.Blobs.Get(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, changed []byte) {
		t.Helper()
		if err := store.Blobs.Put(ctx, name, changed); err != nil {
			t.Fatal(err)
		}
		if _, err := store.get(ctx, "base/1/000000"); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for bit := range len(frame) * 8 {
		changed := slices.Clone(frame)
		changed[bit/8] ^= 1 << (bit % 8)
		refused(fmt.Sprintf("bit %d", bit), changed)
	}
	for _, n := range []int{0, 1, frameHeader, len(frame) - 1} {
		refused(fmt.Sprintf("%d bytes", n), frame[:n])
	}
	other, err := store.frame(store.Name("base/1/000001"), content)
	if err != nil {
		t.Fatal(err)
	}
	refused("another object", other)
	refused("no object", nil)
	if err := store.Blobs.Put(ctx, name, frame); err != nil {
		t.Fatal(err)
	}
	if got, err := store.get(ctx, "base/1/000000"); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the object as it was: %v", err)
	}
}

func TestWhatIsNeededStays(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	bases := []Kept{{"a", 100, day(1)}, {"b", 200, day(2)}, {"c", 300, day(3)}, {"d", 400, day(4)}}
	for name, c := range map[string]struct {
		bases  []Kept
		window time.Time
		uses   []Use
		keep   string
		from   []wal.LSN
	}{
		"the base before the window":        {bases, day(3).Add(-time.Hour), nil, "b c d", []wal.LSN{200}},
		"a window that begins with a base":  {bases, day(3), nil, "c d", []wal.LSN{300}},
		"the last one, however old":         {bases, day(30), nil, "d", []wal.LSN{400}},
		"a window longer than the cluster":  {bases, day(1).AddDate(0, 0, -5), nil, "a b c d", []wal.LSN{100}},
		"what a snapshot is made of":        {bases, day(30), []Use{{"b", 250}}, "b d", []wal.LSN{200, 400}},
		"a deleted cluster":                 {bases, time.Time{}, nil, "", nil},
		"a deleted cluster with a snapshot": {bases, time.Time{}, []Use{{"a", 150}}, "a", []wal.LSN{100}},
		"before the first base":             {nil, day(1), nil, "", []wal.LSN{0}},
	} {
		t.Run(name, func(t *testing.T) {
			keep, ranges := Needed(c.bases, c.window, c.uses)
			var from []wal.LSN
			for _, r := range ranges {
				from = append(from, r.Begin)
			}
			slices.Sort(from)
			if strings.Join(keep, " ") != c.keep || !slices.Equal(from, c.from) {
				t.Errorf("%v and WAL from %v", keep, from)
			}
		})
	}
}

func TestWALThatNobodyNeedsGoes(t *testing.T) {
	store, log, a := newArchive(t)
	log.grow(3 * wal.SegmentSize / (8 << 10))
	step(t, a)
	needed := []Range{{first + wal.SegmentSize + 5, first + wal.SegmentSize + 100}}
	if err := store.RemoveWAL(t.Context(), needed); err != nil {
		t.Fatal(err)
	}
	all, err := store.pieces(t.Context(), 0)
	if err != nil || len(all) != 1 || all[0].begin != first+wal.SegmentSize {
		t.Errorf("left: %v, %v", all, err)
	}
	if err := store.RemoveAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if names, err := store.Blobs.List(t.Context(), ""); err != nil || len(names) != 0 {
		t.Errorf("left: %v, %v", names, err)
	}
}

// TestRestoreRefusesBeforeItBuilds: what is missing or damaged is named.
func TestRestoreRefusesBeforeItBuilds(t *testing.T) {
	store, log, a := newArchive(t)
	log.grow(4)
	step(t, a)
	ended := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := &Manifest{ID: "one", Start: first, Stop: first + 100, Timeline: 1, Ended: ended,
		Files: []File{{Path: "PG_VERSION", Size: 3, Parts: []Part{{Length: 3}}}}, Objects: []Object{{3}}}
	if _, err := store.put(t.Context(), partName("one", 0), []byte("15\n")); err != nil {
		t.Fatal(err)
	}
	if err := store.putManifest(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		target Target
		want   string
	}{
		"no such base backup":   {Target{Base: "two", End: log.end()}, "base/two/manifest"},
		"before the backup":     {Target{Base: "one", Time: ended.Add(-time.Second), End: log.end()}, "made after the time"},
		"WAL that is not there": {Target{Base: "one", End: log.end() + 100}, "has a gap"},
		"less WAL than needed":  {Target{Base: "one", End: first + 50}, "needs WAL up to"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := store.Restore(t.Context(), dir, c.target, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if made, err := os.ReadDir(dir); err != nil || len(made) != 0 {
				t.Errorf("made: %v, %v", made, err)
			}
		})
	}
}
