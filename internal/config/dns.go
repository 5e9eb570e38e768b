package config

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"
)

// DNSDomain is the domain whose names the installation serves, or empty.
func (c Config) DNSDomain() string {
	if c.DNSSuffix == "" {
		return ""
	}
	return "rds." + c.DNSSuffix
}

var domain = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

func (c Config) checkDNS() error {
	if c.DNSSuffix == "" {
		return nil
	}
	if !domain.MatchString(c.DNSSuffix) || len(c.DNSSuffix) > 100 {
		return fmt.Errorf("DNS suffix %q: want a domain in lower case, as db.example.com", c.DNSSuffix)
	}
	if _, _, err := net.SplitHostPort(c.DNSAddr); err != nil {
		return fmt.Errorf("DNS address %q: want host:port: %w", c.DNSAddr, err)
	}
	return nil
}

// Resolve returns the address of a host. Names of the installation's own are asked
// for where they are served: nobody else may know them. Others are returned as they
// are.
func (c Config) Resolve(ctx context.Context, host string) (string, error) {
	if c.DNSSuffix == "" || !strings.HasSuffix(host, "."+c.DNSDomain()) {
		return host, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, c.DNSAddr)
	}}
	addrs, err := resolver.LookupHost(ctx, host+".")
	if err != nil {
		return "", fmt.Errorf("ask the installation's DNS server at %s: %w", c.DNSAddr, err)
	}
	return addrs[0], nil
}
