package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Beside every segment of a copy is a file with the checksums of its blocks, each
// from the moment that the block is complete. They are checked whenever the block
// is read: for readers, for a copy that is brought up, for a new term. A damaged
// block is read from another copy, and soon written again from there.

// blockSize is what a checksum is of: a page of WAL.
const blockSize = 8192

const checksumSuffix = ".crc"

// blockError says which block it is.
type blockError struct {
	at   LSN
	name string
}

func (e *blockError) Error() string { return fmt.Sprintf("%s at %s: %v", e.name, e.at, errBadBlock) }
func (e *blockError) Unwrap() error { return errBadBlock }

// errBadBlock says that a copy's disk gives other bytes than were written.
var errBadBlock = errors.New("a block of its WAL is damaged")

// blockSum is never 0: that means that the block has none.
func blockSum(block []byte) uint32 { return max(1, crc32.Checksum(block, castagnoli)) }

// sum updates the checksums after data was written to a segment's file at offset.
// The caller holds step.
func (c *Copy) sum(f *os.File, name string, offset int64, data []byte) error {
	sums, err := c.file(name + checksumSuffix)
	if err != nil {
		return err
	}
	end := offset + int64(len(data))
	for block := offset / blockSize; (block+1)*blockSize <= end; block++ {
		start := block * blockSize
		whole := make([]byte, blockSize)
		if start >= offset {
			whole = data[start-offset:][:blockSize]
		} else {
			copy(whole[offset-start:], data)
			if _, err := f.ReadAt(whole[:offset-start], start); err != nil {
				return err
			}
		}
		if err := putSum(sums, block, blockSum(whole)); err != nil {
			return err
		}
	}
	// The last block is incomplete: what it had before, if anything, is no longer so.
	if last := (begunBlock{name, end / blockSize}); end%blockSize != 0 && last != c.begun {
		c.begun = last
		return putSum(sums, last.block, 0)
	}
	return nil
}

// begunBlock is an incomplete block, which has no checksum.
type begunBlock struct {
	name  string
	block int64
}

func putSum(sums *os.File, block int64, sum uint32) error {
	_, err := sums.WriteAt(binary.LittleEndian.AppendUint32(nil, sum), 4*block)
	return err
}

// readChecked reads from a segment's file, whose first byte is at start, and checks
// every complete block before end that it reads from.
func (c *Copy) readChecked(name string, start LSN, p []byte, offset int64, end LSN) error {
	f, err := c.open(filepath.Join(c.dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	first := offset / blockSize
	blocks := (offset+int64(len(p))+blockSize-1)/blockSize - first
	sums, err := c.readSums(filepath.Join(c.dir, name+checksumSuffix), first, blocks)
	if err != nil {
		return err
	}
	whole := make([]byte, blocks*blockSize)
	n, err := f.ReadAt(whole, first*blockSize)
	skip := offset - first*blockSize
	if err != nil && (!errors.Is(err, io.EOF) || int64(n) < skip+int64(len(p))) {
		return err
	}
	for i, sum := range sums {
		block := whole[i*blockSize:][:blockSize]
		if at := start + LSN(first+int64(i))*blockSize; sum != 0 && at+blockSize <= end && blockSum(block) != sum {
			return &blockError{at, name}
		}
	}
	copy(p, whole[skip:])
	return nil
}

func (c *Copy) readSums(path string, first, blocks int64) ([]uint32, error) {
	f, err := c.open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content := make([]byte, 4*blocks)
	if _, err := f.ReadAt(content, 4*first); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	sums := make([]uint32, blocks)
	for i := range sums {
		sums[i] = binary.LittleEndian.Uint32(content[4*i:])
	}
	return sums, nil
}

// damaged returns the blocks that were found damaged.
func (c *Copy) damaged() []LSN {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.bad))
}

// patch writes a damaged block again, with what a copy of the same terms has.
func (c *Copy) patch(at LSN, data []byte, terms []TermBegin) error {
	c.step.Lock()
	defer c.step.Unlock()
	s, err := c.State()
	if err != nil {
		return err
	}
	if !slices.Equal(s.Terms, terms) || at < s.Start || at+LSN(len(data)) > s.End {
		return errGap
	}
	if err := c.write(s.History, at, data); err != nil {
		c.fail(err)
		return err
	}
	c.journal.touched(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.bad, at)
	return nil
}
