package wal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/daybreakdb/daybreak/internal/layout"
)

// directBlock is what the offset, the length and the memory of a write must be
// multiples of to go past the page cache, on every disk in use.
const directBlock = 4096

// journalFile is one file of a journal, made in full before its first entry, so
// that a sync has nothing to write but the entries.
//
// It is written past the page cache where the file system can do that, which
// takes a third off a sync. Then whole blocks are written: the last one again
// with every batch, its first bytes unchanged, so that a write of which only a
// part reaches the disk damages nothing that was there.
type journalFile struct {
	file   *os.File
	number uint64
	size   int64
	offset int64  // of the next entry
	blocks []byte // aligned; begins with those of the block at offset. nil: through the page cache
}

// makeJournalFile makes the file at path of zeros, or of a retired one, spare:
// entries in that have another number.
func makeJournalFile(dir, path, spare string, number uint64, size int64) (*journalFile, error) {
	size = wholeBlocks(size)
	if spare != "" {
		if err := os.Rename(spare, path); err != nil {
			return nil, err
		}
	} else if err := writeZeros(path, size); err != nil {
		return nil, err
	}
	if err := layout.SyncDir(dir); err != nil {
		return nil, err
	}
	j := &journalFile{number: number, size: size, blocks: alignedBlocks(directBlock)}
	file, err := os.OpenFile(path, os.O_WRONLY|unix.O_DIRECT, 0)
	if err == nil {
		if _, err = file.WriteAt(j.blocks, 0); err != nil {
			_ = file.Close()
		}
	}
	if errors.Is(err, unix.EINVAL) { // not with this file system
		j.blocks = nil
		file, err = os.OpenFile(path, os.O_WRONLY, 0)
	}
	j.file = file
	return j, err
}

func writeZeros(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	zeros := make([]byte, 1<<20)
	for left := size; left > 0; left -= int64(len(zeros)) {
		if _, err := f.Write(zeros[:min(left, int64(len(zeros)))]); err != nil {
			return err
		}
	}
	return f.Sync()
}

// write makes a batch of entries durable; it fills in their number and checksums.
func (j *journalFile) write(entries []byte) error {
	for rest := entries; len(rest) > 0; {
		length := int(binary.LittleEndian.Uint32(rest[24:]))
		binary.LittleEndian.PutUint64(rest[8:], j.number)
		binary.LittleEndian.PutUint32(rest[4:], crc32.Checksum(rest[8:entryHeader+length], castagnoli))
		rest = rest[entryHeader+length:]
	}
	at := j.offset
	j.offset += int64(len(entries))
	if j.blocks != nil {
		return j.writeBlocks(at, entries)
	}
	if _, err := j.file.WriteAt(entries, at); err != nil {
		return err
	}
	return fdatasync(j.file)
}

func (j *journalFile) writeBlocks(at int64, entries []byte) error {
	head := int(at % directBlock)
	total := int(wholeBlocks(int64(head + len(entries))))
	if total > len(j.blocks) {
		more := alignedBlocks(total)
		copy(more, j.blocks[:head])
		j.blocks = more
	}
	end := head + copy(j.blocks[head:], entries)
	clear(j.blocks[end:total])
	if _, err := j.file.WriteAt(j.blocks[:total], at-int64(head)); err != nil {
		return err
	}
	copy(j.blocks, j.blocks[end-end%directBlock:end])
	return fdatasync(j.file)
}

func wholeBlocks(n int64) int64 { return (n + directBlock - 1) / directBlock * directBlock }

func alignedBlocks(n int) []byte {
	b := make([]byte, n+directBlock)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % directBlock
	return b[skip : int(skip)+n]
}

func fdatasync(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var synced error
	err = conn.Control(func(fd uintptr) {
		for synced = unix.EINTR; synced == unix.EINTR; {
			synced = unix.Fdatasync(int(fd))
		}
	})
	return errors.Join(err, os.NewSyscallError("fdatasync", synced))
}
