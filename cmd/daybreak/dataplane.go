package main

import (
	"context"
	"net/netip"
	"path/filepath"
	"sync"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/dataplane/contain"
	"github.com/daybreakdb/daybreak/internal/dataplane/endpoint"
	"github.com/daybreakdb/daybreak/internal/dataplane/node"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/launch"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/pki"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/dbauth"
	"github.com/daybreakdb/daybreak/internal/region/iam"
)

func runNode(ctx context.Context, in installation) error {
	registry := newRegistry(launch.Node)
	go exposeMetrics(ctx, in, launch.Node, registry)
	if err := contain.LimitByUser(); err != nil {
		return err
	}
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
		CheckToken: in.tokenChecker(ctx),
		Store:      in.store, PKI: ca, Logger: in.logger, Registry: registry, LoopbackAs: loopbackAs, Verifier: in.verifier,
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

// tokenChecker returns what decides on logins by IAM. It follows the state from the
// first such login on: then the first start is over, which makes the account's keys.
func (in installation) tokenChecker(ctx context.Context) func(context.Context, endpoint.Login) error {
	var mu sync.Mutex
	var directory *iam.Directory
	get := func() (*iam.Directory, error) {
		mu.Lock()
		defer mu.Unlock()
		if directory == nil {
			root, err := in.rootCredentials()
			if err != nil {
				return nil, err
			}
			d, err := iam.NewDirectory(ctx, in.store, in.keyring, root)
			if err != nil {
				return nil, err
			}
			directory = d
		}
		return directory, nil
	}
	return func(ctx context.Context, l endpoint.Login) error {
		d, err := get()
		if err != nil {
			return err
		}
		return dbauth.Authority{Directory: d}.Check(ctx, dbauth.Login{
			Account: l.Cluster.Account, Region: l.Cluster.Region, ClusterID: l.Cluster.ResourceID,
			User: l.User, Hosts: l.Hosts, Source: l.Client, Token: l.Token,
		})
	}
}

// rootCredentials are the keys of the account's root. Only the first host of an
// installation has them.
func (in installation) rootCredentials() (awswire.CredentialStore, error) {
	if in.config.Joined() {
		return awswire.StaticCredentials{}, nil
	}
	keys, err := config.LoadCredentials(in.Layout)
	if err != nil {
		return nil, err
	}
	return awswire.StaticCredentials{{
		AccessKeyID: keys.AccessKeyID, SecretAccessKey: keys.SecretAccessKey,
		Account: in.config.Account, UserARN: "arn:aws:iam::" + in.config.Account + ":root", UserID: in.config.Account,
	}}, nil
}
