package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/layout"
)

const (
	// defaultTokenTTL is how long a token is good for.
	defaultTokenTTL = time.Hour
	// hostsTimeout is how long the installation may take to say which hosts it has.
	hostsTimeout = 5 * time.Second
	// removeTimeout is how long copies of logs may take that are made on other hosts.
	removeTimeout = 10 * time.Minute
)

// host is this installation's layout and settings.
func (a *app) host() (layout.Layout, config.Config, error) {
	l, err := a.layout()
	if err != nil {
		return l, config.Config{}, err
	}
	c, err := config.Load(l)
	return l, c, err
}

func (a *app) serverHostsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "hosts",
		Short: "Show the hosts of this installation; works on each of them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, c, err := a.host()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), hostsTimeout)
			defer cancel()
			hosts, err := a.Hosts.List(ctx, l, c)
			if err != nil {
				return explainState(err)
			}
			if a.view.json {
				return a.view.JSON(hosts)
			}
			return a.viewHosts(hosts)
		},
	}
}

// explainState is for errors of what needs no API, but the state.
func explainState(err error) error {
	if errors.Is(err, ErrNoState) {
		return withHint(err, "It needs a running server here (daybreak server status), and a majority of the hosts whose etcd votes.")
	}
	return err
}

func (a *app) viewHosts(hosts []Host) error {
	var rows [][]string
	for _, h := range hosts {
		id, present, etcd := h.ID, a.view.status("missing"), h.Etcd
		if h.This {
			id += " *"
		}
		if h.Present {
			present = a.view.status("ok")
		}
		if etcd == "" {
			etcd = "-"
		}
		rows = append(rows, []string{id, strings.Join(h.Zones, ","), h.LinkAddr, present, etcd, h.PGVersion})
	}
	return a.view.Table([]string{"HOST", "ZONES", "LINK ADDRESS", "PRESENT", "ETCD", "POSTGRESQL"}, rows)
}

func (a *app) serverTokenCommand() *cobra.Command {
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Print a token with which another host can join; whoever has it gets this installation's keys",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			l, c, err := a.host()
			if err != nil {
				return err
			}
			if !c.Linked() {
				return withHint(errors.New("other hosts cannot reach this one: it has no link address"),
					"Give it one: daybreak server stop; daybreak server start --link-addr HOST:PORT")
			}
			if ttl <= 0 {
				return fmt.Errorf("--ttl %v: want a time greater than 0", ttl)
			}
			expires := time.Now().Add(ttl).Round(time.Second)
			token, err := a.Hosts.Token(l, c, expires)
			if err != nil {
				return err
			}
			if a.view.json {
				return a.view.JSON(map[string]any{"token": token, "expires": expires.UTC()})
			}
			a.view.Note("Until %s, on another host: daybreak server start --join TOKEN --link-addr HOST:PORT --zones ZONE", expires.Format(time.RFC3339))
			a.view.Line("%s", token)
			return nil
		},
	}
	cmd.Flags().DurationVar(&ttl, "ttl", defaultTokenTTL, "how long the token is good for")
	return cmd
}

func (a *app) serverRemoveHostCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "remove-host HOST",
		Short: "Take a host that is gone for good out of the installation, once other hosts have its copies of the databases' logs",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, c, err := a.host()
			if err != nil {
				return err
			}
			if timeout <= 0 {
				return fmt.Errorf("--timeout %v: want a time greater than 0", timeout)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			if err := a.Hosts.Remove(ctx, l, c, args[0], func(what string) { a.view.Note("%s", what) }); err != nil {
				return explainState(err)
			}
			a.view.Note("Removed host %s. It still has the installation's keys: delete its data directory.", args[0])
			return nil
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", removeTimeout, "how long to wait until other hosts have made the copies")
	return cmd
}

// secretArgument is the value of a flag that is a secret; "-" stands for the first
// line of standard input.
func secretArgument(value string, in io.Reader) (string, error) {
	if value != "-" {
		return value, nil
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("standard input: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// joinInstallation makes this host one of another installation. The server is then
// started as always.
func (a *app) joinInstallation(ctx context.Context, settings *serverSettings, token string) error {
	l, err := a.layout()
	if err != nil {
		return err
	}
	c, _, err := settings.apply(l)
	if err != nil {
		return err
	}
	if _, err := config.Load(l); !errors.Is(err, config.ErrNone) {
		return withHint(fmt.Errorf("there is an installation in %s already (host %s)", l.Root, c.HostID),
			"A host joins before its first start, with a data directory that is new.")
	}
	if !c.Linked() {
		return withHint(errors.New("--join needs --link-addr: the address at which the other hosts reach this one"),
			"As: daybreak server start --join TOKEN --link-addr 10.0.2.1:8430 --zones b")
	}
	if settings.regionAddr != "" || settings.platformAddr != "" || settings.region != "" {
		return errors.New("--region-addr, --platform-addr and --region are those of the installation that this host joins")
	}
	if err := c.Check(); err != nil {
		return err
	}
	if err := a.checkHost(ctx, l); err != nil {
		return err
	}
	joining := c
	joining.FirstHost = "another" // the APIs' addresses are not to be ours
	if err := addressesFree(l, joining); err != nil {
		return err
	}
	c, err = a.Hosts.Join(ctx, l, token, c)
	if err != nil {
		return err
	}
	a.view.Note("Joined the installation whose first host is at %s.", c.FirstHost)
	return nil
}
