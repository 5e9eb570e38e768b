package link

import (
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

// proxy stands between two hosts, and can become a black hole: it takes
// connections and bytes as before, and nothing comes of them.
type proxy struct {
	addr string
	mu   sync.Mutex
	hole chan struct{} // closed: a black hole
	end  <-chan struct{}
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	p := &proxy{addr: listener.Addr().String(), hole: make(chan struct{}), end: t.Context().Done()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go p.forward(conn, to)
		}
	}()
	return p
}

func (p *proxy) forward(conn net.Conn, to string) {
	defer conn.Close()
	p.mu.Lock()
	hole := p.hole
	p.mu.Unlock()
	other, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer other.Close()
	pass := func(to, from net.Conn) {
		buf := make([]byte, 32<<10)
		for {
			n, err := from.Read(buf)
			select {
			case <-hole:
				if err != nil {
					<-p.end // nobody hears of it
					return
				}
				continue
			default:
			}
			if err != nil {
				_ = to.Close()
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				_ = from.Close()
				return
			}
		}
	}
	go pass(other, conn)
	pass(conn, other)
}

func (p *proxy) swallow() { p.mu.Lock(); defer p.mu.Unlock(); close(p.hole) }
func (p *proxy) mend()    { p.mu.Lock(); defer p.mu.Unlock(); p.hole = make(chan struct{}) }

func TestTunnelsIntoABlackHoleEndOnBothHosts(t *testing.T) {
	in := newInstallation(t)
	listen := freeAddr(t)
	between := newProxy(t, listen)
	one := in.runBehind(in.home, "00000001", between.addr, listen, in.store)
	two := in.run(newLayout(t), "00000002", freeAddr(t), in.store)
	in.register(one.id, one.addr)
	in.register(two.id, two.addr)
	in.meet(one, two)
	ended := make(chan error, 2)
	answer(t, one.LogSocket(), func(c *net.UnixConn) {
		_, err := io.Copy(c, c)
		ended <- err
	})
	path := two.Via(one.id).LogSocket()
	idle, busy := connect(t, path), connect(t, path)
	for _, c := range []net.Conn{idle, busy} {
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	between.swallow()
	if _, err := busy.Write([]byte("into the void")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]net.Conn{"idle": idle, "busy": busy} {
		if n, err := c.Read(make([]byte, 1)); n != 0 || isTimeout(err) {
			t.Errorf("%s: read %d, %v", name, n, err)
		}
	}
	for range 2 { // on the other host too
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Fatal("the other host's end of a tunnel stays open")
		}
	}
	if n, err := connect(t, path).Read(make([]byte, 1)); n != 0 || isTimeout(err) {
		t.Errorf("a new connection: read %d, %v", n, err)
	}
	between.mend()
	eventually(t, "the host is back", speaks(t, path))
}

// With TCP_USER_TIMEOUT this tunnel would break.
func TestReaderThatPausesLongKeepsItsTunnel(t *testing.T) {
	in := newInstallation(t)
	one, two := in.pair()
	const size = 32 << 20 // more than all buffers between
	answer(t, one.LogSocket(), func(c *net.UnixConn) {
		_, _ = io.CopyN(c, zeros{}, size)
	})
	conn := connect(t, two.Via(one.id).LogSocket())
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	<-time.After(3 * silence) // the pause is what is tested
	if n, err := io.Copy(io.Discard, conn); n != size-1 || err != nil {
		t.Errorf("after a pause: %d bytes of %d, %v", n, size-1, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestHostTellsThatItMovedToThoseWhoCannotAskTheState(t *testing.T) {
	in := newInstallation(t)
	l := newLayout(t)
	if err := SaveHosts(l, []Host{{ID: "00000001", Link: freeAddr(t)}}); err != nil { // where it was
		t.Fatal(err)
	}
	nowhere, err := state.Open(filepath.Join(l.RunDir(), "nowhere.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nowhere.Close() })
	two := in.run(l, "00000002", freeAddr(t), nowhere)
	one := in.run(in.home, "00000001", freeAddr(t), in.store)
	in.register(one.id, one.addr)
	in.register(two.id, two.addr)
	answer(t, one.EtcdSocket(), echo)
	eventually(t, "speak to etcd", speaks(t, two.Via(one.id).EtcdSocket()))
}

func TestHostThatMovesIsReachedAtItsNewAddress(t *testing.T) {
	in := newInstallation(t)
	one, two := in.pair()
	answer(t, one.LogSocket(), echo)
	path := two.Via(one.id).LogSocket()
	eventually(t, "speak", speaks(t, path))
	one.stop()
	moved := in.run(in.home, one.id, freeAddr(t), in.store)
	if _, err := state.Hosts(in.store).Update(t.Context(), one.id, func(h *aurora.Host) error { h.Link = moved.addr; return nil }); err != nil {
		t.Fatal(err)
	}
	eventually(t, "speak at the new address", speaks(t, path))
}
