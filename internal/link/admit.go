package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/pki"
	"github.com/daybreakdb/daybreak/internal/state"
)

// request is what a host says that wants to join.
type request struct {
	Secret []byte   `json:"secret"`
	ID     string   `json:"id"`
	Link   string   `json:"link"`
	Zones  []string `json:"zones"`
}

// admission is what every host of the installation has.
type admission struct {
	Refused     string             `json:"refused,omitempty"` // why; then there is nothing else
	Authority   []byte             `json:"authority,omitempty"`
	RootKey     []byte             `json:"rootKey,omitempty"`
	Credentials config.Credentials `json:"credentials,omitzero"`
	Settings    config.Config      `json:"settings,omitzero"` // with FirstHost
	Hosts       []Host             `json:"hosts,omitempty"`   // all but the one that joins
}

const (
	// joinLimit is how long it may take to store a host.
	joinLimit  = 15 * time.Second
	maxRequest = 16 << 10
)

// admit answers a host that wants to join.
func (l *link) admit(ctx context.Context, w wire) {
	_ = w.SetDeadline(time.Now().Add(joinLimit + l.config.Silence))
	var q request
	if err := json.NewDecoder(io.LimitReader(w, maxRequest)).Decode(&q); err != nil {
		l.refuse(w, fmt.Errorf("a request to join: %w", err))
		return
	}
	ctx, cancel := context.WithTimeout(ctx, joinLimit)
	defer cancel()
	a, err := l.join(ctx, q)
	if err != nil {
		l.refuse(w, fmt.Errorf("host %q does not join: %w", q.ID, err))
		a = admission{Refused: err.Error()}
	} else {
		l.log.Info("link: a host joins", "host", q.ID, "address", q.Link)
	}
	if err := json.NewEncoder(w).Encode(a); err == nil {
		_ = w.CloseWrite()
	}
}

// join stores the host, so that all others know it, and gathers what it gets.
func (l *link) join(ctx context.Context, q request) (admission, error) {
	if err := checkSecret(l.config.Keyring, q.Secret, time.Now()); err != nil {
		return admission{}, err
	}
	if !hostID.MatchString(q.ID) || q.Link == "" {
		return admission{}, errors.New("a host needs an id of 8 hexadecimal digits and an address")
	}
	select {
	case <-l.ready:
	case <-ctx.Done():
		return admission{}, state.ErrUnavailable
	}
	if err := l.store(ctx, q); err != nil {
		return admission{}, err
	}
	s := l.config.Settings
	a := admission{Settings: s, Hosts: append(others(q.ID, l.hosts.All()), Host{ID: s.HostID, Link: s.LinkAddr})}
	a.Hosts = slices.CompactFunc(sorted(a.Hosts), func(a, b Host) bool { return a.ID == b.ID })
	if a.Settings.FirstHost == "" {
		a.Settings.FirstHost = s.LinkAddr
	}
	a.Settings.HostID, a.Settings.Zones, a.Settings.LinkAddr, a.Settings.EndpointBind = "", nil, "", ""
	var err error
	if a.Authority, err = pki.Export(l.config.Layout.PKI()); err != nil {
		return a, err
	}
	if a.RootKey, err = keyring.Export(l.config.Layout.Keys()); err != nil {
		return a, err
	}
	a.Credentials, err = config.LoadCredentials(l.config.Layout)
	return a, err
}

// store writes the host that joins. Its node adds what the host is.
func (l *link) store(ctx context.Context, q request) error {
	hosts := state.Hosts(l.config.Store)
	items, _, err := hosts.List(ctx, "")
	if err != nil {
		return err
	}
	var ops []state.Op
	for _, item := range items {
		switch h := item.Value; {
		case h.ID == q.ID:
			return fmt.Errorf("there is a host %s already", q.ID)
		case h.Link != q.Link:
		case h.PGVersion == "" && h.CPUs == 0:
			// It was admitted and has never been there: a second attempt of it.
			ops = append(ops, hosts.DeleteOp(item.Key, item.Revision))
		default:
			return fmt.Errorf("host %s is at %s already: if it is gone for good, remove it first with 'daybreak server remove-host %s'", h.ID, q.Link, h.ID)
		}
	}
	host := aurora.Host{ID: q.ID, Link: q.Link}
	for _, zone := range q.Zones {
		host.Zones = append(host.Zones, aurora.HostZone{Suffix: zone})
	}
	revision, err := l.config.Store.Commit(ctx, append(ops, hosts.PutOp(q.ID, host, 0))...)
	if errors.Is(err, state.ErrConflict) {
		return errors.New("another host joined at the same moment: try again")
	}
	if err != nil {
		return err
	}
	return l.hosts.WaitRevision(ctx, revision)
}
