package config

import (
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/internal/layout"
)

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	l, err := layout.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string // part of the error; empty: none
	}{
		"the defaults":                     {func(*Config) {}, ""},
		"a host with a zone and a link":    {func(c *Config) { c.Zones, c.LinkAddr = []string{"b"}, "10.0.2.1:8430" }, ""},
		"a link address with a name":       {func(c *Config) { c.LinkAddr = "two.example:8430" }, ""},
		"an unknown zone":                  {func(c *Config) { c.Zones = []string{"d"} }, `zone "d"`},
		"a zone twice":                     {func(c *Config) { c.Zones = []string{"a", "a"} }, "twice"},
		"a link address without port":      {func(c *Config) { c.LinkAddr = "10.0.2.1" }, "host:port"},
		"a link address that is anywhere":  {func(c *Config) { c.LinkAddr = "0.0.0.0:8430" }, "other hosts reach"},
		"a link address with port only":    {func(c *Config) { c.LinkAddr = ":8430" }, "other hosts reach"},
		"a link address at the last port":  {func(c *Config) { c.LinkAddr = "10.0.2.1:65535" }, "65534"},
		"an API address without port":      {func(c *Config) { c.RegionAddr = "127.0.0.1" }, "region address"},
		"an endpoint bind that is no IP":   {func(c *Config) { c.EndpointBind = "localhost" }, "IP address"},
		"an endpoint network that is none": {func(c *Config) { c.EndpointNet = "127.42.0.0" }, "endpoint network"},
	} {
		t.Run(name, func(t *testing.T) {
			settings := New(l)
			c.change(&settings)
			err := settings.Check()
			if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestHostIDStaysThatOfTheDataDirectoryWhereNoneIsStored(t *testing.T) {
	l, err := layout.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	old := New(l)
	if old.HostID == New(l).HostID {
		t.Error("two new installations have the same host id")
	}
	old.HostID = ""
	if err := old.Save(l); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(l); err != nil || c.HostID != l.ID() {
		t.Errorf("host id %q, %v; want %q", c.HostID, err, l.ID())
	}
}

func TestEtcdIsOnePortAfterTheLink(t *testing.T) {
	for addr, want := range map[string]string{"10.0.2.1:8430": "10.0.2.1:8431", "[fd00::1]:8430": "[fd00::1]:8431"} {
		if got := (Config{LinkAddr: addr}).PeerAddr(); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}
