package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/daybreakdb/daybreak/internal/cli"
	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/etcd"
	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/link"
	"github.com/daybreakdb/daybreak/internal/pki"
	"github.com/daybreakdb/daybreak/internal/state"
)

func runLink(ctx context.Context, in installation) error {
	ca, err := pki.Open(in.PKI())
	if err != nil {
		return err
	}
	return link.Run(ctx, link.Config{Layout: in.Layout, Settings: in.config, Store: in.store, CA: ca, Keyring: in.keyring, Logger: in.logger})
}

// openStore opens the state: our own etcd, and those of other hosts where there
// can be some.
func openStore(l layout.Layout, c config.Config) (*state.Store, error) {
	if c.Linked() {
		return state.Open(l.EtcdSocket(), l.OtherEtcdSockets())
	}
	return state.Open(l.EtcdSocket())
}

// etcdPeer is what our etcd needs to meet those of other hosts; nil: there are none.
func etcdPeer(l layout.Layout, c config.Config) (*etcd.Peer, error) {
	if !c.Linked() {
		return nil, nil
	}
	ca, err := pki.Open(l.PKI())
	if err != nil {
		return nil, err
	}
	others, err := link.LoadHosts(l)
	if err != nil {
		return nil, err
	}
	return &etcd.Peer{
		Name: c.HostID, Addr: c.PeerAddr(), Join: c.Joined() || len(others) > 0,
		Certificate: ca.HostCertificate(c.HostID, c.LinkHost()), CertFile: l.HostCertificate(), CAFile: filepath.Join(l.PKI(), pki.CAFile),
		Others: l.OtherEtcdSockets(), SocketOf: func(host string) string { return l.Via(host).EtcdSocket() },
	}, nil
}

// hosts are the commands' way to the hosts of the installation.
type hosts struct{}

func (hosts) Token(l layout.Layout, c config.Config, expires time.Time) (string, error) {
	ca, err := pki.Open(l.PKI())
	if err != nil {
		return "", err
	}
	keys, err := keyring.Open(l.Keys())
	if err != nil {
		return "", err
	}
	return link.NewToken(c.LinkAddr, ca, keys, expires)
}

func (hosts) Join(ctx context.Context, l layout.Layout, token string, c config.Config) (config.Config, error) {
	return link.Join(ctx, l, token, c)
}

func (hosts) Known(l layout.Layout) (int, error) {
	known, err := link.LoadHosts(l)
	return len(known), err
}

func (hosts) List(ctx context.Context, l layout.Layout, c config.Config) ([]cli.Host, error) {
	store, err := openStore(l, c)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	roster, err := link.Roster(ctx, store, c.HostID)
	if err != nil {
		return nil, withoutState(err)
	}
	var all []cli.Host
	for _, s := range roster {
		h := cli.Host{ID: s.ID, This: s.ID == c.HostID, LinkAddr: s.Link, Present: s.Present, PGVersion: s.PGVersion, Zones: []string{}}
		for _, zone := range s.Zones {
			h.Zones = append(h.Zones, zone.Suffix)
		}
		switch {
		case s.Voter:
			h.Etcd = "voter"
		case s.Member:
			h.Etcd = "learner"
		}
		all = append(all, h)
	}
	return all, nil
}

func (hosts) Remove(ctx context.Context, l layout.Layout, c config.Config, id string, tell func(string)) error {
	store, err := openStore(l, c)
	if err != nil {
		return err
	}
	defer store.Close()
	return withoutState(link.Remove(ctx, store, c.HostID, id, tell))
}

// withoutState says of an error that it is the state's, in the words of commands.
func withoutState(err error) error {
	if errors.Is(err, state.ErrUnavailable) {
		return fmt.Errorf("%w: %w", cli.ErrNoState, err)
	}
	return err
}
