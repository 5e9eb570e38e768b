package main

import (
	"context"
	"net/netip"
	"path/filepath"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/endpoint"
	"github.com/daybreakdb/daybreak/internal/dataplane/node"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/launch"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/pki"
)

func runNode(ctx context.Context, in installation) error {
	registry := newRegistry(launch.Node)
	go exposeMetrics(ctx, in, launch.Node, registry)
	return node.Run(ctx, node.Config{Store: in.store, Layout: in.Layout, Keyring: in.keyring, Metrics: registry,
		HostID: in.config.HostID, Link: in.config.LinkAddr, Zones: in.config.Zones})
}

func runEndpoint(ctx context.Context, in installation) error {
	ca, err := pki.Open(in.PKI())
	if err != nil {
		return err
	}
	if err := layout.WriteFile(in.CAFile(), ca.CAPEM(), 0o644); err != nil {
		return err
	}
	loopbackAs, err := netip.ParseAddr(in.config.LoopbackAs)
	if err != nil {
		return err
	}
	registry := newRegistry(launch.Endpoint)
	go exposeMetrics(ctx, in, launch.Endpoint, registry)
	return endpoint.Run(ctx, endpoint.Config{
		Store: in.store, PKI: ca, Logger: in.logger, Registry: registry, LoopbackAs: loopbackAs, Verifier: in.verifier,
		HostID: in.config.HostID, Layout: in.Layout, Publish: in.config.EndpointBind,
		Names: aurora.Names{Suffix: in.config.DNSSuffix}, DNSAddr: in.config.DNSAddr,
	})
}

// verifier asks a server what it compares a role's password with.
func (in installation) verifier(ctx context.Context, c aurora.DBCluster, b endpoint.Backend, role string) (string, error) {
	secret, err := in.keyring.Open(c.Status.InternalSecret, aurora.InternalSecretPurpose(c.ResourceID))
	if err != nil {
		return "", err
	}
	s := postgres.Server{SocketDir: filepath.Dir(b.Socket)}
	if err := s.DerivePasswords(secret); err != nil {
		return "", err
	}
	return s.Verifier(ctx, role)
}
