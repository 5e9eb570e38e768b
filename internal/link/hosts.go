package link

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Host is another host, and where its link is reached.
type Host struct {
	ID   string `json:"id"`
	Link string `json:"link"` // host:port
}

// LoadHosts reads the other hosts as they were known last, before the state can be
// asked. A host that never had others has none.
func LoadHosts(l layout.Layout) ([]Host, error) {
	data, err := os.ReadFile(l.Hosts())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("other hosts: %w", err)
	}
	var hosts []Host
	if err := json.Unmarshal(data, &hosts); err != nil {
		return nil, fmt.Errorf("other hosts in %s: %w", l.Hosts(), err)
	}
	return hosts, nil
}

// SaveHosts keeps the list of the other hosts.
func SaveHosts(l layout.Layout, hosts []Host) error {
	data, err := json.MarshalIndent(hosts, "", "  ")
	if err != nil {
		return err
	}
	return layout.WriteFile(l.Hosts(), append(data, '\n'), 0o600)
}

// others are the hosts of the installation that can be reached, but for own.
func others(own string, items []state.Item[aurora.Host]) []Host {
	hosts := []Host{}
	for _, item := range items {
		if h := item.Value; h.ID != own && h.Link != "" && hostID.MatchString(h.ID) {
			hosts = append(hosts, Host{ID: h.ID, Link: h.Link})
		}
	}
	return hosts
}

// sameHosts says whether two lists in the order of ids are the same; nil is none
// that was stored.
func sameHosts(a, b []Host) bool { return a != nil && slices.Equal(a, b) }
