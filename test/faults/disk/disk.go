// Package disk is a disk for tests that fails as it is told: a FUSE file system
// over a directory, in a process of its own. Its syncs, writes and reads can fail,
// be slow, or hang, for all files or for some; and it can lose, as in a power cut,
// what was never synced.
//
// Whoever uses it must be root, for it is mounted.
package disk

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Op is a set of things that are done with files.
type Op string

const (
	Read   Op = "read"
	Write  Op = "write"  // every write, and every other change
	Extend Op = "extend" // what needs more room: writes beyond the end, new files
	Sync   Op = "sync"
	All    Op = "all"
)

// Rule says what happens to some operations. The first that fits holds.
type Rule struct {
	Op    Op
	Path  string        // regular expression, for paths below the disk; empty: every one
	Errno syscall.Errno // how it fails; 0: it works
	Delay time.Duration // how long it takes longer
	Hang  bool          // it waits until the rules change, and works then
}

// Disk is a mounted disk, seen from the test.
type Disk struct {
	Dir     string // where it is mounted
	Backing string // where its files are
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	mu      sync.Mutex
	done    chan struct{} // closed when it is unmounted
}

// request is a line that the process of a disk gets, answer what it says to it.
type request struct {
	Rules []Rule
	Track *bool // begin, or end, to remember what is not synced
	Crash uint64
}

type answer struct {
	Error string
	Lost  int // pages that went back to what was synced
}

// serveVariable has a process of the test's own binary serve a disk.
const serveVariable = "DAYBREAK_TEST_DISK"

// Mount puts the disk whose files are in backing over dir. Both exist.
func Mount(backing, dir string) (*Disk, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, err
	}
	d := &Disk{Dir: dir, Backing: backing, cmd: exec.Command(binary), done: make(chan struct{})}
	d.cmd.Env = append(os.Environ(), serveVariable+"="+backing+"\n"+dir)
	d.cmd.Stderr = os.Stderr
	// Ctrl-C ends the test, which needs its disks until its servers are stopped. A
	// test that is killed ends its disks, on which threads of its own may hang.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if d.in, err = d.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d.out = bufio.NewReader(out)
	if err := d.start(); err != nil {
		return nil, err
	}
	if _, err := d.ask(request{}); err != nil {
		_ = d.cmd.Wait()
		return nil, fmt.Errorf("mount a disk at %s: %w", dir, err)
	}
	return d, nil
}

// start starts the process from a thread that lives as long as the disk: a signal
// at the parent's death is one at the thread's.
func (d *Disk) start() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := d.cmd.Start()
		started <- err
		if err == nil {
			<-d.done
		}
	}()
	return <-started
}

// Set has these rules, and no others, hold from now on.
func (d *Disk) Set(rules ...Rule) error {
	_, err := d.ask(request{Rules: rules})
	return err
}

// Track begins, or ends, to remember what is written and not synced.
func (d *Disk) Track(on bool) error {
	_, err := d.ask(request{Track: &on})
	return err
}

// Crash loses some of what is not synced, by seed, and says how many pages that
// were. Nobody may have a file open for writing.
func (d *Disk) Crash(seed uint64) (int, error) {
	a, err := d.ask(request{Crash: seed | 1<<63})
	return a.Lost, err
}

// Unmount ends the disk. Its files stay.
func (d *Disk) Unmount() error {
	if err := d.Set(); err != nil {
		return err
	}
	err := errors.Join(d.in.Close(), d.cmd.Wait())
	close(d.done)
	return err
}

func (d *Disk) ask(r request) (answer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	line, err := json.Marshal(r)
	if err != nil {
		return answer{}, err
	}
	if _, err := d.in.Write(append(line, '\n')); err != nil {
		return answer{}, err
	}
	reply, err := d.out.ReadBytes('\n')
	if err != nil {
		return answer{}, fmt.Errorf("the disk's process does not answer: %w", err)
	}
	var a answer
	if err := json.Unmarshal(reply, &a); err != nil {
		return a, err
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}
