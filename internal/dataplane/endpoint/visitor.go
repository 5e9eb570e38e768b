package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// alpn is the protocol's name for TLS without a request for it (PostgreSQL 17).
	alpn = "postgresql"
	// tlsHandshakeByte is the first byte of TLS, and of no startup packet.
	tlsHandshakeByte = 0x16
	// sayLimit bounds the time that a last message to a client may take.
	sayLimit = time.Second
)

// visitor is a connection until it is a session.
type visitor struct {
	front   *front
	conn    *net.TCPConn
	peer    net.Conn // conn, or TLS on it
	addr    netip.AddrPort
	client  Client
	allowed bool // by the security groups
	// admitted says that the client has shown its token.
	admitted bool
}

// serve carries a connection from its first byte to its end. It gives its place
// back as soon as the client has said what it wants.
func (v *visitor) serve(ctx context.Context, giveBack func()) {
	defer v.conn.Close()
	v.peer = v.conn
	stop := context.AfterFunc(ctx, func() { _ = v.conn.SetDeadline(time.Unix(1, 0)) })
	p, err := v.negotiate()
	giveBack()
	_ = v.conn.SetDeadline(time.Time{})
	if !stop() {
		return
	}
	if err == nil && p.code == codeCancel {
		v.cancel(ctx, p)
		return
	}
	if err == nil {
		err = v.connect(ctx, p)
	}
	var r *refusal
	if errors.As(err, &r) {
		_ = v.conn.SetDeadline(time.Now().Add(sayLimit))
		_, _ = v.peer.Write(r.encode())
	}
	_ = v.peer.Close()
}

// negotiate answers requests for encryption and returns the packet after them.
func (v *visitor) negotiate() (packet, error) {
	_ = v.conn.SetDeadline(time.Now().Add(v.front.proxy.limits.Startup))
	if direct, err := startsWithTLS(v.conn); err != nil {
		return packet{}, err
	} else if direct {
		if err := v.startTLS(); err != nil {
			return packet{}, err
		}
		if v.peer.(*tls.Conn).ConnectionState().NegotiatedProtocol != alpn {
			return packet{}, protocolError("TLS without a request for it needs the ALPN protocol " + alpn)
		}
	}
	askedGSS := false
	for {
		p, err := readPacket(v.peer)
		switch {
		case err != nil:
			return p, err
		case p.code == codeTLS && !v.encrypted() && len(p.body) == 0:
			if _, err := v.conn.Write([]byte{'S'}); err != nil {
				return p, err
			}
			if err := v.startTLS(); err != nil {
				return p, err
			}
		case p.code == codeGSS && !v.encrypted() && !askedGSS && len(p.body) == 0:
			askedGSS = true
			if _, err := v.conn.Write([]byte{'N'}); err != nil {
				return p, err
			}
		case p.code == codeTLS || p.code == codeGSS:
			return p, protocolError("unexpected request for encryption")
		default:
			return p, nil
		}
	}
}

func (v *visitor) encrypted() bool { return v.peer != net.Conn(v.conn) }

func (v *visitor) startTLS() error {
	c := tls.Server(v.conn, v.front.tls)
	if err := c.Handshake(); err != nil {
		v.front.proxy.log.Debug("TLS handshake failed", "client", v.addr, "error", err)
		return err
	}
	v.peer = c
	return nil
}

// startsWithTLS looks at the first byte and leaves it.
func startsWithTLS(conn *net.TCPConn) (bool, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false, err
	}
	var first [1]byte
	var n int
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, _, failed = unix.Recvfrom(int(fd), first[:], unix.MSG_PEEK)
		return failed != unix.EAGAIN
	})
	if err := errors.Join(err, failed); err != nil {
		return false, err
	}
	if n == 0 {
		return false, errGone
	}
	return first[0] == tlsHandshakeByte, nil
}

// connect brings the client together with a backend and relays until the end of
// the session. The error is what to tell the client.
func (v *visitor) connect(ctx context.Context, p packet) error {
	if !v.allowed {
		return v.refuseByFirewall(p)
	}
	m := v.front.proxy.metrics
	s, err := parseStartup(p)
	if err != nil {
		m.refused.WithLabelValues(refusedByProtocol).Inc()
		v.front.proxy.log.Info("connection refused", "client", v.addr, "endpoint", v.front.current.Load().ID, "reason", err)
		return err
	}
	if v.front.current.Load().ForceTLS && !v.encrypted() {
		m.refused.WithLabelValues(refusedByProtocol).Inc()
		return refuseWithoutTLS(v.addr.Addr(), s, "rds.force_ssl of the DB cluster parameter group wants TLS: connect with sslmode=require or better.")
	}
	if err := v.slow(ctx, s); err != nil {
		return err
	}
	session, err := v.findBackend(ctx, s)
	if err != nil {
		return err
	}
	m.connections.WithLabelValues(string(v.front.current.Load().Kind)).Inc()
	session.relay(ctx)
	v.front.proxy.remove(session)
	return nil
}

// refuseWithoutTLS says what PostgreSQL says when its pg_hba.conf wants encryption.
func refuseWithoutTLS(from netip.Addr, s startup, hint string) error {
	return &refusal{
		codeInvalidAuthorization,
		fmt.Sprintf("no pg_hba.conf entry for host %q, user %q, database %q, no encryption", from.Unmap(), s.get("user"), s.database()),
		hint,
	}
}

// attempt is what a login counts as.
func (v *visitor) attempt(s startup) attempt {
	return attempt{v.addr.Addr().Unmap(), v.front.current.Load().Cluster, s.get("user")}
}

// slow has a client wait whose logins have failed.
func (v *visitor) slow(ctx context.Context, s startup) error {
	d, ok := v.front.proxy.guard.delay(v.attempt(s), time.Now())
	if !ok {
		v.front.proxy.metrics.refused.WithLabelValues(refusedByGuard).Inc()
		v.front.warn("too many failed logins", "client", v.addr, "endpoint", v.front.current.Load().ID, "user", s.get("user"))
		return &refusal{codeTooManyConnections, "too many failed logins from this address", "Wait half a minute."}
	}
	if d > 0 {
		pause(ctx, d)
	}
	return ctx.Err()
}

// refuseByFirewall says which rules there are, to the client and in the log.
func (v *visitor) refuseByFirewall(p packet) error {
	e := v.front.current.Load()
	who := v.addr.Addr().Unmap().String()
	if v.client.Loopback {
		who += fmt.Sprintf(" (which counts as %s)", v.client.Addr)
	}
	user := ""
	if s, err := parseStartup(p); err == nil {
		user = s.get("user")
	}
	v.front.proxy.metrics.refused.WithLabelValues(refusedBySecurityGroup).Inc()
	v.front.warn("connection refused by security groups", "client", v.addr, "counts_as", v.client.Addr,
		"endpoint", e.ID, "name", e.Name, "port", e.Port, "user", user, "groups", e.Firewall.Describe())
	return &refusal{
		codeInvalidAuthorization,
		fmt.Sprintf("no security group rule allows %s to reach port %d; groups checked: %s", who, e.Port, e.Firewall.Describe()),
		"Add an ingress rule to one of these security groups (AuthorizeSecurityGroupIngress).",
	}
}

// left says whether the client has closed its connection.
func (v *visitor) left() bool {
	raw, err := v.conn.SyscallConn()
	if err != nil {
		return true
	}
	gone := true
	_ = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(fds, 0)
		gone = err == nil && n > 0
	})
	return gone
}
