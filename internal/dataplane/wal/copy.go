package wal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

const controlName = "control"

// control is the file with a copy's state.
type control struct {
	Seq   uint64 `json:"seq"`
	State State  `json:"state"`
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

func readControl(dir string) (control, error) {
	var ctl control
	content, err := os.ReadFile(filepath.Join(dir, controlName))
	if err != nil {
		return ctl, err
	}
	if err := json.Unmarshal(content, &ctl); err != nil {
		return ctl, fmt.Errorf("%s: %w", filepath.Join(dir, controlName), err)
	}
	return ctl, nil
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

// takeJournal gives the copy the journal that replaces a broken one. What it has
// may depend on what the broken one lost: it is to be rebuilt.
func (c *Copy) takeJournal(j *journal) {
	c.step.Lock()
	defer c.step.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.journal = j
	if c.failed == nil && !c.blank {
		c.shape = rand.Uint64()
		c.failed = fmt.Errorf("copy %d: its journal was lost", c.number)
	}
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

func (c *Copy) closeFiles() {
	for name, f := range c.files {
		_ = f.Close()
		delete(c.files, name)
	}
}

// change makes a new state durable, if check allows it from the present one.
func (c *Copy) change(check func(s *State) error) (State, error) {
	return c.changeAny(func(s *State) error {
		if s.Rebuilding {
			return errRebuilding
		}
		return check(s)
	})
}

func (c *Copy) changeAny(check func(s *State) error) (State, error) {
	c.step.Lock()
	defer c.step.Unlock()
	s, err := c.State()
	if err != nil && !errors.Is(err, errRebuilding) {
		return s, err
	}
	if err := check(&s); err != nil {
		return s, err
	}
	seq, err := c.journal.commit(entry{cluster: c.cluster, copies: 1 << c.number, state: &s})
	if err != nil {
		c.fail(err)
		return s, err
	}
	c.set(s, seq)
	return s, nil
}

func (c *Copy) set(s State, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.shape, c.seq = s, rand.Uint64(), seq
	c.journal.touched(c)
}

// Promise, Truncate, Adopt, Begin and Join are the steps of State, made durable.
func (c *Copy) Promise(b Ballot) (State, error) {
	return c.change(func(s *State) error { return s.promise(b) })
}

func (c *Copy) Truncate(b Ballot, newer State) error {
	_, err := c.change(func(s *State) error { return s.truncate(b, newer) })
	return err
}

func (c *Copy) Adopt(b Ballot, newer State, end LSN) error {
	_, err := c.change(func(s *State) error { return s.adopt(b, newer, end) })
	return err
}

func (c *Copy) Begin(b Ballot, terms []TermBegin, h History, begin LSN) error {
	_, err := c.change(func(s *State) error { return s.begin(b, terms, h, begin) })
	return err
}

func (c *Copy) Join(b Ballot, newer State) error {
	_, err := c.change(func(s *State) error { return s.join(b, newer) })
	return err
}

func (c *Copy) SetMembers(b Ballot, m *Members) error {
	_, err := c.change(func(s *State) error { return s.setMembers(b, m) })
	return err
}

// Rebuild makes a copy that lost everything one that is being rebuilt: it has
// the promises of its peers and answers nothing until Rebuilt.
func (c *Copy) Rebuild(from State) error {
	c.step.Lock()
	defer c.step.Unlock()
	return c.makeAnew(from.toRebuild())
}

// Rebuilt puts a rebuilt copy into service, as a copy of newer up to its own end.
func (c *Copy) Rebuilt(newer State) error {
	_, err := c.changeAny(func(s *State) error { return s.rebuilt(newer) })
	return err
}

// rebuiltAs is Rebuilt for a log on another host, whose order may be late: it is
// done only if the copy is the one of that rebuilding.
func (c *Copy) rebuiltAs(shape uint64, newer State) error {
	_, err := c.changeAny(func(s *State) error {
		c.mu.Lock()
		changed := c.shape != shape
		c.mu.Unlock()
		if changed {
			return errChanged
		}
		return s.rebuilt(newer)
	})
	return err
}

// write puts bytes into the copy's files, which a sync of the journal makes
// durable. The caller holds step.
func (c *Copy) write(h History, at LSN, data []byte) error {
	for len(data) > 0 {
		n := min(LSN(len(data)), segmentStart(at)+segmentSize-at)
		for _, t := range h { // not across the begin of a timeline
			if t.Begin > at {
				n = min(n, t.Begin-at)
			}
		}
		name, offset := segmentName(h.at(at), at), int64(at-segmentStart(at))
		f, err := c.file(name)
		if err != nil {
			return err
		}
		if _, err := f.WriteAt(data[:n], offset); err != nil {
			return err
		}
		if err := c.sum(f, name, offset, data[:n]); err != nil {
			return err
		}
		at, data = at+n, data[n:]
	}
	return nil
}

// maxFiles is how many segments a copy keeps open.
const maxFiles = 8

func (c *Copy) file(name string) (*os.File, error) {
	c.mu.Lock()
	c.dirty[name] = true
	f := c.files[name]
	c.mu.Unlock()
	if f != nil {
		return f, nil
	}
	f, err := os.OpenFile(filepath.Join(c.dir, name), os.O_RDWR|os.O_CREATE, 0o600) // may hang
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for old, f := range c.files {
		if len(c.files) < maxFiles {
			break
		}
		if old != strings.TrimSuffix(name, checksumSuffix) { // that one is being written
			_ = f.Close()
			delete(c.files, old)
		}
	}
	c.files[name] = f
	return f, nil
}

// ReadAt reads all of p, which the copy must have, or says that its disk hangs. It
// returns the state that the copy had all the while.
func (c *Copy) ReadAt(p []byte, at LSN) (State, error) {
	s, err := c.State()
	if err != nil {
		return s, err
	}
	if err := c.reads.read(p, func(p []byte) error { return c.readState(s, p, at) }); err != nil {
		return s, fmt.Errorf("copy %d: %w", c.number, err)
	}
	now, err := c.State()
	if err == nil && (now.Owner != s.Owner || now.Begun != s.Begun || !slices.Equal(now.Terms, s.Terms)) {
		err = errChanged
	}
	return now, err
}

// RecordEnd returns where the last record before limit ends, as lastRecordEnd.
func (c *Copy) RecordEnd(start, limit LSN) (LSN, error) {
	return lastRecordEnd(func(p []byte, at LSN) error { _, err := c.ReadAt(p, at); return err }, start, limit)
}

func (c *Copy) readState(s State, p []byte, at LSN) error {
	if at < s.Start || at+LSN(len(p)) > s.End {
		return fmt.Errorf("it has %s to %s, not %s and %d bytes more: %w", s.Start, s.End, at, len(p), errShort)
	}
	err := c.read(s, p, at)
	if errors.Is(err, errBadBlock) { // or it was being replaced by what a newer copy has
		now, stateErr := c.State()
		if stateErr == nil && slices.Equal(now.Terms, s.Terms) && now.End >= s.End {
			var block *blockError
			if err = c.read(now, p, at); errors.As(err, &block) {
				c.mu.Lock()
				c.bad[block.at] = true
				c.mu.Unlock()
			}
		}
	}
	return err
}

func (c *Copy) read(s State, p []byte, at LSN) error {
	for len(p) > 0 {
		n := min(LSN(len(p)), segmentStart(at)+segmentSize-at)
		for _, t := range s.History {
			if t.Begin > at {
				n = min(n, t.Begin-at)
			}
		}
		start := segmentStart(at)
		if err := c.readChecked(segmentName(s.History.at(at), at), start, p[:n], int64(at-start), s.End); err != nil {
			return err
		}
		at, p = at+n, p[n:]
	}
	return nil
}

// Fill gives the copy bytes that a newer one has.
func (c *Copy) Fill(b Ballot, terms []TermBegin, at LSN, data []byte) error {
	c.step.Lock()
	defer c.step.Unlock()
	s, err := c.State()
	if err != nil && !errors.Is(err, errRebuilding) {
		return err
	}
	if err := s.fill(b, terms, at); err != nil {
		return err
	}
	return appendTo([]*Copy{c}, s.History, at, data)[0]
}

// appendTo writes to copies that share a journal, and makes it durable by one
// sync. The caller holds every copy's step, and has checked that all end at at.
func appendTo(copies []*Copy, h History, at LSN, data []byte) []error {
	errs := make([]error, len(copies))
	e := entry{cluster: copies[0].cluster, at: at, data: data}
	for i, c := range copies {
		if errs[i] = c.write(h, at, data); errs[i] != nil {
			c.fail(errs[i])
			continue
		}
		e.copies |= 1 << c.number
	}
	if e.copies == 0 {
		return errs
	}
	seq, err := copies[0].journal.commit(e)
	for i, c := range copies {
		switch {
		case errs[i] != nil:
		case err != nil:
			c.fail(err)
			errs[i] = err
		default:
			c.mu.Lock()
			c.state.End, c.seq = at+LSN(len(data)), seq
			c.mu.Unlock()
			c.journal.touched(c)
		}
	}
	return errs
}

// replay repeats an entry of the journal that the copy's files may not have, and
// says whether it did.
func (c *Copy) replay(seq uint64, e entry) bool {
	if c.blank || c.failed != nil || seq <= c.seq {
		return false
	}
	c.seq = seq
	if e.state != nil {
		c.state = *e.state
		return true
	}
	if err := c.write(c.state.History, e.at, e.data); err != nil {
		c.fail(err)
		return false
	}
	c.state.End = e.at + LSN(len(e.data))
	return true
}

// noteCommitted remembers what is committed. It becomes durable with the next step.
func (c *Copy) noteCommitted(lsn LSN) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Committed < lsn {
		c.state.Committed = min(lsn, c.state.End)
	}
}

// checkpoint makes the copy's files durable as they are now.
func (c *Copy) checkpoint() error {
	c.mu.Lock()
	if c.blank || c.failed != nil {
		c.mu.Unlock()
		return nil
	}
	ctl := control{Seq: c.seq, State: c.state}
	dirty := c.dirty
	c.dirty = map[string]bool{}
	c.mu.Unlock()
	err := c.sync(dirty)
	if err == nil {
		err = c.writeControl(ctl)
	}
	if err != nil {
		c.mu.Lock()
		maps.Copy(c.dirty, dirty)
		c.mu.Unlock()
	}
	return err
}

func (c *Copy) sync(files map[string]bool) error {
	for name := range files {
		if err := syncFile(filepath.Join(c.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (c *Copy) writeControl(ctl control) error {
	content, err := json.Marshal(ctl)
	if err != nil {
		return err
	}
	return layout.WriteFile(filepath.Join(c.dir, controlName), content, 0o600)
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Trim deletes segments that end at or before a position, as its leader says.
func (c *Copy) Trim(_ Ballot, before LSN) error {
	c.step.Lock()
	defer c.step.Unlock()
	s, err := c.State()
	before = segmentStart(min(before, s.Committed))
	if err != nil || before <= s.Start {
		return err
	}
	start := s.Start
	s.Start = before
	seq, err := c.journal.commit(entry{cluster: c.cluster, copies: 1 << c.number, state: &s})
	if err != nil {
		c.fail(err)
		return err
	}
	c.set(s, seq)
	if err := c.checkpoint(); err != nil {
		c.fail(err)
		return err
	}
	for at := segmentStart(start); at < before; at += segmentSize {
		for _, t := range s.History {
			for _, name := range []string{segmentName(t.ID, at), segmentName(t.ID, at) + checksumSuffix} {
				if err := os.Remove(filepath.Join(c.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
		}
	}
	return nil
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
