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

	"github.com/daybreakdb/daybreak/internal/layout"
)

const controlName = "control"

// control is the file with a copy's state.
type control struct {
	Seq   uint64 `json:"seq"`
	State State  `json:"state"`
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
