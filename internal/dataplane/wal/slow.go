package wal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// A disk that hangs keeps whoever reads from it, for as long as it likes, and
// nothing can end that. So a copy's files are read by somebody else, who may be left
// behind: one for each copy at most, with memory of their own. Whoever wants the
// bytes waits for a limited time, and goes to another copy then.

// errSlow says that a copy's disk does not give what is read in time.
var errSlow = errors.New("the copy's disk does not answer reads")

const (
	// readLimit is how long a read of a copy may take: much longer than a busy disk
	// needs, and little beside what a failover takes.
	readLimit = 500 * time.Millisecond
	// slowRest is how long a copy is not read after a read that took too long has
	// come back: others have the bytes, and one read says little about the next.
	slowRest = 2 * time.Second
	// readPatience is how long committed bytes are waited for that only copies have
	// whose disks hang: with all copies on one disk there is nobody else to ask.
	readPatience = 5 * time.Second
	// readAgain is how often it is looked whether such a copy can be read again.
	readAgain = 50 * time.Millisecond
)

// segmentFile is an open file that a copy reads from.
type segmentFile interface {
	io.ReaderAt
	io.Closer
}

func openSegment(path string) (segmentFile, error) { return os.Open(path) }

// readGate lets one read of a copy's files at a time.
type readGate struct {
	slot chan struct{} // held by the read, until it comes back

	mu   sync.Mutex
	hung bool      // the read has not come back in time
	rest time.Time // no read is begun before
}

func newReadGate() *readGate { return &readGate{slot: make(chan struct{}, 1)} }

// read has f fill p, in time or not at all.
func (g *readGate) read(p []byte, f func(p []byte) error) error {
	limit := time.NewTimer(readLimit)
	defer limit.Stop()
	if g.resting() {
		return errSlow
	}
	select {
	case g.slot <- struct{}{}:
	case <-limit.C:
		return errSlow
	}
	if g.resting() {
		<-g.slot
		return errSlow
	}
	own, done := make([]byte, len(p)), make(chan error, 1)
	go func() { done <- f(own) }()
	select {
	case err := <-done:
		<-g.slot
		if err == nil {
			copy(p, own)
		}
		return err
	case <-limit.C:
		g.setHung(true)
		go func() {
			<-done
			g.setHung(false)
			<-g.slot
		}()
		return fmt.Errorf("%w: not within %v", errSlow, readLimit)
	}
}

func (g *readGate) resting() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.hung || time.Now().Before(g.rest)
}

func (g *readGate) setHung(hung bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hung = hung
	if !hung {
		g.rest = time.Now().Add(slowRest)
	}
}
