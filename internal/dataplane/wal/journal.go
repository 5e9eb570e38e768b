package wal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// journalSize is the size of one file of a journal.
	journalSize = 32 << 20
	// maxJournals bounds the files of a journal whose copies cannot be synced as
	// fast as it is written.
	maxJournals = 8

	entryMagic  = 0xDA7B4EA1
	entryHeader = 4 + 4 + 8 + 8 + 4 // magic, checksum, file, sequence, length
)

// entry is one thing that a journal makes durable, for some copies of a cluster's
// log: WAL bytes, or their state.
type entry struct {
	cluster string
	copies  uint64 // bit n: copy n
	at      LSN    // of data
	data    []byte
	state   *State // in place of data
}

// journal makes what is written to the copies on one disk durable with one sync
// for all of them, of all clusters that write at the moment. The copies' own
// files are written before and synced much later; after a crash the journal is
// replayed into them.
//
// A sync that fails is never tried again: nobody knows what the disk has then.
// The journal is dead, and with it the disk's copies, until the process starts
// again.
type journal struct {
	dir string

	mu      sync.Mutex
	cond    *sync.Cond
	batch   *batch // being collected
	leading bool   // somebody writes a batch
	failed  error
	seq     uint64 // of the last entry
	file    *journalFile
	number  uint64   // of file
	full    []uint64 // files before the current one, whose copies are not yet synced
	spare   []string // files to be used again
	dirty   map[*Copy]bool
	retire  chan struct{}
	closing bool
	done    chan struct{}

	waking sync.Mutex
	asleep bool // retire is closed
}

type batch struct {
	buf  []byte
	seq  uint64 // of its last entry
	done chan struct{}
	err  error
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// openJournal opens or makes the journal in dir and hands every entry in it, in
// order, to replay. Sequence numbers go on after seq.
func openJournal(dir string, seq uint64, replay func(seq uint64, e entry) error) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	j := &journal{dir: dir, batch: newBatch(), seq: seq, dirty: map[*Copy]bool{}, retire: make(chan struct{}, 1), done: make(chan struct{})}
	j.cond = sync.NewCond(&j.mu)
	numbers, err := j.numbers()
	if err != nil {
		return nil, err
	}
	for _, n := range numbers {
		if err := j.replayFile(n, replay); err != nil {
			return nil, fmt.Errorf("journal %s: %w", j.path(n), err)
		}
		j.number = n
	}
	j.full = numbers
	go j.retireFiles()
	return j, nil
}

func (j *journal) path(n uint64) string { return filepath.Join(j.dir, fmt.Sprintf("%016d", n)) }

func (j *journal) numbers() ([]uint64, error) {
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, err
	}
	var all []uint64
	for _, e := range entries {
		if n, err := strconv.ParseUint(e.Name(), 10, 64); err == nil {
			all = append(all, n)
		} else if strings.HasPrefix(e.Name(), "spare-") {
			j.spare = append(j.spare, filepath.Join(j.dir, e.Name()))
		}
	}
	slices.Sort(all)
	return all, nil
}

func (j *journal) replayFile(n uint64, replay func(uint64, entry) error) error {
	content, err := os.ReadFile(j.path(n))
	if err != nil {
		return err
	}
	for len(content) >= entryHeader {
		length := int(binary.LittleEndian.Uint32(content[24:]))
		switch {
		case binary.LittleEndian.Uint32(content) != entryMagic, binary.LittleEndian.Uint64(content[8:]) != n,
			length > len(content)-entryHeader,
			crc32.Checksum(content[8:entryHeader+length], castagnoli) != binary.LittleEndian.Uint32(content[4:]):
			return nil // the end: what follows was never acknowledged
		}
		e, err := decodeEntry(content[entryHeader : entryHeader+length])
		if err != nil {
			return err
		}
		seq := binary.LittleEndian.Uint64(content[16:])
		j.seq = max(j.seq, seq)
		if err := replay(seq, e); err != nil {
			return err
		}
		content = content[entryHeader+length:]
	}
	return nil
}

// commit returns when the entry is durable, and its sequence number. Entries that
// come while another is being synced are synced together.
func (j *journal) commit(e entry) (uint64, error) {
	j.mu.Lock()
	if j.failed != nil || j.closing {
		defer j.mu.Unlock()
		return 0, j.failure()
	}
	b := j.batch
	j.seq++
	seq := j.seq
	b.buf, b.seq = appendEntry(b.buf, seq, e), seq
	if j.leading {
		j.mu.Unlock()
		<-b.done
		return seq, b.err
	}
	j.leading = true
	for b := j.batch; len(b.buf) > 0; b = j.batch {
		j.batch = newBatch()
		if b.err = j.prepare(len(b.buf)); b.err == nil {
			file := j.file
			j.mu.Unlock()
			b.err = file.write(b.buf)
			j.mu.Lock()
		}
		if b.err != nil {
			j.failed = errors.Join(j.failed, b.err)
		}
		close(b.done)
	}
	j.leading = false
	j.cond.Broadcast()
	j.mu.Unlock()
	<-b.done
	return seq, b.err
}

// broken says why nothing can be made durable here any more; nil: it can.
func (j *journal) broken() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed
}

// ready makes room in the journal, so that it is known that there is some.
func (j *journal) ready() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.prepare(1)
}

func (j *journal) failure() error {
	if j.failed != nil {
		return fmt.Errorf("journal %s failed before: %w", j.dir, j.failed)
	}
	return fmt.Errorf("journal %s is closed", j.dir)
}

// prepare makes room for n bytes, in the current file or in the next one.
func (j *journal) prepare(n int) error {
	if j.failed != nil {
		return j.failed
	}
	if j.file != nil && j.file.offset+int64(n) <= j.file.size {
		return nil
	}
	for j.file != nil && len(j.full) >= maxJournals {
		j.wakeRetire()
		j.cond.Wait()
		if j.failed != nil {
			return j.failed
		}
	}
	if j.file != nil {
		_ = j.file.file.Close()
		j.full = append(j.full, j.number)
		j.file = nil
	}
	size, spare := max(journalSize, int64(n)), ""
	if last := len(j.spare) - 1; last >= 0 && size == journalSize {
		spare = j.spare[last]
		j.spare = j.spare[:last]
	}
	file, err := makeJournalFile(j.dir, j.path(j.number+1), spare, j.number+1, size)
	if err != nil {
		return err
	}
	j.file = file
	j.number++
	j.wakeRetire()
	return nil
}

// appendEntry encodes an entry; the file that it is written to fills in its number
// and the checksum.
func appendEntry(buf []byte, seq uint64, e entry) []byte {
	start := len(buf)
	buf = append(buf, make([]byte, entryHeader)...)
	kind := byte(0)
	body := e.data
	if e.state != nil {
		kind = 1
		body, _ = json.Marshal(e.state) // numbers always have JSON
	}
	buf = append(buf, kind, byte(len(e.cluster)))
	buf = append(buf, e.cluster...)
	buf = binary.LittleEndian.AppendUint64(buf, e.copies)
	buf = binary.LittleEndian.AppendUint64(buf, uint64(e.at))
	buf = append(buf, body...)
	binary.LittleEndian.PutUint32(buf[start:], entryMagic)
	binary.LittleEndian.PutUint64(buf[start+16:], seq)
	binary.LittleEndian.PutUint32(buf[start+24:], uint32(len(buf)-start-entryHeader))
	return buf
}

func decodeEntry(b []byte) (entry, error) {
	if len(b) < 2 || len(b) < 2+int(b[1])+16 {
		return entry{}, errors.New("an entry is too short")
	}
	kind, n := b[0], int(b[1])
	e := entry{cluster: string(b[2 : 2+n])}
	b = b[2+n:]
	e.copies, e.at = binary.LittleEndian.Uint64(b), LSN(binary.LittleEndian.Uint64(b[8:]))
	e.data = b[16:]
	if kind == 1 {
		e.state = &State{}
		if err := json.Unmarshal(e.data, e.state); err != nil {
			return e, err
		}
		e.data = nil
	}
	return e, nil
}

// touched notes that a copy's files have what only the journal makes durable.
func (j *journal) touched(c *Copy) {
	j.mu.Lock()
	j.dirty[c] = true
	j.mu.Unlock()
}

func (j *journal) wakeRetire() {
	j.waking.Lock()
	defer j.waking.Unlock()
	if j.asleep {
		return
	}
	select {
	case j.retire <- struct{}{}:
	default:
	}
}

// retireFiles syncs copies so that full files are not needed any more.
func (j *journal) retireFiles() {
	defer close(j.done)
	for range j.retire {
		j.mu.Lock()
		full := j.full
		j.mu.Unlock()
		if len(full) == 0 {
			continue
		}
		if err := j.checkpoint(); err != nil {
			slog.Error("wal: copies not synced, their journal is kept", "journal", j.dir, "error", err)
			time.AfterFunc(time.Second, j.wakeRetire)
			continue
		}
		j.mu.Lock()
		j.full = slices.Clone(j.full[len(full):])
		for _, n := range full {
			j.recycle(n)
		}
		j.cond.Broadcast()
		j.mu.Unlock()
	}
}

const maxSpare = 2

func (j *journal) recycle(n uint64) {
	spare := filepath.Join(j.dir, fmt.Sprintf("spare-%016d", n))
	info, err := os.Stat(j.path(n))
	if err == nil && info.Size() == journalSize && len(j.spare) < maxSpare && os.Rename(j.path(n), spare) == nil {
		j.spare = append(j.spare, spare)
		return
	}
	if err := os.Remove(j.path(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		j.failed = errors.Join(j.failed, err)
	}
}

// checkpoint makes the files of all copies durable as they are. A copy of which
// that cannot be done keeps the journal's files, unless it is gone as a whole.
func (j *journal) checkpoint() error {
	j.mu.Lock()
	dirty := j.dirty
	j.dirty = map[*Copy]bool{}
	j.mu.Unlock()
	var errs error
	for c := range dirty {
		if err := c.checkpoint(); err != nil && !c.lost() {
			errs = errors.Join(errs, err)
			j.touched(c)
		}
	}
	return errs
}

// abandon gives up a journal that was never used.
func (j *journal) abandon() {
	j.waking.Lock()
	defer j.waking.Unlock()
	if !j.asleep {
		j.asleep = true
		close(j.retire)
	}
}

// close syncs everything, so that the next start has nothing to replay.
func (j *journal) close() error {
	j.mu.Lock()
	for j.leading {
		j.cond.Wait()
	}
	if j.closing {
		j.mu.Unlock()
		return nil
	}
	j.closing = true
	j.mu.Unlock()
	j.waking.Lock()
	j.asleep = true
	close(j.retire)
	j.waking.Unlock()
	<-j.done
	j.mu.Lock()
	failed := j.failed
	j.mu.Unlock()
	if failed != nil {
		return failed
	}
	if err := j.checkpoint(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file != nil {
		_ = j.file.file.Close()
		j.full = append(j.full, j.number)
	}
	for _, n := range j.full {
		j.recycle(n)
	}
	return j.failed
}
