package endpoint

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"time"
)

const (
	dialTimeout = 2 * time.Second
	// maxGreeting bounds a message of a server before the session begins.
	maxGreeting   = 1 << 20
	greetingBytes = 4096
)

// link is a connection to a backend that has begun to answer.
type link struct {
	conn    *net.UnixConn
	backend Backend
	said    []byte // what it has answered so far, the first message complete
}

// reach connects to one of an endpoint's backends. A nil link without an error
// means that there is none.
func (p *Proxy) reach(ctx context.Context, e Endpoint, s startup) (*link, error) {
	var tried []string
	var last error
	for {
		b, ok := p.choose(e, tried)
		if !ok {
			return nil, last
		}
		l, err := p.open(ctx, b, s)
		if err == nil {
			return l, nil
		}
		p.release(b)
		if ctx.Err() != nil {
			return nil, err
		}
		tried, last = append(tried, b.Instance), err
		p.log.Debug("server not reached", "endpoint", e.ID, "instance", b.Instance, "error", err)
	}
}

// choose takes a place on the backend with the fewest connections, or on the
// fallback. Among equals chance decides.
func (p *Proxy) choose(e Endpoint, tried []string) (Backend, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var best Backend
	ties := 0
	for _, b := range e.Backends {
		switch n := p.load[b.Instance]; {
		case slices.Contains(tried, b.Instance):
		case ties == 0 || n < p.load[best.Instance]:
			best, ties = b, 1
		case n == p.load[best.Instance]:
			if ties++; rand.IntN(ties) == 0 {
				best = b
			}
		}
	}
	if ties == 0 {
		if e.Fallback == nil || slices.Contains(tried, e.Fallback.Instance) {
			return best, false
		}
		best = *e.Fallback
	}
	p.load[best.Instance]++
	return best, true
}

// release gives a place back that choose took.
func (p *Proxy) release(b Backend) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.releaseLocked(b)
}

func (p *Proxy) releaseLocked(b Backend) {
	if p.load[b.Instance]--; p.load[b.Instance] == 0 {
		delete(p.load, b.Instance)
	}
}

// open connects, asks for a session and waits for the first answer. A server
// that cannot take connections now is an error, any other answer is the client's.
func (p *Proxy) open(ctx context.Context, b Backend, s startup) (*link, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "unix", b.Socket)
	if err != nil {
		return nil, err
	}
	l := &link{conn: conn.(*net.UnixConn), backend: b}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	err = l.ask(s, p.limits.Answer)
	if !stop() && err == nil {
		err = context.Cause(ctx) // it was closed right after its answer
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return l, nil
}

func (l *link) ask(s startup, limit time.Duration) error {
	if err := l.conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	if _, err := l.conn.Write(s.encode()); err != nil {
		return err
	}
	l.said = make([]byte, 0, greetingBytes)
	for {
		message, err := firstMessage(l.said)
		if err != nil {
			return err
		}
		if message != nil {
			if message[0] == 'E' && sqlState(message[headerBytes:]) == codeCannotConnectNow {
				return errors.New("the server does not accept connections now")
			}
			return l.conn.SetDeadline(time.Time{})
		}
		if l.said, err = readMore(l.conn, l.said); err != nil {
			return fmt.Errorf("no answer: %w", err)
		}
	}
}

// next returns the next message of the backend, and takes it from what it said.
func (l *link) next() ([]byte, error) {
	for {
		message, err := firstMessage(l.said)
		if message != nil {
			l.said = l.said[len(message):]
		}
		if message != nil || err != nil {
			return message, err
		}
		if l.said, err = readMore(l.conn, l.said); err != nil {
			return nil, err
		}
	}
}

// readMore appends what can be read to b.
func readMore(conn net.Conn, b []byte) ([]byte, error) {
	b = slices.Grow(b, greetingBytes)
	n, err := conn.Read(b[len(b):cap(b)])
	return b[:len(b)+n], err
}

// firstMessage returns the message that b begins with, or nil when it is not
// complete.
func firstMessage(b []byte) ([]byte, error) {
	if len(b) < headerBytes {
		return nil, nil
	}
	length := binary.BigEndian.Uint32(b[1:])
	if length < 4 || length > maxGreeting {
		return nil, errLength
	}
	if total := int(length) + 1; total <= len(b) {
		return b[:total], nil
	}
	return nil, nil
}
