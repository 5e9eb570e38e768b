package link

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/pki"
)

const maxAdmission = 4 << 20

// Join makes this host one of the installation whose token it has: it fetches what
// every host has and stores it at l, with c as this host's own settings. It
// returns the settings to start with. c's HostID, Zones, LinkAddr and
// EndpointBind are this host's, the rest is the installation's.
func Join(ctx context.Context, l layout.Layout, text string, c config.Config) (config.Config, error) {
	t, err := parseToken(text)
	if err != nil {
		return c, err
	}
	if time.Now().After(t.Expires) {
		return c, fmt.Errorf("the token has expired at %s: make another with 'daybreak server token'", t.Expires.Format(time.RFC3339))
	}
	if err := checkUnused(l); err != nil {
		return c, err
	}
	if err := l.Create(); err != nil {
		return c, err
	}
	a, err := ask(ctx, t, request{Secret: t.Secret, ID: c.HostID, Link: c.LinkAddr, Zones: c.Zones})
	if err != nil {
		return c, fmt.Errorf("join the installation at %s: %w", t.Addr, err)
	}
	joined := a.Settings
	joined.HostID, joined.Zones, joined.LinkAddr, joined.EndpointBind = c.HostID, c.Zones, c.LinkAddr, c.EndpointBind
	if err := a.keep(l); err != nil {
		return c, err
	}
	// The settings come last: with them the host is one of the installation.
	return joined, joined.Save(l)
}

// checkUnused refuses a data directory that has something of an installation.
func checkUnused(l layout.Layout) error {
	for _, path := range []string{l.Config(), filepath.Join(l.Etcd(), "member")} {
		if _, err := os.Stat(path); err == nil {
			return fmt.Errorf("%s is in use by an installation (%s is there): a host joins with a data directory that is new", l.Root, path)
		}
	}
	return nil
}

// ask has a conversation with the link of the host that made the token.
func ask(ctx context.Context, t token, q request) (admission, error) {
	var a admission
	settings := pki.FingerprintClient(t.Authority)
	settings.NextProtos = []string{protoJoin}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: settings}
	conn, err := d.DialContext(ctx, "tcp", t.Addr)
	if err != nil {
		return a, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_ = conn.SetDeadline(time.Now().Add(2 * joinLimit))
	if err := json.NewEncoder(conn).Encode(q); err != nil {
		return a, err
	}
	if err := json.NewDecoder(io.LimitReader(conn, maxAdmission)).Decode(&a); err != nil {
		return a, fmt.Errorf("its answer: %w", err)
	}
	if a.Refused != "" {
		return a, errors.New(a.Refused)
	}
	return a, nil
}

// keep stores what every host has.
func (a admission) keep(l layout.Layout) error {
	if err := pki.Import(l.PKI(), a.Authority); err != nil {
		return err
	}
	if err := keyring.Import(l.Keys(), a.RootKey); err != nil {
		return err
	}
	if err := a.Credentials.Save(l); err != nil {
		return err
	}
	return SaveHosts(l, a.Hosts)
}

func sorted(hosts []Host) []Host {
	return slices.SortedFunc(slices.Values(hosts), func(a, b Host) int { return strings.Compare(a.ID, b.ID) })
}
