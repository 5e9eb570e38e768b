package wal

import (
	"context"
	"errors"
	"sync"
)

// maxQueued is how many bytes may wait for one group. A group that is further
// behind gets nothing more: repair brings it up from the others' files.
const maxQueued = 16 << 20

// lane appends to one group at the group's own pace, so that a slow or hung disk
// holds nobody up.
type lane struct {
	log   *Log
	group group

	mu     sync.Mutex
	cond   *sync.Cond
	queue  []chunk
	queued int    // bytes, with those that are being appended
	batch  []byte // of several chunks
	stale  Ballot // the highest that the group has refused
	closed bool
}

type chunk struct {
	Ballot
	at   LSN
	data []byte
}

func newLane(l *Log, g group) *lane {
	n := &lane{log: l, group: g}
	n.cond = sync.NewCond(&n.mu)
	return n
}

func (n *lane) run() {
	for {
		c, ok := n.next()
		if !ok {
			return
		}
		n.append(c)
	}
}

// append gives a chunk to the group.
func (n *lane) append(c chunk) {
	err := n.group.Append(c.Ballot, c.at, c.data)
	n.mu.Lock()
	n.queued -= len(c.data)
	stale := errors.Is(err, ErrStale)
	if stale && n.stale.compare(c.Ballot) < 0 {
		n.stale = c.Ballot
	}
	n.mu.Unlock()
	if stale {
		n.log.stepDown(c.Ballot)
	}
	if err != nil {
		n.log.Repair()
	}
	n.log.advance(c.Ballot)
}

// next waits for chunks and returns as many as make one append.
func (n *lane) next() (c chunk, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(n.queue) == 0 && !n.closed {
		n.cond.Wait()
	}
	if n.closed {
		return c, false
	}
	c = n.queue[0]
	taken, size := 1, len(c.data)
	for ; taken < len(n.queue); taken++ {
		more := n.queue[taken]
		if more.Ballot != c.Ballot || more.at != c.at+LSN(size) || size+len(more.data) > maxBatch {
			break
		}
		size += len(more.data)
	}
	if taken > 1 {
		n.batch = n.batch[:0]
		for _, one := range n.queue[:taken] {
			n.batch = append(n.batch, one.data...)
		}
		c.data = n.batch
	}
	clear(n.queue[:taken]) // their bytes are not needed any more
	n.queue = n.queue[taken:]
	return c, true
}

// idle says whether nothing waits, and nothing is being appended.
func (n *lane) idle() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.queued == 0
}

// add queues a chunk, or drops it when the group is too far behind.
func (n *lane) add(c chunk) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stale.compare(c.Ballot) >= 0 {
		return ErrStale
	}
	if n.queued+len(c.data) > maxQueued {
		return nil
	}
	n.queued += len(c.data)
	n.queue = append(n.queue, c)
	n.cond.Signal()
	return nil
}

func (n *lane) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	n.cond.Signal()
}

// spread hands the bytes to every lane. It waits while more is uncommitted than
// lanes may hold.
func (l *Log) spread(ctx context.Context, b Ballot, at LSN, data []byte) (LSN, error) {
	c := chunk{b, at, append([]byte(nil), data...)}
	for _, n := range l.lanes {
		if err := n.add(c); err != nil {
			return 0, err
		}
	}
	l.mu.Lock()
	l.handed = c.at + LSN(len(c.data))
	l.mu.Unlock()
	for {
		gate, changed := l.Gate()
		if !l.serves(b) {
			return 0, ErrStale
		}
		if at+LSN(len(data)) <= gate.LSN+maxQueued/2 {
			return gate.LSN, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return gate.LSN, context.Cause(ctx)
		}
	}
}
