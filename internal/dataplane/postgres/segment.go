package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/daybreakdb/daybreak/internal/layout"
)

// segmentBytes is the size of a WAL segment, initdb's default.
const segmentBytes = 16 << 20

// halfReceived is what a standby says that was stopped, as by a crash, while it
// received the segment in which a timeline began. PostgreSQL receives such a segment
// from its start, and after a restart reads that file rather than the older
// timeline's, which has all of it. Where the file ends it wants the rest of a record
// of the older timeline, and gives up (WaitForWALToBecomeAvailable). It would do so
// again after every restart.
var halfReceived = regexp.MustCompile(`WAL location ([0-9A-F]+/[0-9A-F]+) belongs to timeline (\d+), but previous recovered WAL file came from timeline (\d+)`)

// DropHalfReceived removes the WAL segment for which a standby ended when it ran last,
// if that is why, and says whether it did. What the standby had of it is in the older
// timeline's file, or comes again from where it gets its WAL.
func (s Server) DropHalfReceived() (bool, error) {
	_, run := s.lastRun()
	found := halfReceived.FindStringSubmatch(run)
	if found == nil {
		return false, nil
	}
	at, err := ParseLSN(found[1])
	if err != nil {
		return false, err
	}
	timeline, err := strconv.ParseUint(found[3], 10, 32)
	if err != nil {
		return false, err
	}
	if standby, err := s.IsStandby(); err != nil || !standby {
		return false, err // a writer's own WAL is nowhere else for sure
	}
	const perLog = 1 << 32 / segmentBytes
	segment := uint64(at) / segmentBytes
	wal := filepath.Join(s.dataDir(), "pg_wal")
	err = os.Remove(filepath.Join(wal, fmt.Sprintf("%08X%08X%08X", timeline, segment/perLog, segment%perLog)))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, layout.SyncDir(wal)
}
