package wal

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// testCopy is a copy of its own, at the beginning of a term.
func testCopy(t *testing.T) *Copy {
	t.Helper()
	j, err := openJournal(filepath.Join(t.TempDir(), "journal"), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.close() })
	c, err := openCopy(j, "cluster", 0, filepath.Join(t.TempDir(), "wal-0"))
	if err != nil {
		t.Fatal(err)
	}
	b := Ballot{1, 1}
	if err := c.format(State{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Promise(b); err != nil {
		t.Fatal(err)
	}
	if err := c.Adopt(b, State{}, 0); err != nil {
		t.Fatal(err)
	}
	if err := c.Begin(b, nil, History{{1, 0}}, 0); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDamagedBlocksAreFoundWhenTheyAreRead(t *testing.T) {
	c := testCopy(t)
	r := rand.New(rand.NewPCG(1, 1))
	written := make([]byte, 5*blockSize+1000)
	for i := range written {
		written[i] = byte(r.Uint32())
	}
	for at := 0; at < len(written); { // in pieces of any size
		n := min(1+r.IntN(3*blockSize), len(written)-at)
		if err := (diskGroup{c}).Append(Ballot{1, 1}, LSN(at), written[at:at+n]); err != nil {
			t.Fatal(err)
		}
		at += n
	}
	for range 200 {
		at := r.IntN(len(written))
		p := make([]byte, 1+r.IntN(len(written)-at))
		if _, err := c.ReadAt(p, LSN(at)); err != nil || string(p) != string(written[at:at+len(p)]) {
			t.Fatalf("%d bytes at %d: %v", len(p), at, err)
		}
	}
	file, err := os.OpenFile(filepath.Join(c.dir, SegmentName(1, 0)), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	at := int64(2*blockSize + 77)
	if _, err := file.WriteAt([]byte{written[at] ^ 4}, at); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadAt(make([]byte, 10), 0); err != nil {
		t.Errorf("another block: %v", err)
	}
	if _, err := c.ReadAt(make([]byte, 10), 2*blockSize+500); !errors.Is(err, errBadBlock) {
		t.Errorf("a block with a flipped bit: %v", err)
	}
	if bad := c.damaged(); len(bad) != 1 || bad[0] != 2*blockSize {
		t.Fatalf("damaged: %v", bad)
	}
	s, err := c.State()
	if err != nil {
		t.Fatal(err) // it votes on
	}
	if err := c.patch(2*blockSize, written[2*blockSize:3*blockSize], s.Terms); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, len(written))
	if _, err := c.ReadAt(p, 0); err != nil || string(p) != string(written) || len(c.damaged()) != 0 {
		t.Errorf("after the block was mended: %v", err)
	}
}

func TestBlocksThatAreWrittenAgainHaveNewChecksums(t *testing.T) {
	c := testCopy(t)
	first, second := make([]byte, 2*blockSize), make([]byte, blockSize)
	second[5] = 1
	if err := (diskGroup{c}).Append(Ballot{1, 1}, 0, first); err != nil {
		t.Fatal(err)
	}
	// A new term cuts within the second block, and goes on with other bytes.
	s, err := c.State()
	if err != nil {
		t.Fatal(err)
	}
	newer := s
	newer.Owner, newer.End = Ballot{2, 1}, blockSize+100
	b := Ballot{3, 1}
	if _, err := c.Promise(b); err != nil {
		t.Fatal(err)
	}
	if err := c.Truncate(b, newer); err != nil {
		t.Fatal(err)
	}
	for i, p := range [][]byte{second[:200], second[200 : blockSize-100], first[:blockSize]} {
		s, _ := c.State()
		if err := c.Fill(b, newer.Terms, s.End, p); err != nil {
			t.Fatal(i, err)
		}
		s, _ = c.State()
		if _, err := c.ReadAt(make([]byte, s.End), 0); err != nil {
			t.Errorf("after piece %d: %v", i, err)
		}
	}
}
