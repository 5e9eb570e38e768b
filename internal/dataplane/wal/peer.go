package wal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	// dialLimit is how long it may take to reach another host.
	dialLimit = 1500 * time.Millisecond
	// pingLimit is how long a host may take to say that it is there.
	pingLimit = time.Second
	// A host that was lost is looked for after probeFirst, and then less and less
	// often, down to every probeLast.
	probeFirst = 50 * time.Millisecond
	probeLast  = time.Second
	// maxIdle is how many unused connections to a host are kept.
	maxIdle = 16
)

// transport carries orders to the copies on one other host.
type transport interface {
	call(ctx context.Context, q *copyRequest, data []byte, limit time.Duration) (copyAnswer, []byte, error)
	// reachable says why calls fail at the moment, without asking the host.
	reachable() error
}

// errUnreachable says that a host's log does not answer.
var errUnreachable = errors.New("cannot be reached")

// unreachable is errUnreachable in words for people, with the cause.
type unreachable struct {
	host  string
	cause error
}

func (e *unreachable) Error() string {
	return fmt.Sprintf("host %s cannot be reached: %v", e.host, e.cause)
}
func (e *unreachable) Is(target error) bool { return target == errUnreachable }
func (e *unreachable) Unwrap() error        { return e.cause }

// peer is the log of another host. Every call has a connection to itself, so that
// one which hangs holds up no other. After a call that failed all others fail at
// once, until the host has answered in the background.
type peer struct {
	host, socket string
	ctx          context.Context

	// dialing holds the one who dials. Because a dial begins after the one before
	// has its answer, a process that answers to a later one is no older.
	dialing chan struct{}
	probes  sync.WaitGroup

	mu      sync.Mutex
	idle    []*line
	down    error          // why the host counts as lost
	process string         // that answered last
	epoch   uint64         // how many of them there were
	back    map[any]func() // called when the host is there again
}

// line is a connection to a peer.
type line struct {
	net.Conn
	in    *bufio.Reader
	epoch uint64
}

func newPeer(ctx context.Context, host, socket string) *peer {
	return &peer{host: host, socket: socket, ctx: ctx, dialing: make(chan struct{}, 1), back: map[any]func(){}}
}

func (p *peer) reachable() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down == nil {
		return nil
	}
	return &unreachable{p.host, p.down}
}

// onReturn has f called whenever the host is there again, until forgotten.
func (p *peer) onReturn(who any, f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.back[who] = f
}

func (p *peer) forget(who any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.back, who)
}

// call sends one request and returns its answer. What was sent may be done even
// if there is an error: late, but not twice.
func (p *peer) call(ctx context.Context, q *copyRequest, data []byte, limit time.Duration) (copyAnswer, []byte, error) {
	if err := p.reachable(); err != nil {
		return copyAnswer{}, nil, err
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	a, body, err := p.tryCall(limited, q, data)
	switch {
	case err == nil:
		return a, body, nil
	case ctx.Err() != nil: // nobody waits any more; that says nothing of the host
		return a, nil, context.Cause(ctx)
	case errors.Is(err, errUnreachable): // as another call has found meanwhile
		return a, nil, err
	}
	p.lose(err)
	return a, nil, &unreachable{p.host, err}
}

func (p *peer) tryCall(ctx context.Context, q *copyRequest, data []byte) (copyAnswer, []byte, error) {
	if l := p.take(); l != nil {
		a, body, err := p.exchange(ctx, l, q, data)
		if err == nil || ctx.Err() != nil {
			return a, body, err
		}
		// It was closed while it was idle, or the process has just ended. A step that
		// was done all the same may be repeated.
		p.hangUp()
	}
	l, err := p.dial(ctx, false)
	if err != nil {
		return copyAnswer{}, nil, err
	}
	return p.exchange(ctx, l, q, data)
}

// take returns an unused connection, if there is one.
func (p *peer) take() *line {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	l := p.idle[n-1]
	p.idle = p.idle[:n-1]
	return l
}

// exchange keeps the connection for others if all went well.
func (p *peer) exchange(ctx context.Context, l *line, q *copyRequest, data []byte) (a copyAnswer, body []byte, err error) {
	stop := context.AfterFunc(ctx, func() { _ = l.SetDeadline(time.Unix(1, 0)) })
	if err = writeFrame(l, q, data); err == nil {
		body, err = readFrame(l.in, &a, nil)
	}
	if !stop() && err == nil {
		err = os.ErrDeadlineExceeded // it came too late to be sure of the connection
	}
	if err != nil {
		_ = l.Close()
		return a, nil, err
	}
	a.epoch = l.epoch
	p.keep(l)
	return a, body, nil
}

func (p *peer) keep(l *line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.epoch != p.epoch || len(p.idle) >= maxIdle || p.ctx.Err() != nil {
		_ = l.Close()
		return
	}
	p.idle = append(p.idle, l)
}

// hangUp closes the unused connections.
func (p *peer) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.idle {
		_ = l.Close()
	}
	p.idle = nil
}

func (p *peer) dial(ctx context.Context, probe bool) (*line, error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	select {
	case p.dialing <- struct{}{}:
		defer func() { <-p.dialing }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err := p.reachable(); err != nil && !probe {
		return nil, err // as the one before has found
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", p.socket)
	if err != nil {
		return nil, err
	}
	l := &line{Conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	process, err := l.greet(ctx)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	p.mu.Lock()
	if process != p.process {
		p.process = process
		p.epoch++
	}
	l.epoch = p.epoch
	p.mu.Unlock()
	return l, nil
}

const copiesProtocol = "daybreak-copies"

// greet turns the connection from HTTP to frames, and learns which process it is to.
func (l *line) greet(ctx context.Context) (process string, err error) {
	stop := context.AfterFunc(ctx, func() { _ = l.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(l, "GET /copies HTTP/1.1\r\nHost: log\r\nConnection: Upgrade\r\nUpgrade: "+copiesProtocol+"\r\n\r\n"); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(l.in, nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return "", fmt.Errorf("the host's log answered %s", resp.Status)
	}
	return resp.Header.Get(processHeader), nil
}

// lose has all calls fail until the host is found again.
func (p *peer) lose(err error) {
	p.hangUp()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down != nil || p.ctx.Err() != nil {
		return
	}
	p.down = err
	slog.Warn("wal: a host's log does not answer", "host", p.host, "error", err)
	p.probes.Go(p.probe)
}

// probe looks for the host until it is there.
func (p *peer) probe() {
	for pause := probeFirst; ; pause = min(2*pause, probeLast) {
		err := p.ping()
		p.mu.Lock()
		p.down = err
		back := make([]func(), 0, len(p.back))
		for _, f := range p.back {
			back = append(back, f)
		}
		p.mu.Unlock()
		if err == nil {
			slog.Info("wal: a host's log answers again", "host", p.host)
			for _, f := range back {
				f()
			}
			return
		}
		select {
		case <-time.After(pause):
		case <-p.ctx.Done():
			return
		}
	}
}

func (p *peer) ping() error {
	ctx, cancel := context.WithTimeout(p.ctx, pingLimit)
	defer cancel()
	l, err := p.dial(ctx, true)
	if err != nil {
		return err
	}
	_, _, err = p.exchange(ctx, l, &copyRequest{Op: opState}, nil)
	return err
}

// close ends the connections; the host's context has ended.
func (p *peer) close() {
	p.hangUp()
	p.probes.Wait()
}
