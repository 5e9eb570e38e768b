package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
	"github.com/daybreakdb/daybreak/internal/etcd"
	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/launch"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/provider"
	"github.com/daybreakdb/daybreak/internal/state"
)

// installation is what every process opens first.
type installation struct {
	layout.Layout
	config  config.Config
	store   *state.Store
	keyring *keyring.Keyring
	logger  *slog.Logger
}

// processCommands are the commands that the supervisor starts, one for each
// process, and the one that Terraform starts.
func processCommands() []*cobra.Command {
	return []*cobra.Command{
		processCommand(launch.Link, "Speak with the other hosts", withInstallation(launch.Link, runLink)),
		processCommand(launch.Etcd, "Run the state store", runEtcd),
		processCommand(launch.Log, "Run this host's copies of the WAL", runLog),
		processCommand(launch.Node, "Run this host's PostgreSQL servers", withInstallation(launch.Node, runNode)),
		processCommand(launch.Endpoint, "Run this host's endpoints", withInstallation(launch.Endpoint, runEndpoint)),
		processCommand(launch.Control, "Run the APIs and the controllers", withInstallation(launch.Control, runControl)),
		providerCommand(),
	}
}

func processCommand(name, short string, run func(context.Context, layout.Layout) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			root, err := cmd.Flags().GetString("data-dir")
			if err != nil {
				return err
			}
			l, err := layout.New(root)
			if err != nil {
				return err
			}
			lock, err := launch.Acquire(l.Lock(name))
			if errors.Is(err, launch.ErrRunning) {
				return nil
			}
			if err != nil {
				return err
			}
			defer lock.Release()
			if err := launch.Beat(cmd.Context(), l.Pulse(name)); err != nil {
				return err
			}
			launch.KeepLog(cmd.Context(), l.Log(name))
			if err := withoutCores(); err != nil {
				return err
			}
			return run(cmd.Context(), l)
		},
	}
}

func runEtcd(ctx context.Context, l layout.Layout) error {
	c, err := config.Load(l)
	if err != nil {
		return err
	}
	peer, err := etcdPeer(l, c)
	if err != nil {
		return err
	}
	// etcd would look for its peers by way of a proxy.
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		if err := os.Unsetenv(name); err != nil {
			return err
		}
	}
	return etcd.Run(ctx, etcd.Config{Dir: l.Etcd(), Socket: l.EtcdSocket(), Peer: peer})
}

func runLog(ctx context.Context, l layout.Layout) error {
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("process", launch.Log)
	slog.SetDefault(logger)
	logger.Info("started", "pid", os.Getpid())
	defer logger.Info("stopped", "pid", os.Getpid())
	if err := l.Create(); err != nil {
		return err
	}
	c, err := config.Load(l)
	if err != nil {
		return err
	}
	return wal.Serve(ctx, wal.HostConfig{Layout: l, HostID: c.HostID, JournalPerCopy: os.Getenv("DAYBREAK_LOG_JOURNAL") == "store"})
}

func withInstallation(name string, run func(context.Context, installation) error) func(context.Context, layout.Layout) error {
	return func(ctx context.Context, l layout.Layout) error {
		c, err := config.Load(l)
		if err != nil {
			return err
		}
		keys, err := keyring.Open(l.Keys())
		if err != nil {
			return err
		}
		store, err := openStore(l, c)
		if err != nil {
			return err
		}
		defer store.Close()
		logger := slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("process", name)
		slog.SetDefault(logger)
		logger.Info("started", "pid", os.Getpid())
		defer logger.Info("stopped", "pid", os.Getpid())
		return run(ctx, installation{Layout: l, config: c, store: store, keyring: keys, logger: logger})
	}
}

// providerCommand is what Terraform starts through the shim of the provider
// mirror.
func providerCommand() *cobra.Command {
	return &cobra.Command{
		Use: "provider NAME", Short: "Serve the embedded Terraform provider", Args: cobra.ExactArgs(1), Hidden: true,
		RunE: func(_ *cobra.Command, args []string) error { return provider.Serve(args[0]) },
	}
}

// ownBinary is the path that Terraform's shims run.
func ownBinary() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// withoutCores keeps the memory of this process, and of all that it starts, out of
// files: it holds secrets.
func withoutCores() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("turn core dumps off: %w", err)
	}
	return nil
}
