package etcd

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/daybreakdb/daybreak/internal/pki"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Peer is what a member needs that is not the only one.
type Peer struct {
	Name string // its name among the members: the id of its host
	Addr string // host:port at which the other members reach this one
	// Join says that there are other members, also when there is no data here: a
	// host that joins, or has lost its disk, never begins a state of its own.
	Join bool
	// Certificate is this host's. It is written to CertFile, where etcd reads it.
	Certificate *pki.Certificate
	CertFile    string
	CAFile      string
	// Others is a pattern of the sockets at which the other members answer
	// clients, and SocketOf the one of a member by its name.
	Others   string
	SocketOf func(name string) string
}

const (
	// maxLearners is how many members without a vote there can be.
	maxLearners = 64
	joinDelay   = 500 * time.Millisecond
)

// configure has etcd meet other members, by TLS.
func (p *Peer) configure(cfg *embed.Config) error {
	// etcd listens at IP addresses only.
	bind, err := net.ResolveTCPAddr("tcp", p.Addr)
	if err != nil {
		return fmt.Errorf("etcd's peer address: %w", err)
	}
	cfg.Name = p.Name
	cfg.ListenPeerUrls = []url.URL{{Scheme: "https", Host: bind.String()}}
	cfg.AdvertisePeerUrls = []url.URL{{Scheme: "https", Host: p.Addr}}
	cfg.InitialClusterToken = p.Name
	cfg.MaxLearners = maxLearners
	cfg.PeerTLSInfo.CertFile, cfg.PeerTLSInfo.KeyFile = p.CertFile, p.CertFile
	cfg.PeerTLSInfo.TrustedCAFile, cfg.PeerTLSInfo.ClientCertAuth = p.CAFile, true
	cfg.PeerTLSInfo.AllowedCNs = []string{pki.HostCommonName}
	cfg.PeerTLSInfo.MinVersion = tls.VersionTLS13
	// A host can have more addresses than the one it is reached at.
	cfg.PeerTLSInfo.SkipClientSANVerify = true
	return nil
}

func (p *Peer) writeCertificate() error {
	if err := p.Certificate.WriteFile(p.CertFile); err != nil {
		return fmt.Errorf("certificate of this host: %w", err)
	}
	return nil
}

func (p *Peer) url() string { return "https://" + p.Addr }

// join makes this host's etcd a member, where there are others and it has no data,
// and returns all members in etcd's notation. It waits until the others answer.
func (c Config) join(ctx context.Context) (string, error) {
	if c.Peer == nil || !c.Peer.Join || c.hasData() {
		return "", nil
	}
	store, err := state.Open(c.Socket, c.Peer.Others)
	if err != nil {
		return "", err
	}
	defer store.Close()
	logger, err := newLogger(c.Quiet)
	if err != nil {
		return "", err
	}
	for last := ""; ; {
		members, err := c.Peer.enter(ctx, store)
		if err == nil {
			return members, nil
		}
		if text := err.Error(); text != last && ctx.Err() == nil {
			logger.Sugar().Warnf("not joined yet: %v", err)
			last = text
		}
		select {
		case <-time.After(joinDelay):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// enter adds this host's member as a learner, in place of one that it was before.
func (p *Peer) enter(ctx context.Context, store *state.Store) (string, error) {
	own := p.url()
	members, err := store.Members(ctx)
	if err != nil {
		return "", err
	}
	for _, m := range members {
		if m.Name != p.Name && m.PeerURL != own {
			continue
		}
		// What it had is gone, so it must not vote as if it had it.
		if err := store.RemoveMember(ctx, m.ID); err != nil {
			return "", fmt.Errorf("remove the member that this host was: %w", err)
		}
	}
	members, err = store.AddLearner(ctx, own)
	if err != nil {
		return "", err
	}
	var names []string
	for _, m := range members {
		name := m.Name
		switch {
		case m.PeerURL == own:
			name = p.Name
		case name == "": // joins too
			name = fmt.Sprintf("joining-%x", m.ID)
		}
		names = append(names, name+"="+m.PeerURL)
	}
	return strings.Join(names, ","), nil
}

// hasData says whether this host's etcd has been a member before.
func (c Config) hasData() bool {
	found, err := filepath.Glob(filepath.Join(c.Dir, "member", "wal", "*.wal"))
	return err != nil || len(found) > 0
}
