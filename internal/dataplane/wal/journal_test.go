package wal

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestJournalKeepsWhatItAcknowledged writes entries of all lengths around those of
// a block, and as many as need several files, and reads the journal as after a
// crash.
func TestJournalKeepsWhatItAcknowledged(t *testing.T) {
	for _, direct := range []bool{true, false} {
		t.Run(fmt.Sprintf("direct=%v", direct), func(t *testing.T) {
			dir := t.TempDir()
			j, err := openJournal(dir, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer j.close()
			random := rand.New(rand.NewPCG(1, 2))
			var want []entry
			for written := 0; written < journalSize+journalSize/4; {
				length := random.IntN(200)
				switch random.IntN(8) {
				case 0:
					length = directBlock - entryHeader - 2 - len("c") - 16 + random.IntN(3) - 1
				case 1:
					length = random.IntN(1 << 20)
				}
				e := entry{cluster: "c", copies: 1, at: LSN(written), data: make([]byte, length)}
				for i := range e.data {
					e.data[i] = byte(random.Uint32())
				}
				if err := j.ready(); err != nil {
					t.Fatal(err)
				}
				if direct && j.file.blocks == nil {
					t.Fatal("this file system cannot be written past the page cache")
				}
				if !direct {
					j.file = buffered(t, j, j.file)
				}
				if _, err := j.commit(e); err != nil {
					t.Fatal(err)
				}
				want = append(want, e)
				written += length + entryHeader
			}
			compareReplay(t, dir, want)
		})
	}
}

// TestJournalAfterTornWrite damages what a batch wrote, as a power cut may: what
// was acknowledged before, in the same block, is there.
func TestJournalAfterTornWrite(t *testing.T) {
	dir := t.TempDir()
	j, err := openJournal(dir, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	first := entry{cluster: "c", copies: 1, at: 0, data: []byte("acknowledged")}
	if _, err := j.commit(first); err != nil {
		t.Fatal(err)
	}
	end := j.file.offset
	torn := entry{cluster: "c", copies: 1, at: 12, data: bytes.Repeat([]byte("torn"), directBlock)}
	if _, err := j.commit(torn); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(j.path(j.number), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 512), end+directBlock); err != nil {
		t.Fatal(err)
	}
	compareReplay(t, dir, []entry{first})
}

// buffered is the file as it is where O_DIRECT is not to be had.
func buffered(t *testing.T, j *journal, direct *journalFile) *journalFile {
	t.Helper()
	if direct.blocks == nil {
		return direct
	}
	f, err := os.OpenFile(j.path(direct.number), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = direct.file.Close()
	return &journalFile{file: f, number: direct.number, size: direct.size, offset: direct.offset}
}

// compareReplay reads a copy of the journal in dir: it has the last of what was
// written, without the files that are not needed any more.
func compareReplay(t *testing.T, dir string, want []entry) {
	t.Helper()
	crashed := filepath.Join(t.TempDir(), "crashed")
	if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	var got []entry
	again, err := openJournal(crashed, 0, func(_ uint64, e entry) error {
		got = append(got, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if len(got) == 0 || len(got) > len(want) {
		t.Fatalf("%d entries were replayed of %d", len(got), len(want))
	}
	for i, e := range want[len(want)-len(got):] {
		if e.at != got[i].at || !bytes.Equal(e.data, got[i].data) {
			t.Fatalf("entry %d is at %v with %d bytes, want %v, %d", i, got[i].at, len(got[i].data), e.at, len(e.data))
		}
	}
}
