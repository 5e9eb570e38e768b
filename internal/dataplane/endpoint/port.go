package endpoint

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

const (
	firstPort = 5432
	lastPort  = 5532
)

// FreeDefaultPort returns the first port from 5432 on that can be listened on in
// the network of the endpoint addresses, and why it is not 5432. Port 0: none is
// free. It looks at the end of the network, where no endpoint is yet.
func FreeDefaultPort(network netip.Prefix) (port int, reason string) {
	at := lastAddr(network)
	for port = firstPort; port <= lastPort; port++ {
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", netip.AddrPortFrom(at, uint16(port)).String())
		if err == nil {
			_ = l.Close()
			return port, reason
		}
		if reason == "" {
			reason = fmt.Sprintf("port %d is not free for endpoints, most likely because another server listens on all addresses (%v)", port, err)
		}
	}
	return 0, reason
}

// lastAddr is the last address of a network that is not the broadcast address.
func lastAddr(network netip.Prefix) netip.Addr {
	raw := network.Masked().Addr().AsSlice()
	for bit := network.Bits(); bit < len(raw)*8; bit++ {
		raw[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ := netip.AddrFromSlice(raw)
	if prev := last.Prev(); network.Contains(prev) {
		return prev
	}
	return last
}
