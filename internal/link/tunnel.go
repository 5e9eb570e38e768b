package link

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/daybreakdb/daybreak/internal/proc"
)

// stream is one direction's end at a time: its writing half can be closed.
type stream interface {
	net.Conn
	CloseWrite() error
}

// wire is a connection between two hosts.
type wire struct {
	*tls.Conn
	raw *net.TCPConn
}

// Close ends both directions at once. tls.Conn's own would wait to say so, and
// what is to be said was said by CloseWrite.
func (w wire) Close() error { return w.raw.Close() }

// end is a connection to a process of this host, whose words count only if it lived
// when they were read. A dying PostgreSQL server shows commits that may be lost, see
// the endpoints, which cannot see from elsewhere that it dies.
type end struct {
	*net.UnixConn
	peer *proc.Peer
}

func endOf(conn *net.UnixConn) (end, error) {
	peer, err := proc.PeerOf(conn)
	return end{conn, peer}, err
}

func (e end) Read(b []byte) (int, error) {
	n, err := e.UnixConn.Read(b)
	if n > 0 && e.peer.Dying() {
		return 0, errDying
	}
	return n, err
}

var errDying = errors.New("the process that speaks is dying")

// abort ends the connection and forgets what was not sent.
func (w wire) abort() {
	_ = w.raw.SetLinger(0)
	_ = w.raw.Close()
}

// splice copies both ways until both directions have ended in order or one has
// broken, and closes both ends.
func splice(a, b stream) {
	defer a.Close()
	defer b.Close()
	var both sync.WaitGroup
	both.Go(func() { pass(a, b) })
	both.Go(func() { pass(b, a) })
	both.Wait()
}

// pass copies one direction, and its end.
func pass(to, from stream) {
	_, err := io.Copy(to, from)
	if err == nil {
		err = to.CloseWrite()
	}
	if err != nil {
		_ = to.Close()
		_ = from.Close()
	}
}

// tunnels are the connections that end together.
type tunnels struct {
	mu   sync.Mutex
	all  map[wire]bool
	shut bool
}

// add says whether the connection may go on.
func (t *tunnels) add(w wire) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shut {
		return false
	}
	if t.all == nil {
		t.all = map[wire]bool{}
	}
	t.all[w] = true
	return true
}

func (t *tunnels) remove(w wire) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, w)
}

func (t *tunnels) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.all)
}

// cut ends all connections; no others are added when it is for good.
func (t *tunnels) cut(forGood bool) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shut = t.shut || forGood
	for w := range t.all {
		w.abort()
	}
	return len(t.all)
}
