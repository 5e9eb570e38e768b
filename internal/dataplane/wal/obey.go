package wal

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// The copies that a host keeps for a log which another host leads do what they are
// told, if their state allows it, and nothing by themselves.

// obedient is a copy that is here.
type obedient interface {
	replica
	anew(shape uint64, rebuild bool, s State) error
	rebuiltAs(shape uint64, newer State) error
	tell(shape uint64) copyState
}

// obey does what another host's log orders of one copy, appends excepted. What it
// returns is data to answer, or a position.
func obey(c obedient, q *copyRequest, data []byte) (answer []byte, lsn LSN, err error) {
	newer := State{}
	if q.State != nil {
		newer = *q.State
	}
	shape := q.Copies[0].Shape
	switch q.Op {
	case opState:
	case opPromise:
		_, err = c.Promise(q.Ballot)
	case opTruncate:
		err = c.Truncate(q.Ballot, newer)
	case opFill:
		err = c.Fill(q.Ballot, q.Terms, q.At, data)
	case opAdopt:
		err = c.Adopt(q.Ballot, newer, q.End)
	case opBegin:
		err = c.Begin(q.Ballot, q.Terms, q.History, q.At)
	case opJoin:
		err = c.Join(q.Ballot, newer)
	case opMembers:
		if q.Members == nil {
			return nil, 0, errors.New("members without members")
		}
		err = c.SetMembers(q.Ballot, q.Members)
	case opFormat, opRebuild:
		err = c.anew(shape, q.Op == opRebuild, newer)
	case opRebuilt:
		err = c.rebuiltAs(shape, newer)
	case opRead:
		answer = make([]byte, min(max(q.Size, 0), maxWireData))
		_, err = c.ReadAt(answer, q.At)
	case opScan:
		lsn, err = c.RecordEnd(q.At, q.End)
	case opTrim:
		note(c, q)
		err = c.Trim(q.Ballot, q.At)
	case opFail:
		c.fail(errors.New(q.Reason))
	case opPatch:
		err = c.patch(q.At, data, q.Terms)
	case opAway:
		if q.Away != nil {
			c.awayFor(q.Away.Interval, q.Away.Percentage)
		}
	default:
		err = fmt.Errorf("%q is not known here: do both hosts have the same version?", q.Op)
	}
	return answer, lsn, err
}

// note takes what the ballot's log knows to be committed, if that is about what the
// copy has.
func note(c obedient, q *copyRequest) {
	if s, err := c.State(); err == nil && s.open(q.Ballot) {
		c.noteCommitted(q.Committed)
	}
}

// processHeader names the process that answers, so that answers of an earlier one
// can be told from those of a later one.
const processHeader = "Daybreak-Process"

// orders serves the copies of one host to the logs of others.
type orders struct {
	host    *Host
	process string
	running sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	conns   map[net.Conn]bool
	waiting map[*Copy]int // how many orders a copy has not carried out
	dropped map[string]time.Time
}

func newOrders(h *Host) *orders {
	return &orders{host: h, process: rand.Text(), conns: map[net.Conn]bool{}, waiting: map[*Copy]int{}, dropped: map[string]time.Time{}}
}

func (o *orders) handle(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != copiesProtocol {
		http.Error(w, "only logs of other hosts ask here", http.StatusUpgradeRequired)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		slog.Error("wal: no connection to a host's log", "error", err)
		return
	}
	defer conn.Close()
	if !o.begin(conn) {
		return
	}
	defer o.end(conn)
	_ = conn.SetDeadline(time.Time{})
	_, err = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n%s: %s\r\n\r\n", copiesProtocol, processHeader, o.process)
	if err == nil {
		err = o.serve(conn, buffered.Reader)
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		slog.Info("wal: a connection to another host's log has ended", "error", err)
	}
}

func (o *orders) begin(conn net.Conn) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	o.conns[conn] = true
	o.running.Add(1)
	return true
}

func (o *orders) end(conn net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.conns, conn)
	o.running.Done()
}

// close ends the connections and waits for what was being done.
func (o *orders) close() {
	o.mu.Lock()
	o.closed = true
	for conn := range o.conns {
		_ = conn.Close()
	}
	o.mu.Unlock()
	o.running.Wait()
}

// answerLimit is how long the other host may take to take an answer.
const answerLimit = 10 * time.Second

func (o *orders) serve(conn net.Conn, in *bufio.Reader) error {
	var buf []byte
	for {
		q := &copyRequest{}
		data, err := readFrame(in, q, buf)
		if err != nil {
			return err
		}
		a, body, busy := o.obey(q, data)
		buf = data[:0]
		if busy || cap(buf) > maxBatch {
			buf = nil // somebody may still write it
		}
		if err := conn.SetWriteDeadline(time.Now().Add(answerLimit)); err != nil {
			return err
		}
		if err := writeFrame(conn, a, body); err != nil {
			return err
		}
	}
}

// obey carries out one request. busy says that this goes on.
func (o *orders) obey(q *copyRequest, data []byte) (a copyAnswer, body []byte, busy bool) {
	copies, err := o.find(q)
	if err != nil {
		return copyAnswer{Error: toWire(err)}, nil, false
	}
	switch q.Op {
	case opState:
		for _, c := range copies {
			note(c, q)
		}
	case opAppend:
		busy, err = o.append(copies, q, data)
	default:
		if len(copies) != 1 {
			return copyAnswer{Error: toWire(fmt.Errorf("%s of %d copies at once", q.Op, len(copies)))}, nil, false
		}
		if err = o.enter(copies[0]); err == nil {
			body, a.LSN, err = obey(copies[0], q, data)
			o.leave(copies[0])
		}
	}
	a.Error = toWire(err)
	for i, c := range copies {
		a.Copies = append(a.Copies, c.tell(q.Copies[i].Shape))
	}
	return a, body, busy
}

// find returns the copies that a request is of.
func (o *orders) find(q *copyRequest) ([]*Copy, error) {
	if q.Op == opState && len(q.Copies) == 0 {
		return nil, nil // it is asked whether we are there
	}
	if err := checkNames(q.Cluster); err != nil {
		return nil, err
	}
	if q.Op == opFormat || q.Op == opRebuild {
		if err := o.refuseDropped(q.Cluster); err != nil {
			return nil, err
		}
	}
	o.host.mu.Lock()
	defer o.host.mu.Unlock()
	var all []*Copy
	for _, name := range q.Copies {
		if err := checkNames(name.Zone); err != nil {
			return nil, err
		}
		if name.Number < 0 || name.Number >= maxCopies {
			return nil, fmt.Errorf("a log has no copy %d", name.Number)
		}
		c, err := o.host.copy(q.Cluster, name.Zone, name.Number)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// maxWaiting is how many orders may wait for one copy: more come only when its
// disk hangs.
const maxWaiting = 8

var errBusy = errors.New("the copy's disk does not answer")

func (o *orders) enter(copies ...*Copy) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range copies {
		if o.waiting[c] >= maxWaiting {
			return errBusy
		}
	}
	for _, c := range copies {
		o.waiting[c]++
	}
	return nil
}

func (o *orders) leave(copies ...*Copy) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range copies {
		if o.waiting[c]--; o.waiting[c] <= 0 {
			delete(o.waiting, c)
		}
	}
}

// append adds bytes to copies, disk by disk. It does not wait for a disk that
// takes much longer than another.
func (o *orders) append(copies []*Copy, q *copyRequest, data []byte) (busy bool, err error) {
	byDisk := map[string]diskGroup{}
	for _, c := range copies {
		note(c, q)
		_, disk := c.place()
		byDisk[disk] = append(byDisk[disk], c)
	}
	if len(byDisk) == 1 {
		return false, o.appendTo(copies, q, data)
	}
	done := make(chan error, len(byDisk))
	for _, g := range byDisk {
		o.running.Go(func() { done <- o.appendTo(g, q, data) })
	}
	var stragglers <-chan time.Time
	for range byDisk {
		select {
		case one := <-done:
			err = errors.Join(err, one)
		case <-stragglers:
			return true, errors.Join(err, errBusy)
		}
		if stragglers == nil {
			stragglers = time.After(stragglerLimit)
		}
	}
	return false, err
}

func (o *orders) appendTo(g diskGroup, q *copyRequest, data []byte) error {
	if err := o.enter(g...); err != nil {
		return err
	}
	defer o.leave(g...)
	return g.Append(q.Ballot, q.At, data)
}

// dropMemory is how long a host remembers that it has dropped a cluster. A log that
// another host goes on leading meanwhile must not be rebuilt here.
const dropMemory = time.Minute

func (o *orders) drop(cluster string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, at := range o.dropped {
		if time.Since(at) > dropMemory {
			delete(o.dropped, id)
		}
	}
	o.dropped[cluster] = time.Now()
}

func (o *orders) refuseDropped(cluster string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if at, ok := o.dropped[cluster]; ok && time.Since(at) < dropMemory {
		return fmt.Errorf("the log of %s was dropped here", cluster)
	}
	return nil
}

// lossInterval is how often it is looked whether copies are where they were.
const lossInterval = time.Second

// findLosses makes copies blank whose directories were taken away: the host that
// leads their log rebuilds them. It returns when ctx ends.
func (h *Host) findLosses(ctx context.Context) {
	for {
		select {
		case <-time.After(lossInterval):
		case <-ctx.Done():
			return
		}
		h.mu.Lock()
		var all []*Copy
		for _, c := range h.copies {
			all = append(all, c)
		}
		h.mu.Unlock()
		for _, c := range all {
			if c.forgetIfLost() {
				slog.Error("wal: the directory of a copy is gone", "cluster", c.cluster, "copy", c.number)
			}
		}
	}
}
