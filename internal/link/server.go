package link

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/pki"
)

// guest is another host as it speaks to us.
type guest struct {
	heard   time.Time // when it last gave a sign of life
	tunnels tunnels
}

func (l *link) listenTCP(ctx context.Context) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	addr := cmp.Or(l.config.Listen, l.config.Settings.LinkAddr)
	listener, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for other hosts at %s: %w", addr, err)
	}
	return listener, nil
}

// serve answers other hosts until ctx ends.
func (l *link) serve(ctx context.Context, listener net.Listener) {
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	defer listener.Close()
	for ctx.Err() == nil {
		conn, err := listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				l.log.Warn("link: cannot accept", "error", err)
				pause(ctx, 100*time.Millisecond) // out of files, say
			}
			continue
		}
		raw := conn.(*net.TCPConn)
		l.running.Go(func() { l.answer(ctx, wire{Conn: tls.Server(raw, l.serverTLS()), raw: raw}) })
	}
}

// serverTLS takes hosts by their certificates, and those who want to join without.
func (l *link) serverTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if !slices.Contains(hello.SupportedProtos, protoJoin) {
				return l.server, nil
			}
			joining := pki.ServerConfig(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return l.own.Get() })
			joining.MinVersion, joining.NextProtos = tls.VersionTLS13, []string{protoJoin}
			return joining, nil
		},
	}
}

// answer does what one connection is for.
func (l *link) answer(ctx context.Context, w wire) {
	defer w.Close()
	defer context.AfterFunc(ctx, w.abort)()
	_ = w.SetDeadline(time.Now().Add(l.config.Silence))
	if err := w.HandshakeContext(ctx); err != nil {
		l.refuse(w, err)
		return
	}
	switch w.ConnectionState().NegotiatedProtocol {
	case protoJoin:
		l.admit(ctx, w)
	case protoLink:
		if err := l.open(ctx, w); err != nil {
			l.refuse(w, err)
		}
	}
}

// refusal is the last one that was told.
type refusal struct {
	from, reason string
	at           time.Time
}

// refuse tells why somebody was refused; the same again once a minute.
func (l *link) refuse(w wire, err error) {
	from, _, _ := net.SplitHostPort(w.RemoteAddr().String())
	l.mu.Lock()
	defer l.mu.Unlock()
	if last := l.refused; last.from == from && last.reason == err.Error() && time.Since(last.at) < time.Minute {
		return
	}
	l.refused = refusal{from: from, reason: err.Error(), at: time.Now()}
	l.log.Warn("link: refused a connection", "from", from, "error", err)
}

// open connects another host with what it asks for.
func (l *link) open(ctx context.Context, w wire) error {
	id, err := pki.PeerHost(w.ConnectionState())
	if err != nil {
		return err
	}
	line, err := readLine(w)
	if err != nil {
		return err
	}
	name, addr, told := strings.Cut(line, " ")
	t, err := parseTarget(name)
	if err != nil || told && t != targetPulse {
		return fmt.Errorf("host %s: %q is not to be spoken to", id, line)
	}
	_ = w.SetDeadline(time.Time{})
	g := l.guest(id)
	if !g.tunnels.add(w) {
		return errGone
	}
	defer g.tunnels.remove(w)
	if t == targetPulse {
		if told {
			l.moved(ctx, id, addr)
		}
		l.answerPulse(id, w)
		return nil
	}
	local, err := net.DialTimeout("unix", t.in(l.config.Layout), dialLimit)
	if err != nil {
		l.log.Debug("link: nobody answers here", "target", string(t), "error", err)
		return nil
	}
	end, err := endOf(local.(*net.UnixConn))
	if err != nil {
		return errors.Join(err, local.Close())
	}
	defer end.peer.Release()
	splice(w, end)
	return nil
}

// moved notes where a host says that it is reached. It knows better than a state
// that may be to be had there only.
func (l *link) moved(ctx context.Context, id, addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peers[id]
	if _, _, err := net.SplitHostPort(addr); err != nil || p == nil || p.addr == addr {
		return
	}
	l.log.Info("link: a host has moved", "host", id, "address", addr)
	p.stop()
	l.told[id] = addr
	l.peers[id] = l.newPeer(ctx, id, addr)
}

// readLine reads the name of a target, and nothing after it.
func readLine(r io.Reader) (string, error) {
	var line []byte
	for one := make([]byte, 1); len(line) < maxTarget; line = append(line, one[0]) {
		if _, err := io.ReadFull(r, one); err != nil {
			return "", fmt.Errorf("no target was named: %w", err)
		}
		if one[0] == '\n' {
			return string(line), nil
		}
	}
	return "", errors.New("the name of a target is too long")
}

// answerPulse gives a sign of life for each that it gets.
func (l *link) answerPulse(id string, w wire) {
	signs := make([]byte, 64)
	for {
		n, err := w.Read(signs)
		if err != nil {
			return
		}
		l.guest(id)
		_ = w.SetWriteDeadline(time.Now().Add(l.config.Silence))
		if _, err := w.Write(signs[:n]); err != nil {
			return
		}
	}
}

// guest notes a sign of life of a host.
func (l *link) guest(id string) *guest {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.guests[id]
	if g == nil {
		g = &guest{}
		l.guests[id] = g
	}
	g.heard = time.Now()
	return g
}

// dismiss ends what a host that is no more said. The caller holds mu.
func (l *link) dismiss(id string) {
	if g := l.guests[id]; g != nil {
		g.tunnels.cut(true)
		delete(l.guests, id)
	}
}

// watchGuests ends what was said by hosts that give no sign of life.
func (l *link) watchGuests(ctx context.Context) {
	for pause(ctx, l.config.Silence/12) {
		l.mu.Lock()
		for id, g := range l.guests {
			if time.Since(g.heard) > l.config.Silence && g.tunnels.len() > 0 {
				l.log.Warn("link: a host is silent", "host", id, "cut", g.tunnels.cut(false))
			}
		}
		l.mu.Unlock()
	}
}
