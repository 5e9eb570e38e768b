package endpoint

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"time"
)

// cancelTimeout bounds the way of a cancel request to its server.
const cancelTimeout = 5 * time.Second

// giveKey makes the key that a session's client gets. It has the process id of
// the backend, by which clients know their own notifications, and a secret of
// our own: the backend's stays here.
func (p *Proxy) giveKey(s *session, real cancelKey) cancelKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.backendKey = real
	for {
		var secret [cancelKeyBytes]byte
		_, _ = rand.Read(secret[:]) // never fails, see crypto/rand
		key := cancelKey{real.pid, binary.BigEndian.Uint32(secret[:])}
		if p.keys[key] == nil {
			s.key = key
			p.keys[key] = s
			return key
		}
	}
}

// cancel passes a cancel request on to the server that the session is on; the
// client waits for the end of its connection. Any endpoint of a cluster takes
// the requests for all of its sessions.
func (v *visitor) cancel(ctx context.Context, p packet) {
	defer v.peer.Close()
	m := v.front.proxy.metrics.cancels
	if !v.allowed {
		m.WithLabelValues("refused").Inc()
		return
	}
	key, err := parseCancel(p)
	if err != nil {
		m.WithLabelValues("malformed").Inc()
		return
	}
	socket, real, ok := v.front.findCancelled(key)
	if !ok {
		m.WithLabelValues("unknown").Inc()
		return
	}
	if waitsForQuorum(real.pid) {
		v.peer.Close() // its driver may wait for that before it reads on
		if !v.front.outlastsCommit(ctx, key, real) {
			m.WithLabelValues("late").Inc()
			return
		}
	}
	if err := sendCancel(ctx, socket, real); err != nil {
		v.front.proxy.log.Warn("cancel request not delivered", "client", v.addr, "error", err)
		m.WithLabelValues("failed").Inc()
		return
	}
	m.WithLabelValues("delivered").Inc()
}

// findCancelled returns where the session of a key is and what its server knows
// it by.
func (f *front) findCancelled(key cancelKey) (socket string, real cancelKey, ok bool) {
	f.proxy.mu.Lock()
	defer f.proxy.mu.Unlock()
	s := f.proxy.keys[key]
	if s == nil || s.cluster != f.current.Load().Cluster {
		return "", cancelKey{}, false
	}
	return s.backend.Socket, s.backendKey, true
}

const (
	// commitPoll is how often it is looked whether a commit still waits, and
	// commitPatience for how long. A log without a quorum ends the session sooner.
	commitPoll     = 20 * time.Millisecond
	commitPatience = 10 * time.Second
)

// outlastsCommit waits until the session's commit has its quorum, and says whether
// the session has more to do then, which the cancel may be for. PostgreSQL would end
// the wait, and show others a commit that can still vanish; the client would only
// learn that nobody knows. In Aurora this wait cannot be ended either.
func (f *front) outlastsCommit(ctx context.Context, key, real cancelKey) bool {
	ctx, stop := context.WithTimeout(ctx, commitPatience)
	defer stop()
	for waitsForQuorum(real.pid) {
		select {
		case <-time.After(commitPoll):
		case <-ctx.Done():
			return false
		}
	}
	f.proxy.mu.Lock()
	s := f.proxy.keys[key]
	same := s != nil && s.backendKey == real
	f.proxy.mu.Unlock()
	if !same {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.over && !s.idle()
}

// waitsForQuorum says whether a backend of this host waits for the quorum of the
// log. Its title says so; of backends on other hosts nothing is known here. A title
// is also what a user can have for a name, who then hurts nobody else.
func waitsForQuorum(pid uint32) bool {
	title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && titleWaits(title)
}

func titleWaits(title []byte) bool {
	return commitTitle.Match(bytes.TrimRight(title, " \x00"))
}

// commitTitle is the end of a title from SyncRepWaitForLSN. Who waits for a lock is
// only "waiting".
var commitTitle = regexp.MustCompile(`^postgres: .* waiting for [0-9A-F]+/[0-9A-F]+$`)

func sendCancel(ctx context.Context, socket string, key cancelKey) error {
	ctx, cancel := context.WithTimeout(ctx, cancelTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(cancelTimeout)); err != nil {
		return err
	}
	if _, err := conn.Write(key.encode()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn) // the server closes when the signal is sent
	return err
}
