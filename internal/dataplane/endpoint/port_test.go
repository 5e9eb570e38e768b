package endpoint

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

func TestDefaultPortMovesAwayFromOneThatIsHeldAndSaysSo(t *testing.T) {
	network := netip.MustParsePrefix("127.113.7.0/24")
	before, _ := FreeDefaultPort(network)
	if before == 0 {
		t.Fatal("no port is free")
	}
	l, err := net.Listen("tcp", net.JoinHostPort(lastAddr(network).String(), strconv.Itoa(before)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	after, reason := FreeDefaultPort(network)
	if after <= before || !strings.Contains(reason, "is not free") {
		t.Errorf("port %d, then %d (%s)", before, after, reason)
	}
}

func TestProbedAddressIsAtTheEndOfTheNetwork(t *testing.T) {
	for network, want := range map[string]string{"127.42.8.0/22": "127.42.11.254", "127.42.1.7/32": "127.42.1.7"} {
		if got := lastAddr(netip.MustParsePrefix(network)); got.String() != want {
			t.Errorf("%s: %s, want %s", network, got, want)
		}
	}
}
