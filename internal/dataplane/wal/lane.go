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
	queued int
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
		n.mu.Lock()
		for len(n.queue) == 0 && !n.closed {
			n.cond.Wait()
		}
		if n.closed {
			n.mu.Unlock()
			return
		}
		c := n.queue[0]
		n.queue = n.queue[1:]
		n.mu.Unlock()
		err := n.group.Append(c.Ballot, c.at, c.data)
		n.mu.Lock()
		n.queued -= len(c.data)
		if errors.Is(err, ErrStale) && n.stale.compare(c.Ballot) < 0 {
			n.stale = c.Ballot
		}
		n.mu.Unlock()
		if err != nil {
			n.log.Repair()
		}
		n.log.advance(c.Ballot)
	}
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
	for {
		gate, changed := l.Gate()
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
