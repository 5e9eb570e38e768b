package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/daybreakdb/daybreak/internal/pki"
)

// front is an endpoint while it is served.
type front struct {
	proxy   *Proxy
	current atomic.Pointer[offer]
	tls     *tls.Config

	handshakes chan struct{} // a place for each client that security groups allow
	refusals   chan struct{} // and for those that wait for their refusal
	held       atomic.Int32  // connections that wait for a backend
	warnings   quota

	mu           sync.Mutex
	listeners    map[string]*listener
	certificates map[netip.Addr]*pki.Certificate // by the address that clients used
}

// offer is an endpoint as it is until changed is closed.
type offer struct {
	Endpoint
	changed chan struct{}
}

// listener is one address of a front.
type listener struct {
	cancel  context.CancelFunc
	problem string // the front's mu guards it
}

// refusalsAtOnce bounds what clients that may not connect can occupy.
const refusalsAtOnce = 16

func newFront(p *Proxy, e Endpoint) *front {
	f := &front{
		proxy:      p,
		handshakes: make(chan struct{}, p.limits.Handshakes),
		refusals:   make(chan struct{}, refusalsAtOnce),
		listeners:  map[string]*listener{}, certificates: map[netip.Addr]*pki.Certificate{},
	}
	f.tls = pki.ServerConfig(f.certificate)
	f.tls.NextProtos = []string{alpn}
	f.current.Store(&offer{Endpoint: e, changed: make(chan struct{})})
	return f
}

// update makes the front serve e.
func (f *front) update(ctx context.Context, e Endpoint) {
	old := f.current.Load()
	if !sameEndpoint(old.Endpoint, e) {
		f.current.Store(&offer{Endpoint: e, changed: make(chan struct{})})
		close(old.changed)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !sameEndpoint(old.Endpoint, e) {
		clear(f.certificates)
	}
	wanted := map[string]bool{}
	for _, address := range e.Addresses {
		wanted[address] = true
		if f.listeners[address] == nil {
			ctx, cancel := context.WithCancel(ctx)
			l := &listener{cancel: cancel, problem: "not yet listening"}
			f.listeners[address] = l
			f.proxy.running.Go(func() { f.listen(ctx, address, l) })
		}
	}
	for address, l := range f.listeners {
		if !wanted[address] {
			l.cancel()
			delete(f.listeners, address)
		}
	}
}

// close stops serving; sessions are judged by their backends.
func (f *front) close() {
	f.mu.Lock()
	for _, l := range f.listeners {
		l.cancel()
	}
	clear(f.listeners)
	f.mu.Unlock()
	old := f.current.Load()
	gone := Endpoint{ID: old.ID, Kind: old.Kind, Name: old.Name, Cluster: old.Cluster, Waiting: "the endpoint was deleted", Hopeless: true}
	f.current.Store(&offer{Endpoint: gone, changed: make(chan struct{})})
	close(old.changed)
}

const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// listen keeps the address listened at until ctx ends.
func (f *front) listen(ctx context.Context, address string, l *listener) {
	log := f.proxy.log.With("endpoint", f.current.Load().ID, "address", address)
	delay := firstRetry
	for ctx.Err() == nil {
		socket, err := listenTCP(ctx, address)
		if err == nil {
			f.report(l, "")
			log.Info("listening")
			delay = firstRetry
			stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
			err = f.accept(ctx, socket)
			stop()
			_ = socket.Close()
		}
		if ctx.Err() != nil {
			return
		}
		if f.report(l, err.Error()) {
			log.Error("not listening, will try on", "error", err)
		}
		pause(ctx, delay)
		delay = min(2*delay, lastRetry)
	}
}

// listenTCP is the one place where listeners are made.
func listenTCP(ctx context.Context, address string) (*net.TCPListener, error) {
	config := net.ListenConfig{
		// Clients that are gone without a word, whose locks others wait for, are
		// noticed within half a minute.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	config.SetMultipathTCP(false) // costs on every read and write
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// report notes why nothing listens, and says whether that is new.
func (f *front) report(l *listener, problem string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed := l.problem != problem
	l.problem = problem
	return changed
}

func (f *front) listening() []Listener {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []Listener
	for _, address := range f.current.Load().Addresses {
		if l := f.listeners[address]; l != nil {
			all = append(all, Listener{Endpoint: f.current.Load().ID, Address: address, Problem: l.problem})
		}
	}
	return all
}

// accept serves connections until the socket fails for good. A client that may
// not connect never takes a place from one that may.
func (f *front) accept(ctx context.Context, socket *net.TCPListener) error {
	delay := firstRetry
	for {
		conn, err := socket.AcceptTCP()
		if err != nil {
			if ctx.Err() != nil || !passing(err) {
				return err
			}
			f.proxy.log.Warn("cannot accept connections now", "error", err)
			pause(ctx, delay)
			delay = min(2*delay, lastRetry)
			continue
		}
		delay = firstRetry
		e := f.current.Load()
		v := visitor{front: f, conn: conn, addr: conn.RemoteAddr().(*net.TCPAddr).AddrPort()}
		v.client = newClient(v.addr.Addr(), f.proxy.config.LoopbackAs)
		v.allowed = e.Firewall.Allows(v.client, e.Port)
		if !v.allowed {
			select {
			case f.refusals <- struct{}{}:
				f.proxy.running.Go(func() { v.serve(ctx, func() { <-f.refusals }) })
			default:
				f.proxy.metrics.refused.WithLabelValues(refusedBySecurityGroup).Inc()
				_ = conn.Close()
			}
			continue
		}
		select {
		case f.handshakes <- struct{}{}:
			f.proxy.running.Go(func() { v.serve(ctx, func() { <-f.handshakes }) })
		case <-ctx.Done():
			_ = conn.Close()
		}
	}
}

// passing says whether accepting may work again later.
func passing(err error) bool {
	for _, temporary := range []error{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.ECONNABORTED, unix.EPERM} {
		if errors.Is(err, temporary) {
			return true
		}
	}
	return false
}

// certificate returns the one for the address that a client has connected to:
// it has all names and addresses of the endpoint, and that one.
func (f *front) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	local, ok := hello.Conn.LocalAddr().(*net.TCPAddr)
	if !ok {
		return nil, fmt.Errorf("no certificate for connections to %v", hello.Conn.LocalAddr())
	}
	addr := local.AddrPort().Addr().Unmap().WithZone("")
	f.mu.Lock()
	c := f.certificates[addr]
	if c == nil {
		c = f.proxy.config.PKI.Certificate(f.names(addr))
		f.certificates[addr] = c
	}
	f.mu.Unlock()
	return c.Get()
}

func (f *front) names(local netip.Addr) (names []string, ips []net.IP) {
	e := f.current.Load().Endpoint
	ips = []net.IP{local.AsSlice()}
	for _, address := range e.Addresses {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			continue
		}
		ip, err := netip.ParseAddr(host)
		switch {
		case err != nil:
			names = append(names, host)
		case ip != local && !ip.IsUnspecified():
			ips = append(ips, ip.AsSlice())
		}
	}
	if e.DNSName != "" {
		names = append(names, e.DNSName)
	}
	return names, ips
}

// warnings per second and endpoint: clients must not be able to fill the log.
const warningsPerSecond = 20

// warn logs what a client has brought about.
func (f *front) warn(message string, args ...any) {
	if ok, dropped := f.warnings.take(time.Now()); ok {
		f.proxy.log.Warn(message, append(args, "not_logged_before", dropped)...)
	}
}

// quota lets a number of things happen per second.
type quota struct {
	mu      sync.Mutex
	second  int64
	taken   int
	dropped int
}

// take says whether one more may happen, and how many did not since the last.
func (q *quota) take(now time.Time) (ok bool, dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.second != now.Unix() {
		q.second, q.taken = now.Unix(), 0
	}
	if q.taken++; q.taken > warningsPerSecond {
		q.dropped++
		return false, 0
	}
	dropped, q.dropped = q.dropped, 0
	return true, dropped
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
