package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/daybreakdb/daybreak/internal/layout"
)

// Copy is one copy of a log, in a directory of its own.
type Copy struct {
	cluster string
	number  int
	dir     string
	journal *journal
	open    func(path string) (segmentFile, error) // for reading
	reads   *readGate

	step  sync.Mutex // held through a change, from its check to its durability
	begun begunBlock // of step: it has no checksum

	mu     sync.Mutex
	state  State
	shape  uint64 // another after every change but an append, and never the same again
	stamp  uint64 // how often others were told of the state
	seq    uint64 // of the journal's last entry in state
	blank  bool
	failed error
	away   away
	heard  time.Time           // when bytes of a writer came last; zero: not since our start
	bad    map[LSN]bool        // damaged blocks
	files  map[string]*os.File // open for writing
	dirty  map[string]bool     // written since the last checkpoint
}

// openCopy opens what is in dir; nothing there is a blank copy.
func openCopy(j *journal, cluster string, number int, dir string) (*Copy, error) {
	c := &Copy{cluster: cluster, number: number, dir: dir, journal: j, open: openSegment, reads: newReadGate(), shape: rand.Uint64(), files: map[string]*os.File{}, dirty: map[string]bool{}, bad: map[LSN]bool{}}
	ctl, err := readControl(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.blank = true
	case err != nil:
		return nil, err
	default:
		c.state, c.seq = ctl.State, ctl.Seq
	}
	return c, nil
}

// State returns what the copy knows, or why it knows nothing.
func (c *Copy) State() (State, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.usable()
}

// away is a fault that a user asked for: the copy does not answer for a share of
// the time until then.
type away struct {
	until time.Time
	share float64 // of 100
}

// errAway says that a copy does not answer because a user wants to see that.
var errAway = errors.New("the copy is taken away, as a user asked")

// awayTurn is how long a copy is away at a time.
const awayTurn = 200 * time.Millisecond

func (c *Copy) awayFor(d time.Duration, share float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away{time.Now().Add(d), share}
}

// now says whether the copy is away: in the first part of every hundred turns.
func (a away) now(t time.Time) bool {
	return t.Before(a.until) && float64(t.UnixNano()/int64(awayTurn)*37%100) < a.share
}

func (c *Copy) usable() error {
	if c.away.now(time.Now()) {
		return errAway
	}
	if c.failed != nil {
		return c.failed
	}
	if c.blank {
		return errBlank
	}
	if c.state.Rebuilding {
		return errRebuilding
	}
	return nil
}

// fail takes the copy out of service.
func (c *Copy) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.shape = rand.Uint64()
		c.failed = fmt.Errorf("copy %d: %w", c.number, err)
	}
}

// format makes a blank copy an empty one, which only those of a log become that
// never held anything.
func (c *Copy) format(s State) error {
	c.step.Lock()
	defer c.step.Unlock()
	if _, err := c.State(); !errors.Is(err, errBlank) {
		return err
	}
	return c.makeAnew(s)
}

// makeAnew gives the copy this state and no bytes. The caller holds step.
func (c *Copy) makeAnew(s State) error {
	// Servers of the cluster, which have user ids of their own, pass through.
	for _, d := range []string{filepath.Dir(filepath.Dir(c.dir)), filepath.Dir(c.dir)} {
		if err := os.MkdirAll(d, 0o711); err != nil {
			return err
		}
		if err := os.Chmod(d, 0o711); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	// From here on the journal's entries are for this copy.
	c.journal.mu.Lock()
	seq := c.journal.seq
	c.journal.mu.Unlock()
	if err := c.writeControl(control{Seq: seq, State: s}); err != nil {
		return err
	}
	if err := layout.SyncDir(filepath.Dir(c.dir)); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeFiles()
	clear(c.dirty)
	c.state, c.shape, c.seq, c.blank, c.failed = s, rand.Uint64(), seq, false, nil
	return nil
}

// anew is Rebuild and format for a log on another host, whose order may be late: it
// is done only if the copy is what it was when it had this shape, and cannot be
// used.
func (c *Copy) anew(shape uint64, rebuild bool, s State) error {
	c.step.Lock()
	defer c.step.Unlock()
	c.mu.Lock()
	refuse := c.shape != shape || !c.blank && (!rebuild || c.failed == nil && !c.state.Rebuilding)
	c.mu.Unlock()
	if refuse {
		return errChanged
	}
	if rebuild {
		c.makeBlank()
		s = s.toRebuild()
	}
	return c.makeAnew(s)
}

// lost says whether the copy's directory has been taken away under it.
func (c *Copy) lost() bool {
	if _, err := c.State(); errors.Is(err, errBlank) {
		return false
	}
	_, err := os.Stat(filepath.Join(c.dir, controlName))
	return errors.Is(err, fs.ErrNotExist)
}

// forgetIfLost makes a copy blank whose directory is gone.
func (c *Copy) forgetIfLost() bool {
	if !c.lost() {
		return false
	}
	c.step.Lock()
	defer c.step.Unlock()
	if !c.lost() {
		return false
	}
	c.makeBlank()
	return true
}

// forget makes a copy blank.
func (c *Copy) forget() {
	c.step.Lock()
	defer c.step.Unlock()
	c.makeBlank()
}

func (c *Copy) makeBlank() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeFiles()
	clear(c.dirty)
	clear(c.bad)
	c.state, c.shape, c.blank, c.failed = State{}, rand.Uint64(), true, nil
}

// refresh is State: nothing is older here.
func (c *Copy) refresh() (State, error) { return c.State() }

func (c *Copy) place() (host, disk string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return "", c.journal.dir
}

// tell returns the state for a log on another host, without what that knows.
func (c *Copy) tell(shape uint64) copyState {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stamp++
	told := copyState{Stamp: c.stamp, Shape: c.shape, End: c.state.End, Committed: c.state.Committed, Problem: toWire(c.usable())}
	if c.shape != shape {
		s := c.state
		told.State, told.Disk = &s, c.journal.dir
	}
	for at := range c.bad {
		told.Damaged = append(told.Damaged, at)
	}
	return told
}
