// Package config holds the settings of an installation: made by its first
// start, kept in its data directory, read by each of its processes.
package config

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/daybreakdb/daybreak/internal/layout"
)

// Config is stored as JSON in <data dir>/config.json.
type Config struct {
	HostID       string   `json:"hostId,omitempty"`       // of this host among those of the installation, 8 hexadecimal digits
	Zones        []string `json:"zones,omitempty"`        // suffixes of the region's zones that this host stands for; none: a, b and c
	LinkAddr     string   `json:"linkAddr,omitempty"`     // host:port at which other hosts reach this one; empty: it is the only one
	FirstHost    string   `json:"firstHost,omitempty"`    // LinkAddr of the host that has the APIs; empty: this one
	Account      string   `json:"account"`                // AWS account id of the embedded region, 12 digits
	Region       string   `json:"region"`                 // the default region's name
	RegionAddr   string   `json:"regionAddr"`             // host:port of the AWS API
	PlatformAddr string   `json:"platformAddr"`           // host:port of the platform's API
	DNSSuffix    string   `json:"dnsSuffix,omitempty"`    // what follows "rds." in the names of endpoints, or empty: they have addresses only
	DNSAddr      string   `json:"dnsAddr,omitempty"`      // host:port at which names are served, by UDP and TCP
	EndpointBind string   `json:"endpointBind"`           // IP address that endpoints are also published at, or empty
	EndpointNet  string   `json:"endpointNet"`            // prefix that endpoint addresses are taken from
	DefaultPort  int      `json:"defaultPort"`            // port of clusters that ask for none
	PortReason   string   `json:"portReason"`             // why DefaultPort is not 5432, for people
	LoopbackAs   string   `json:"loopbackAs"`             // address inside the default VPC that a loopback client counts as
	HostPatience int      `json:"hostPatience,omitempty"` // seconds that a host may be lost before copies of logs are made elsewhere; 0: 300
	MinFreeBytes int64    `json:"minFreeBytes"`           // below this much free disk nothing new is created
}

// Credentials are the installation's own AWS test keys and platform token. They
// open this installation and nothing else.
type Credentials struct {
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
	PlatformToken   string `json:"platformToken"`
}

// Defaults of a new installation.
const (
	DefaultAccount      = "111122223333"
	DefaultRegion       = "us-west-2"
	DefaultRegionAddr   = "127.0.0.1:4566"
	DefaultPlatformAddr = "127.0.0.1:8420"
	DefaultDNSAddr      = "127.0.0.1:4553"
	DefaultLoopbackAs   = "172.31.255.254"
	// MinFreeBytes of disk are needed to start.
	MinFreeBytes = 256 << 20
)

// ErrNone says that the data directory holds no installation yet.
var ErrNone = errors.New("no Daybreak installation here yet: start one with 'daybreak server start'")

// Load reads the settings of the installation at l, or returns ErrNone.
func Load(l layout.Layout) (Config, error) {
	var c Config
	data, err := os.ReadFile(l.Config())
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("%s: %w", l.Root, ErrNone)
	}
	if err != nil {
		return c, fmt.Errorf("settings: %w", err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("settings in %s: %w", l.Config(), err)
	}
	if c.HostID == "" { // of before there could be several hosts
		c.HostID = l.ID()
	}
	return c, c.Check()
}

// Save stores the settings.
func (c Config) Save(l layout.Layout) error {
	if err := c.Check(); err != nil {
		return err
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return layout.WriteFile(l.Config(), append(data, '\n'), 0o600)
}

// New returns the settings of a new installation: the defaults, the
// environment over them (DAYBREAK_REGION_ADDR, DAYBREAK_PLATFORM_ADDR,
// DAYBREAK_REGION), and endpoint addresses that follow from the data directory,
// so that installations side by side keep apart.
func New(l layout.Layout) Config {
	return Config{
		HostID:       newHostID(),
		Account:      DefaultAccount,
		Region:       fromEnv("DAYBREAK_REGION", DefaultRegion),
		RegionAddr:   fromEnv("DAYBREAK_REGION_ADDR", DefaultRegionAddr),
		PlatformAddr: fromEnv("DAYBREAK_PLATFORM_ADDR", DefaultPlatformAddr),
		EndpointNet:  endpointNet(l),
		LoopbackAs:   DefaultLoopbackAs,
	}
}

// newHostID is one that no other host has.
func newHostID() string {
	id := make([]byte, 4)
	_, _ = rand.Read(id) // never fails, see crypto/rand
	return hex.EncodeToString(id)
}

// Joined says that this host has joined an installation: the APIs are elsewhere.
func (c Config) Joined() bool { return c.FirstHost != "" }

// Linked says that there can be other hosts.
func (c Config) Linked() bool { return c.LinkAddr != "" }

// PeerAddr is where the etcd of this host is reached by those of others: one port
// after the link.
func (c Config) PeerAddr() string {
	host, port, _ := net.SplitHostPort(c.LinkAddr)
	n, _ := strconv.Atoi(port)
	return net.JoinHostPort(host, strconv.Itoa(n+1))
}

// LinkHost is the name or IP address that other hosts reach this one by.
func (c Config) LinkHost() string {
	host, _, _ := net.SplitHostPort(c.LinkAddr)
	return host
}

func fromEnv(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// endpointNet is 127.42.x.0/22 with x from the data directory's id.
func endpointNet(l layout.Layout) string {
	var first byte
	_, _ = fmt.Sscanf(l.ID()[:2], "%02x", &first)
	return fmt.Sprintf("127.42.%d.0/22", first&^3)
}

// Check says what is wrong with the settings.
func (c Config) Check() error {
	for name, addr := range map[string]string{"region address": c.RegionAddr, "platform address": c.PlatformAddr} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return fmt.Errorf("%s %q: want host:port: %w", name, addr, err)
		}
	}
	if err := c.checkDNS(); err != nil {
		return err
	}
	if c.EndpointBind != "" {
		if _, err := netip.ParseAddr(c.EndpointBind); err != nil {
			return fmt.Errorf("endpoint bind address %q: want an IP address: %w", c.EndpointBind, err)
		}
	}
	if _, err := netip.ParsePrefix(c.EndpointNet); err != nil {
		return fmt.Errorf("endpoint network: %w", err)
	}
	if c.HostPatience < 0 {
		return fmt.Errorf("host patience %d: want seconds, or 0 for the default", c.HostPatience)
	}
	if err := checkZones(c.Zones); err != nil {
		return err
	}
	return checkLinkAddr(c.LinkAddr)
}

func checkZones(zones []string) error {
	seen := map[string]bool{}
	for _, zone := range zones {
		if zone != "a" && zone != "b" && zone != "c" {
			return fmt.Errorf("zone %q: a host stands for a, b or c, or several of them", zone)
		}
		if seen[zone] {
			return fmt.Errorf("zone %q: named twice", zone)
		}
		seen[zone] = true
	}
	return nil
}

// checkLinkAddr refuses what other hosts cannot reach, and the last port: etcd
// takes the one after the link's.
func checkLinkAddr(addr string) error {
	if addr == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("link address %q: want host:port: %w", addr, err)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65534 {
		return fmt.Errorf("link address %q: want a port from 1 to 65534", addr)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		return fmt.Errorf("link address %q: want the address at which other hosts reach this one", addr)
	}
	return nil
}

// LoadCredentials reads the installation's keys, and makes them at the first use.
func LoadCredentials(l layout.Layout) (Credentials, error) {
	var c Credentials
	path := credentialsFile(l)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		// AKIA…-shaped, so that tools that check the shape take it.
		c = Credentials{
			AccessKeyID:     "AKIADAYBREAK" + rand.Text()[:8],
			SecretAccessKey: strings.ToLower(rand.Text()) + rand.Text()[:14],
			PlatformToken:   rand.Text(),
		}
		return c, c.Save(l)
	}
	if err != nil {
		return c, fmt.Errorf("credentials: %w", err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("credentials in %s: %w", path, err)
	}
	return c, nil
}

// Save stores the keys.
func (c Credentials) Save(l layout.Layout) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return layout.WriteFile(credentialsFile(l), append(data, '\n'), 0o600)
}

func credentialsFile(l layout.Layout) string { return filepath.Join(l.Keys(), "credentials.json") }
