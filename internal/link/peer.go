package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

const (
	protoLink = "daybreak-link/1"
	protoJoin = "daybreak-join/1"
)

// peer is another host as we speak to it.
//
// A host can be gone without a sign: its power, or a cable. What has been sent
// then waits for the kernel, which gives up after minutes. TCP_USER_TIMEOUT would
// shorten that, but it also ends connections whose other end is well and only
// does not read for a while: a paused reader, a client that looks at its first
// rows. So a connection of its own to every host is asked for a sign of life all
// the time, the pulse, and decides over all others to that host. It also sees a
// link that hangs, and a middlebox that takes what nobody gets.
type peer struct {
	link    *link
	id      string
	addr    string
	tls     *tls.Config
	stop    func()
	down    atomic.Bool // was not reached at the last try: new connections are not tried
	tunnels tunnels
}

// newPeer begins to speak to a host.
func (l *link) newPeer(ctx context.Context, id, addr string) *peer {
	ctx, cancel := context.WithCancel(ctx)
	p := &peer{link: l, id: id, addr: addr, tls: l.config.CA.HostClient(l.own, id)}
	p.tls.NextProtos = []string{protoLink}
	p.stop = func() { cancel(); p.tunnels.cut(true) }
	l.running.Go(func() { p.keepPulse(ctx) })
	return p
}

// dial reaches a target of the host.
func (p *peer) dial(ctx context.Context, t target, more ...string) (wire, error) {
	d := net.Dialer{Timeout: dialLimit, KeepAliveConfig: keepAlive}
	conn, err := d.DialContext(ctx, "tcp", p.addr)
	if err != nil {
		return wire{}, err
	}
	w := wire{Conn: tls.Client(conn, p.tls), raw: conn.(*net.TCPConn)}
	if !p.tunnels.add(w) {
		w.abort()
		return wire{}, errGone
	}
	_ = w.SetDeadline(time.Now().Add(p.link.config.Silence))
	line := strings.Join(append([]string{string(t)}, more...), " ") + "\n"
	if _, err = w.Write([]byte(line)); err == nil { // after the handshake
		err = w.SetDeadline(time.Time{})
	}
	if err != nil {
		p.drop(w)
		return wire{}, err
	}
	return w, nil
}

func (p *peer) drop(w wire) {
	p.tunnels.remove(w)
	w.abort()
}

// carry connects somebody who came to a mirrored socket with the host's.
func (p *peer) carry(ctx context.Context, local stream, t target) {
	defer local.Close()
	if p.down.Load() {
		return
	}
	w, err := p.dial(ctx, t)
	if err != nil {
		p.link.log.Debug("link: not reached", "host", p.id, "target", string(t), "error", err)
		return
	}
	defer p.tunnels.remove(w)
	splice(local, w)
}

// keepPulse notices when the host is gone, and when it is back, until ctx ends.
func (p *peer) keepPulse(ctx context.Context) {
	told := false
	for ctx.Err() == nil {
		err := p.pulse(ctx, &told)
		if ctx.Err() != nil {
			return
		}
		cut := 0
		if isTimeout(err) { // else whoever tries is told at once
			p.down.Store(true)
			cut = p.tunnels.cut(false)
		}
		if !told {
			p.link.log.Warn("link: no connection to a host", "host", p.id, "address", p.addr, "cut", cut, "error", err)
			told = true
		}
		pause(ctx, p.link.config.Silence/12)
	}
}

// pulse asks the host for signs of life until one is missing. It tells when the
// first comes, if it was told that they were missing.
func (p *peer) pulse(ctx context.Context, told *bool) error {
	w, err := p.dial(ctx, targetPulse, p.link.config.Settings.LinkAddr)
	if err != nil {
		return err
	}
	defer p.drop(w)
	defer context.AfterFunc(ctx, w.abort)()
	silence := p.link.config.Silence
	asking, stop := context.WithCancel(ctx)
	defer stop()
	p.link.running.Go(func() {
		for {
			_ = w.SetWriteDeadline(time.Now().Add(silence))
			if _, err := w.Write([]byte{'?'}); err != nil || !pause(asking, silence/6) {
				return
			}
		}
	})
	signs := make([]byte, 64)
	for {
		_ = w.SetReadDeadline(time.Now().Add(silence))
		n, err := w.Read(signs)
		switch {
		case n > 0:
			p.down.Store(false)
			if *told {
				p.link.log.Info("link: connected to a host again", "host", p.id)
				*told = false
			}
		case isTimeout(err):
			return fmt.Errorf("no sign of life for %v: %w", silence, err)
		case errors.Is(err, io.EOF):
			return errors.New("the host has ended the connection")
		default:
			return err
		}
	}
}

// pause waits, and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
