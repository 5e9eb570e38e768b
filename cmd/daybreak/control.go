package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/blob"
	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/dataplane/controller"
	"github.com/daybreakdb/daybreak/internal/dataplane/endpoint"
	"github.com/daybreakdb/daybreak/internal/dataplane/node"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
	"github.com/daybreakdb/daybreak/internal/launch"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/platform/api"
	"github.com/daybreakdb/daybreak/internal/platform/fleet"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/stack"
	"github.com/daybreakdb/daybreak/internal/platform/workflow"
	"github.com/daybreakdb/daybreak/internal/provider"
	"github.com/daybreakdb/daybreak/internal/region"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/rds"
)

// encryption is what is true of this version, in plain words, for describe and up.
const encryption = "data directories are NOT encrypted, also when the stack asks for it"

// runControl runs the controllers, which every host of an installation does, and
// on its first host serves the AWS API and the platform's API.
func runControl(ctx context.Context, in installation) error {
	registry := newRegistry(launch.Control)
	network, err := netip.ParsePrefix(in.config.EndpointNet)
	if err != nil {
		return err
	}
	port, reason := endpoint.FreeDefaultPort(network)
	notice := ""
	if reason != "" {
		notice = fmt.Sprintf("new clusters get port %d: %s", port, reason)
		in.logger.Warn("the default port of new clusters has moved", "port", port, "reason", reason)
	}

	group, ctx := errgroup.WithContext(ctx)
	if !in.config.Joined() {
		if err := runAPIs(ctx, group, in, registry, notice); err != nil {
			return err
		}
	}
	logs := wal.NewClient(in.LogSocket())
	group.Go(func() error {
		return controller.Run(ctx, controller.Config{
			Heard: func(ctx context.Context, cluster string) (time.Duration, bool) { return heard(ctx, logs, cluster) },
			Store: in.store, Keyring: in.keyring, EndpointNet: network, EndpointBind: in.config.EndpointBind,
			DefaultPort: port, FirstOSUser: firstOSUser(in), Metrics: registry,
			HostPatience: time.Duration(in.config.HostPatience) * time.Second,
		})
	})
	group.Go(func() error {
		binary, err := ownBinary()
		if err != nil {
			return err
		}
		launch.KeepSupervised(ctx, binary, launch.SupervisorProcess(in.Layout), in.logger)
		return nil
	})
	return group.Wait()
}

// runAPIs has the group serve the APIs, and carry out what they are asked for.
func runAPIs(ctx context.Context, group *errgroup.Group, in installation, registry *prometheus.Registry, notice string) error {
	keys, err := config.LoadCredentials(in.Layout)
	if err != nil {
		return err
	}
	engine, err := newEngine(in, keys, registry)
	if err != nil {
		return err
	}
	group.Go(func() error { return serveRegion(ctx, in, registry) })
	p := newPlatform(in, keys, engine)
	group.Go(func() error { return servePlatform(ctx, in, keys, p, registry, notice) })
	group.Go(func() error { return engine.Run(ctx) })
	group.Go(func() error { return p.upgrades.Run(ctx) })
	return nil
}

// heard says how long ago something came to this host's copies of a cluster's log.
func heard(ctx context.Context, logs *wal.Client, cluster string) (time.Duration, bool) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	ago, err := logs.Heard(ctx)
	if err != nil {
		return 0, false
	}
	age, ok := ago[cluster]
	return age, ok
}

// firstOSUser is 0 for an ordinary user, who can start servers as nobody else.
func firstOSUser(in installation) int {
	if os.Geteuid() != 0 {
		return 0
	}
	return controller.FirstOSUser(in.ID())
}

func newEngine(in installation, keys config.Credentials, registry prometheus.Registerer) (*workflow.Engine, error) {
	binary, err := ownBinary()
	if err != nil {
		return nil, err
	}
	mirror := filepath.Join(in.Root, "providers")
	if err := provider.WriteMirror(mirror, binary); err != nil {
		return nil, err
	}
	return workflow.New(workflow.Config{
		Store: in.store, Keyring: in.keyring, Blobs: blob.Dir{Root: in.Blobs()}, Layout: in.Layout,
		Region: stack.Target{
			Embedded: true, Endpoint: "http://" + in.config.RegionAddr, Region: in.config.Region,
			AccessKey: keys.AccessKeyID, SecretKey: keys.SecretAccessKey,
		},
		Resolve: in.config.Resolve,
		Tool:    stack.FindTool, BuildTool: buildTool, Mirror: mirror, RealMirror: os.Getenv("DAYBREAK_PROVIDER_MIRROR"),
		Logger: in.logger, Metrics: registry,
	}), nil
}

// buildTool builds OpenTofu where stack.FindTool looks for it.
func buildTool(ctx context.Context, log io.Writer) (stack.Tool, error) {
	dir, err := stack.ToolsDir()
	if err != nil {
		return stack.Tool{}, err
	}
	return stack.BuildOpenTofu(ctx, dir, log)
}

func serveRegion(ctx context.Context, in installation, registry prometheus.Registerer) error {
	serverLogs := node.Logs{Layout: func(host string) layout.Layout {
		if host == in.config.HostID {
			return in.Layout
		}
		return in.Via(host)
	}}
	service, err := rds.Config{
		Store: in.store, Keyring: in.keyring, Names: aurora.Names{Suffix: in.config.DNSSuffix},
		Certificate: func() ([]byte, error) { return os.ReadFile(in.CAFile()) },
		Logs:        serverLogs,
	}.New(ctx)
	if err != nil {
		return err
	}
	allow, err := notifyAllow(os.Getenv("DAYBREAK_SNS_ALLOW"))
	if err != nil {
		return err
	}
	root, err := in.rootCredentials()
	if err != nil {
		return err
	}
	handler, err := region.New(ctx, region.Config{
		URL: "http://" + in.config.RegionAddr, NotifyAllow: allow, EndpointTLS: func() (*tls.Config, error) { return endpointTLS(in.CAFile()) },
		Store: in.store, Keyring: in.keyring, Logger: in.logger, Registry: registry,
		Credentials: root, Bundle: func() ([]byte, error) { return os.ReadFile(in.CAFile()) },
		Requests: apiRequests, Failures: apiFailures,
		Services: []*awswire.Service{service}, LogEvents: in.LogEvents(), ServerLogs: serverLogs,
	})
	if err != nil {
		return err
	}
	return serve(ctx, in.config.RegionAddr, handler)
}

// endpointTLS trusts endpoints by the installation's own authority.
func endpointTLS(caFile string) (*tls.Config, error) {
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("certificate of the endpoints' authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("certificate of the endpoints' authority: %s has none", caFile)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// apiRequests is more than Terraform and the tests send, and apiFailures more than
// who mistypes.
var (
	apiRequests = awswire.Rate{PerSecond: 500, Burst: 2000}
	apiFailures = awswire.Rate{PerSecond: 2, Burst: 100}
)

// notifyAllow reads the addresses that messages of SNS may go to beside public
// ones: prefixes, separated by commas.
func notifyAllow(text string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, fmt.Errorf("DAYBREAK_SNS_ALLOW must have prefixes, as 127.0.0.0/8,10.1.0.0/16: %w", err)
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}

func servePlatform(ctx context.Context, in installation, keys config.Credentials, p platform, registry *prometheus.Registry, notice string) error {
	status := rest.Status{
		Version: version, Region: in.config.Region, RegionURL: "http://" + in.config.RegionAddr, CAFile: in.CAFile(),
		Encryption: encryption, Notice: notice,
	}
	return serve(ctx, in.config.PlatformAddr, api.New(api.Config{
		Engine: p.engine, Fleet: p.fleet, FleetPrefix: fleet.Prefix, Accounts: p.accounts, Audit: p.audit, Token: keys.PlatformToken, Status: func() rest.Status {
			now := status
			promise, problem := durability(ctx, in.store)
			now.Durability = promise
			if problem != "" {
				now.Notice = strings.TrimPrefix(now.Notice+"; "+problem, "; ")
			}
			return now
		},
		Metrics: promhttp.HandlerFor(allMetrics(in, registry), promhttp.HandlerOpts{}), Logger: in.logger, MaxArtifact: workflow.MaxArtifactBytes,
	}))
}

// shutdownGrace is how long requests may take to end when the process stops.
const shutdownGrace = 5 * time.Second

// serve answers HTTP at addr until ctx ends.
func serve(ctx context.Context, addr string, handler http.Handler) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen at %s: %w", addr, err)
	}
	return serveListener(ctx, listener, handler)
}

func serveListener(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	stopped := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	})
	defer stopped()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
