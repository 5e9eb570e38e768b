package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/launch"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

// client is the platform's API of this installation.
func (a *app) client() (rest.Client, error) {
	l, err := a.layout()
	if err != nil {
		return rest.Client{}, err
	}
	c, err := config.Load(l)
	if err != nil {
		return rest.Client{}, err
	}
	if err := apisReachable(c); err != nil {
		return rest.Client{}, err
	}
	client, err := clientOf(l, c)
	if launch.Holder(launch.SupervisorProcess(l).Lock) != 0 {
		client.Patience = restartPatience
	}
	return client, err
}

// restartPatience is how long a running server may take to start its APIs again.
const restartPatience = 15 * time.Second

// apisReachable says where to run a command that needs the APIs, when they are on
// another host and listen there for that host alone.
func apisReachable(c config.Config) error {
	if !c.Joined() {
		return nil
	}
	for _, addr := range []string{c.PlatformAddr, c.RegionAddr} {
		if host, _, err := net.SplitHostPort(addr); err == nil && host != "localhost" && !net.ParseIP(host).IsLoopback() {
			continue
		}
		return withHint(fmt.Errorf("the APIs of this installation are on its first host (link address %s), at %s there", c.FirstHost, addr),
			"Run this there. Or have them listen for other hosts, and tell this one:\n"+
				"  there: daybreak server start --platform-addr HOST:PORT --region-addr HOST:PORT\n"+
				"  here:  the same command")
	}
	return nil
}

func clientOf(l layout.Layout, c config.Config) (rest.Client, error) {
	keys, err := config.LoadCredentials(l)
	return rest.Client{BaseURL: "http://" + c.PlatformAddr, Token: keys.PlatformToken}, err
}

// ping returns nil when the server works: its host is present, where there can be
// others, and both APIs answer, where it has them.
func (a *app) ping(ctx context.Context, l layout.Layout, c config.Config) error {
	if c.Linked() {
		if err := a.pingHost(ctx, l, c); err != nil {
			return err
		}
	}
	if c.Joined() {
		return nil
	}
	return pingAPIs(ctx, l, c)
}

// pingTimeout is how long the state may take to say which hosts there are.
const pingTimeout = 3 * time.Second

func (a *app) pingHost(ctx context.Context, l layout.Layout, c config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	hosts, err := a.Hosts.List(ctx, l, c)
	if err != nil {
		return err
	}
	for _, h := range hosts {
		if h.This && h.Present && (h.PGVersion != "" || !c.Joined()) {
			return nil
		}
	}
	return errors.New("this host is not yet one of the installation's that are present")
}

func pingAPIs(ctx context.Context, l layout.Layout, c config.Config) error {
	client, err := clientOf(l, c)
	if err != nil {
		return err
	}
	if _, err = client.Status(ctx); err != nil {
		return err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.RegionAddr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// explain turns an error of the API into one for people.
func explain(err error) error {
	var refused *rest.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return withHint(refused, refused.Hint)
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	}
	return withHint(fmt.Errorf("the server does not answer: %w", err), "Start it: daybreak server start")
}
