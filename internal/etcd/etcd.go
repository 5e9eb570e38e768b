// Package etcd runs the embedded etcd: the process "daybreak etcd". It is a
// process of its own because etcd ends its process when its disk is full. With
// several hosts it is one member of many: it joins the others and decides which
// of them vote. It knows nothing of what is stored.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"sync"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Config of an etcd.
type Config struct {
	Dir    string // data directory, 0700
	Socket string // unix socket for clients
	Quiet  bool   // log only what ends the process
	Quota  int64  // bytes that its file may have; 0: 2 GiB
	// Peer is there when other hosts can have members too. Without it etcd is the
	// only one, and its peer socket is beside that for clients.
	Peer *Peer
}

const (
	quotaBytes       = 2 << 30
	compactRetention = "5m"
)

// Run serves until ctx ends, then stops in order. It returns an error if etcd
// could not start or stopped by itself.
func Run(ctx context.Context, c Config) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	for _, socket := range []string{c.Socket, peerSocket(c)} {
		if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("etcd: %w", err)
		}
	}
	if c.Peer != nil {
		if err := c.Peer.writeCertificate(); err != nil {
			return err
		}
	}
	join, err := c.join(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	cfg, err := config(c, join)
	if err != nil {
		return err
	}
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return fmt.Errorf("start etcd in %s: %w", c.Dir, err)
	}
	defer server.Close()
	keeping, stop := context.WithCancel(ctx)
	var kept sync.WaitGroup
	defer kept.Wait()
	defer stop()
	kept.Go(func() { c.keepRoom(keeping, server.Server) })
	if c.Peer != nil {
		kept.Go(func() { c.Peer.keep(keeping, server.Server) })
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-server.Err():
		return fmt.Errorf("etcd stopped: %w", err)
	case <-server.Server.StopNotify():
		return errors.New("etcd stopped by itself")
	}
}

func peerSocket(c Config) string { return c.Socket + ".peer" }

// config makes etcd's settings. join names the members to join; empty: there are
// none yet, or ours is known to them already.
func config(c Config, join string) (*embed.Config, error) {
	cfg := embed.NewConfig()
	cfg.Name = "daybreak"
	cfg.Dir = c.Dir
	client := url.URL{Scheme: "unix", Path: c.Socket}
	peer := url.URL{Scheme: "unix", Path: peerSocket(c)}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	if c.Peer != nil {
		if err := c.Peer.configure(cfg); err != nil {
			return nil, err
		}
	}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	if join != "" {
		cfg.InitialCluster, cfg.ClusterState = join, embed.ClusterStateFlagExisting
	}
	cfg.QuotaBackendBytes = c.quota()
	cfg.AutoCompactionMode = embed.CompactorModePeriodic
	cfg.AutoCompactionRetention = compactRetention
	cfg.TickMs, cfg.ElectionMs = 50, 500
	logger, err := newLogger(c.Quiet)
	if err != nil {
		return nil, err
	}
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(logger)
	return cfg, cfg.Validate()
}

func newLogger(quiet bool) (*zap.Logger, error) {
	logs := zap.NewProductionConfig()
	logs.Level = zap.NewAtomicLevelAt(zapcore.WarnLevel)
	if quiet {
		logs.Level = zap.NewAtomicLevelAt(zapcore.FatalLevel)
	}
	logger, err := logs.Build()
	if err != nil {
		return nil, fmt.Errorf("etcd log: %w", err)
	}
	return logger, nil
}
