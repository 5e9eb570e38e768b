// Package link is all that speaks between the hosts of an installation: the
// process "daybreak link". Every other process goes on using unix sockets: link
// makes the sockets of each other host appear below layout.Via(host), and carries
// what is said there, by mutual TLS, to the host that has them. It shows that its
// host is there, and admits hosts that join. It must not know what it carries.
package link

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/pki"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Silence is how long another host may be silent before everything that was said
// to it, and by it, is given up. It is asked six times in that time. A packet that
// is lost and sent again three times, after 0.2, 0.6 and 1.4 s, is still in time.
const Silence = 2 * time.Second

// dialLimit is how long it may take to reach another host.
const dialLimit = time.Second

// Config of a link.
type Config struct {
	Layout   layout.Layout
	Settings config.Config // HostID and LinkAddr are ours
	Listen   string        // where it listens, if something before it is at LinkAddr
	Store    *state.Store
	CA       *pki.CA
	Keyring  *keyring.Keyring
	Logger   *slog.Logger
	Silence  time.Duration // 0: the constant
}

// Run links this host with the others until ctx ends. It returns an error only
// if it could not begin.
func Run(ctx context.Context, c Config) error {
	l := newLink(c)
	known, err := LoadHosts(c.Layout)
	if err != nil {
		return err
	}
	if err := l.clean(); err != nil {
		return err
	}
	listener, err := l.listenTCP(ctx)
	if err != nil {
		return err
	}
	// The tunnels are there until this host's presence is taken back: another host's
	// etcd may have to be told.
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer l.running.Wait()
	defer l.closeAll()
	defer stop()
	l.apply(working, view{hosts: known}) // the state may be to be had by way of them only
	l.running.Go(func() { l.serve(working, listener) })
	l.running.Go(func() { l.watchGuests(working) })
	var present sync.WaitGroup
	defer present.Wait()
	present.Go(func() {
		state.KeepPresence(ctx, c.Store, aurora.Presence{Host: c.Settings.HostID, Since: time.Now().UTC()})
	})
	if err := l.follow(ctx, working); ctx.Err() == nil {
		return err
	}
	return nil
}

type link struct {
	config  Config
	log     *slog.Logger
	own     *pki.Certificate
	server  *tls.Config // for hosts
	hosts   *state.Mirror[aurora.Host]
	ready   chan struct{} // closed when hosts is there
	running sync.WaitGroup

	mu      sync.Mutex
	peers   map[string]*peer   // the other hosts, by id
	guests  map[string]*guest  // what they said to us, by id
	stored  map[string]string  // addresses of peers as the state has them
	told    map[string]string  // addresses that peers told since
	sockets map[socket]*mirror // sockets of others that are here
	refused refusal
}

func newLink(c Config) *link {
	if c.Silence == 0 {
		c.Silence = Silence
	}
	l := &link{
		config: c, log: c.Logger, own: c.CA.HostCertificate(c.Settings.HostID, c.Settings.LinkHost()), ready: make(chan struct{}),
		stored: map[string]string{}, told: map[string]string{}, peers: map[string]*peer{}, guests: map[string]*guest{}, sockets: map[socket]*mirror{},
	}
	l.server = c.CA.HostServer(l.own, l.accept)
	l.server.NextProtos = []string{protoLink}
	return l
}

// accept says whether a host may speak to us.
func (l *link) accept(id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.peers[id] == nil {
		return fmt.Errorf("host %s is not one of this installation, or not any more", id)
	}
	return nil
}

// view is what the sockets of other hosts follow from.
type view struct {
	hosts     []Host // others than this one
	instances []aurora.DBInstance
	clusters  []aurora.DBCluster
}

// follow keeps the sockets what the state says, until ctx ends. What it begins
// works until working ends.
func (l *link) follow(ctx, working context.Context) error {
	var err error
	if l.hosts, err = state.NewMirror(ctx, state.Hosts(l.config.Store)); err != nil {
		return fmt.Errorf("link: %w", err)
	}
	close(l.ready)
	instances, err := state.NewMirror(ctx, state.DBInstances(l.config.Store))
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	clusters, err := state.NewMirror(ctx, state.DBClusters(l.config.Store))
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	stored := []Host(nil)
	for {
		changes := []<-chan struct{}{l.hosts.Changed(), instances.Changed(), clusters.Changed()}
		v := view{hosts: others(l.config.Settings.HostID, l.hosts.All()), instances: values(instances.All()), clusters: values(clusters.All())}
		if !sameHosts(stored, v.hosts) {
			if err := SaveHosts(l.config.Layout, v.hosts); err != nil {
				l.log.Error("link: the list of hosts is not kept", "error", err)
			} else {
				stored = v.hosts
			}
		}
		l.apply(working, v)
		select {
		case <-changes[0]:
		case <-changes[1]:
		case <-changes[2]:
		case <-time.After(retryInterval): // for sockets that could not be made
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// retryInterval is how often what failed is tried again.
const retryInterval = 5 * time.Second

func values[T any](items []state.Item[T]) []T {
	all := make([]T, len(items))
	for i, item := range items {
		all[i] = item.Value
	}
	return all
}

// apply makes peers and sockets what a view says.
func (l *link) apply(ctx context.Context, v view) {
	l.mu.Lock()
	addrs := map[string]string{}
	for _, h := range v.hosts {
		if l.stored[h.ID] != h.Link {
			l.stored[h.ID] = h.Link
			delete(l.told, h.ID)
		}
		addrs[h.ID] = cmp.Or(l.told[h.ID], h.Link)
	}
	for id, p := range l.peers {
		if addrs[id] != p.addr {
			p.stop()
			delete(l.peers, id)
			if addrs[id] == "" {
				l.dismiss(id)
			}
		}
	}
	for id, addr := range addrs {
		if l.peers[id] == nil {
			l.log.Info("link: another host", "host", id, "address", addr)
			l.peers[id] = l.newPeer(ctx, id, addr)
		}
	}
	l.mu.Unlock()
	l.mirrorSockets(ctx, wanted(v))
}

func (l *link) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.peers {
		p.stop()
	}
	for id := range l.guests {
		l.dismiss(id)
	}
	for _, m := range l.sockets {
		m.close()
	}
}

func (l *link) peer(id string) *peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.peers[id]
}

var errGone = errors.New("the host is not one of this installation any more")

// keepAlive has the kernel notice a connection whose other end is gone. It acts
// only while nothing is said; see peer for what notices the rest.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 2}
