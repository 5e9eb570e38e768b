package wal

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

// hungDisk is a copy's disk whose reads wait, from hang to release.
type hungDisk struct {
	release chan struct{}
	hung    chan struct{} // has one for each read that waits
}

// hang has all further reads of the copy wait. The test's end lets them go.
func hang(t *testing.T, c *Copy) *hungDisk {
	t.Helper()
	d := &hungDisk{release: make(chan struct{}), hung: make(chan struct{}, 100)}
	c.open = func(path string) (segmentFile, error) {
		f, err := openSegment(path)
		return &hungFile{f, d}, err
	}
	t.Cleanup(d.end)
	return d
}

func (d *hungDisk) end() {
	select {
	case <-d.release:
	default:
		close(d.release)
	}
}

type hungFile struct {
	segmentFile
	disk *hungDisk
}

func (f *hungFile) ReadAt(p []byte, at int64) (int, error) {
	f.disk.hung <- struct{}{}
	<-f.disk.release
	return f.segmentFile.ReadAt(p, at)
}

// testLog is a log of copies that are open in term 1 and have these bytes.
func testLog(t *testing.T, copies int, data []byte) (*Log, []*Copy) {
	t.Helper()
	var all []*Copy
	var replicas []replica
	for range copies {
		c := testCopy(t)
		c.number = len(all)
		appendAll(t, data, c)
		all, replicas = append(all, c), append(replicas, c)
	}
	l := newLog("cluster", replicas, []group{diskGroup(all)})
	l.ballot, l.begun, l.gate = Ballot{1, 1}, true, Gate{History{{1, 0}}, LSN(len(data))}
	l.recordEnd = func(read readAt, start, limit LSN) (LSN, error) {
		return limit, read(make([]byte, 1), limit-1)
	}
	return l, all
}

func appendAll(t *testing.T, data []byte, to ...*Copy) {
	t.Helper()
	for _, c := range to {
		s, err := c.State()
		if err == nil {
			err = (diskGroup{c}).Append(Ballot{1, 1}, s.End, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func randomBytes(n int) []byte {
	r, b := rand.New(rand.NewPCG(1, 2)), make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestReadsGoToAnotherCopyWhenADiskHangs(t *testing.T) {
	written := randomBytes(3 * blockSize)
	l, copies := testLog(t, 3, written)
	disk := hang(t, copies[0])
	for i := range 20 {
		p := make([]byte, 2*blockSize)
		if err := l.Read(p, 100); err != nil || string(p) != string(written[100:][:len(p)]) {
			t.Fatalf("read %d: %v", i, err)
		}
	}
	if n := len(disk.hung); n != 1 {
		t.Errorf("%d reads hang, want one", n)
	}
	// What comes late must not reach anybody's memory, and ends the copy's rest.
	p := make([]byte, blockSize)
	if _, err := copies[0].ReadAt(p, 0); !errors.Is(err, errSlow) {
		t.Errorf("a copy whose disk hangs: %v", err)
	}
	disk.end()
	eventually(t, "the copy is read again", func() bool {
		_, err := copies[0].ReadAt(p, 0)
		return err == nil && string(p) == string(written[:blockSize])
	})
}

func TestReadsWaitForADiskThatHangsWhenNoOtherHasTheBytes(t *testing.T) {
	written := randomBytes(blockSize)
	l, copies := testLog(t, 1, written)
	disk := hang(t, copies[0])
	done := make(chan error, 1)
	p := make([]byte, blockSize)
	go func() { done <- l.Read(p, 0) }()
	<-disk.hung
	disk.end()
	if err := <-done; err != nil || string(p) != string(written) {
		t.Errorf("after the disk was back: %v", err)
	}
}

func TestReadOfACopyThatIsNotTheTermsIsNotBegun(t *testing.T) {
	l, copies := testLog(t, 3, randomBytes(blockSize))
	disk := hang(t, copies[0])
	if _, err := copies[0].Promise(Ballot{2, 1}); err != nil {
		t.Fatal(err)
	}
	l.ballot = Ballot{1, 2}
	for _, c := range copies[1:] {
		s, err := c.Promise(l.ballot)
		if err == nil {
			err = c.Join(l.ballot, s)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Read(make([]byte, 10), 0); err != nil || len(disk.hung) > 0 {
		t.Errorf("%v, %d reads hang", err, len(disk.hung))
	}
}

// TestTermBeginsWithoutACopyThatCannotBeRead: copies 0 to tail-1 have bytes that the
// others have not, and their disks hang for reads.
func TestTermBeginsWithoutACopyThatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		copies, tail, hung, away int
		want                     LSN // 0: it must wait
	}{
		"one has more, and nobody else needs it":    {copies: 3, tail: 1, hung: 1, want: blockSize},
		"two of six":                                {copies: 6, tail: 2, hung: 2, want: blockSize},
		"three of six are no quorum":                {copies: 6, tail: 3, hung: 3, want: blockSize},
		"four of six may have acknowledged it":      {copies: 6, tail: 4, hung: 4},
		"one can be read of those that have it":     {copies: 6, tail: 3, hung: 2, want: 2 * blockSize},
		"two of three may have acknowledged it":     {copies: 3, tail: 2, hung: 2},
		"one of three, and one that is away may":    {copies: 3, tail: 1, hung: 1, away: 1},
		"two of six, and two that are away may":     {copies: 6, tail: 2, hung: 2, away: 2},
		"two of six, and one that is away may not":  {copies: 6, tail: 2, hung: 2, away: 1, want: blockSize},
		"all have the same, and one can be read":    {copies: 3, tail: 3, hung: 2, want: 2 * blockSize},
		"the only copy":                             {copies: 1, tail: 1, hung: 1},
		"nothing hangs":                             {copies: 3, tail: 1, want: 2 * blockSize},
		"a copy hangs that has no more than others": {copies: 3, hung: 1, want: blockSize},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, copies := testLog(t, c.copies, make([]byte, blockSize))
			appendAll(t, make([]byte, blockSize), copies[:c.tail]...)
			for _, of := range copies[:c.hung] {
				hang(t, of)
			}
			for _, of := range copies[c.copies-c.away:] {
				of.awayFor(time.Hour, 100)
			}
			o, err := l.Open(t.Context(), 2, false)
			switch {
			case c.want == 0 && !errors.Is(err, errSlow):
				t.Errorf("a term begins at %s with %v, and should have waited", o.End, err)
			case c.want != 0 && (err != nil || o.End != c.want):
				t.Errorf("a term begins at %s with %v, want %s", o.End, err, c.want)
			}
		})
	}
}

// TestWriterGoesOnWithoutACopyThatCannotBeRead: its own WAL has what only that has.
func TestWriterGoesOnWithoutACopyThatCannotBeRead(t *testing.T) {
	l, copies := testLog(t, 3, make([]byte, blockSize))
	tail := randomBytes(blockSize)
	appendAll(t, tail, copies[0])
	disk := hang(t, copies[0])
	end, err := l.Resume(t.Context(), 1)
	if err != nil || end != blockSize {
		t.Fatalf("resumed at %s: %v", end, err)
	}
	if lsn, err := l.Append(t.Context(), 1, end, tail); err != nil || lsn != 2*blockSize {
		t.Fatalf("committed up to %s: %v", lsn, err)
	}
	disk.end()
	eventually(t, "the copy is one of the others again", func() bool {
		l.repair()
		s, err := copies[0].State()
		return err == nil && s.open(l.ballot) && s.End == 2*blockSize
	})
}
