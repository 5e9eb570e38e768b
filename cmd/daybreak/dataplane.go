package main

import (
	"context"
	"net/netip"

	"github.com/daybreakdb/daybreak/internal/dataplane/endpoint"
	"github.com/daybreakdb/daybreak/internal/dataplane/node"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/pki"
)

func runNode(ctx context.Context, in installation) error {
	return node.Run(ctx, node.Config{Store: in.store, Layout: in.Layout, Keyring: in.keyring})
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
	return endpoint.Run(ctx, endpoint.Config{Store: in.store, PKI: ca, Logger: in.logger, LoopbackAs: loopbackAs})
}
