package sns

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// destinations says where messages may go. Whoever may subscribe can make this
// host send requests, so they go to public addresses only, and to those that the
// operator adds.
type destinations []netip.Prefix

// notPublic are the ranges of global unicast that are not public: those of
// carriers, documentation, benchmarks and translation.
func notPublic() []netip.Prefix {
	var ranges []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
	} {
		ranges = append(ranges, netip.MustParsePrefix(text))
	}
	return ranges
}

func (d destinations) allow(a netip.Addr) bool {
	a = a.Unmap()
	contains := func(p netip.Prefix) bool { return p.Contains(a) }
	if slices.ContainsFunc(d, contains) {
		return true
	}
	return a.IsGlobalUnicast() && !a.IsPrivate() && !slices.ContainsFunc(notPublic(), contains)
}

// control refuses connections to other addresses. It sees the address that a
// name led to, so that no name can lead elsewhere.
func (d destinations) control(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return err
	}
	if !d.allow(a.WithZone("")) {
		return fmt.Errorf("messages may not be sent to %s: it is not public; the operator can allow it with DAYBREAK_SNS_ALLOW", a)
	}
	return nil
}

// checkEndpoint refuses what is no URL of the protocol, or names an address that
// messages may not go to.
func (d destinations) checkEndpoint(protocol, endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != protocol || u.Hostname() == "" || u.User != nil || u.Fragment != "" || len(endpoint) > 2048 {
		return invalid("Invalid parameter: Endpoint must match the specified protocol: a URL that begins with %s://, without a user", protocol)
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && !d.allow(a.WithZone("")) || strings.EqualFold(u.Hostname(), "localhost") && !d.allow(netip.MustParseAddr("127.0.0.1")) {
		return invalid("Invalid parameter: Unreachable Endpoint: messages go to public addresses, and to those that the operator of this region allows")
	}
	return nil
}

func invalid(format string, args ...any) error {
	return awswire.BadRequestf("InvalidParameter", format, args...)
}
