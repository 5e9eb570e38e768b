package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// What PostgreSQL 15 writes: access/xlog_internal.h, access/xlogrecord.h.
const (
	pageMagic       = 0xD110
	shortPageHeader = 24
	longPageHeader  = 40
	recordHeader    = 24

	pageContinues  = 0x0001 // the page begins with the rest of a record
	pageLongHeader = 0x0002 // the first page of a segment
	pageOverwrites = 0x0008 // the record that was to go on here was given up

	resourceXLOG     = 0
	infoMask         = 0xF0
	infoXLOGSwitch   = 0x40
	largestRecordLen = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errDamaged says that WAL is not what PostgreSQL wrote.
var errDamaged = errors.New("damaged WAL")

// readAt reads all of p at a position, or fails.
type readAt func(p []byte, at LSN) error

// scanner walks the records of a stretch of WAL, and checks page headers and
// checksums on its way.
type scanner struct {
	read  readAt
	limit LSN // bytes before it are there
	page  [pageSize]byte
	base  LSN // of page
	have  int // bytes of page that are there

	// Of the record that was read last:
	record     LSN
	whole      bool // it was not given up
	kind, info byte
	head       [recordHead]byte // the beginning of its body
	headLen    int
}

func newScanner(read readAt, limit LSN) *scanner {
	return &scanner{read: read, limit: limit, base: ^LSN(0)}
}

// errShort says that the WAL ends before what was asked for.
var errShort = errors.New("WAL ends here")

// load brings the page of a position into memory and checks its header.
func (s *scanner) load(at LSN) error {
	base := at &^ (pageSize - 1)
	if base == s.base {
		return nil
	}
	s.have = int(min(pageSize, s.limit-base))
	if base >= s.limit || s.have < shortPageHeader {
		return errShort
	}
	s.base = ^LSN(0)
	if err := s.read(s.page[:s.have], base); err != nil {
		return err
	}
	if magic := binary.LittleEndian.Uint16(s.page[:]); magic != pageMagic {
		return fmt.Errorf("%w: magic number %04X at %s", errDamaged, magic, base)
	}
	if addr := LSN(binary.LittleEndian.Uint64(s.page[8:])); addr != base {
		return fmt.Errorf("%w: the page at %s says that it is at %s", errDamaged, base, addr)
	}
	s.base = base
	return nil
}

func (s *scanner) flags() uint16 { return binary.LittleEndian.Uint16(s.page[2:]) }

// remaining is how much of a record goes on in the page.
func (s *scanner) remaining() int {
	if s.flags()&pageContinues == 0 {
		return 0
	}
	return int(binary.LittleEndian.Uint32(s.page[16:]))
}

func (s *scanner) headerLen() LSN {
	if s.flags()&pageLongHeader != 0 {
		return longPageHeader
	}
	return shortPageHeader
}

// first finds the first record that begins at or after the page boundary from.
func (s *scanner) first(from LSN) (LSN, error) {
	for base := from; ; base += pageSize {
		if err := s.load(base); err != nil {
			return 0, err
		}
		room := pageSize - int(s.headerLen())
		if rest := s.remaining(); rest < room {
			return align(base + s.headerLen() + LSN(rest)), nil
		} else if rest == room {
			return base + pageSize, nil
		}
	}
}

func align(at LSN) LSN { return (at + 7) &^ 7 }

// next reads the record at a position (which may be the boundary of the page
// that it is on) and returns where it ends. errShort: it is not all there.
func (s *scanner) next(at LSN) (end LSN, err error) {
	if err := s.load(at); err != nil {
		return 0, err
	}
	if at == s.base {
		at += s.headerLen()
	}
	if int(at-s.base)+4 > s.have {
		return 0, errShort
	}
	total := int(binary.LittleEndian.Uint32(s.page[at-s.base:]))
	if total == 0 {
		return 0, errShort // zeros: nothing was written here yet
	}
	if total < recordHeader || total > largestRecordLen {
		return 0, fmt.Errorf("%w: a record of %d bytes at %s", errDamaged, total, at)
	}
	var header [recordHeader]byte
	crc, got := uint32(0), 0
	s.record, s.whole, s.headLen = at, false, 0
	for pos := at; ; {
		part := s.page[pos-s.base : min(s.have, int(pos-s.base)+total-got)]
		if got < recordHeader {
			n := copy(header[got:], part)
			got, part, pos = got+n, part[n:], pos+LSN(n)
		}
		crc = crc32.Update(crc, castagnoli, part)
		s.headLen += copy(s.head[s.headLen:], part)
		got, pos = got+len(part), pos+LSN(len(part))
		if got == total {
			end = align(pos)
			break
		}
		if s.have < pageSize {
			return 0, errShort
		}
		if err := s.load(pos); err != nil {
			return 0, err
		}
		if s.flags()&pageOverwrites != 0 {
			return s.base, nil // given up; the page begins with another record
		}
		if s.remaining() != total-got {
			return 0, fmt.Errorf("%w: the record at %s does not go on at %s", errDamaged, at, pos)
		}
		pos += s.headerLen()
	}
	crc = crc32.Update(crc, castagnoli, header[:20])
	if want := binary.LittleEndian.Uint32(header[20:]); crc != want {
		return 0, fmt.Errorf("%w: wrong checksum of the record at %s", errDamaged, at)
	}
	s.whole, s.kind, s.info = true, header[17], header[16]
	if header[17] == resourceXLOG && header[16]&infoMask == infoXLOGSwitch {
		end = segmentStart(end-1) + segmentSize
	}
	return end, nil
}

// lastRecordEnd returns where the last record that is complete before limit
// ends: beyond limit only for a switch to the next segment, which is followed by
// nothing but zeros. WAL before start is not there; a record boundary at or before limit is
// found from the beginning of its segment, or of an earlier one.
func lastRecordEnd(read readAt, start, limit LSN) (LSN, error) {
	s := newScanner(read, limit)
	for from := segmentStart(limit); ; from -= segmentSize {
		if from < start {
			return 0, fmt.Errorf("%w: no record begins between %s and %s", errDamaged, start, limit)
		}
		at, err := s.first(from)
		if errors.Is(err, errShort) && from > start {
			continue
		}
		if errors.Is(err, errShort) {
			return from, nil
		}
		if err != nil {
			return 0, err
		}
		if at > limit {
			if from > start {
				continue
			}
			return from, nil
		}
		for {
			end, err := s.next(at)
			if errors.Is(err, errShort) {
				return at, nil
			}
			if err != nil {
				return 0, err
			}
			if at = end; at >= limit {
				return at, nil
			}
		}
	}
}
