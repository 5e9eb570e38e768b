package endpoint

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/daybreakdb/daybreak/internal/dataplane/dns"
)

const (
	// nameTTL is how long a name may be remembered; Aurora's.
	nameTTL = 5 * time.Second
	// dnsRetry is the pause between tries to listen.
	dnsRetry = 2 * time.Second
)

// directory is what the names of this host's endpoints lead to. An endpoint's
// address stays the same whatever its servers do, so a name is as good after a
// failover as before.
type directory struct {
	records atomic.Pointer[map[string]dns.Record]
}

func (d *directory) update(p Plan) {
	records := map[string]dns.Record{}
	for _, e := range p.Endpoints {
		addr, err := netip.ParseAddrPort(e.Addresses[0])
		if e.DNSName != "" && err == nil {
			records[e.DNSName] = dns.Record{Addrs: []netip.Addr{addr.Addr()}, TTL: nameTTL}
		}
	}
	d.records.Store(&records)
}

func (d *directory) lookup(name string) (dns.Record, bool) {
	records := d.records.Load()
	if records == nil {
		return dns.Record{}, false
	}
	record, ok := (*records)[name]
	return record, ok
}

// serveNames answers for the names until ctx ends. Endpoints are served without them
// too, so an address that is in use is tried again.
func (d *directory) serveNames(ctx context.Context, c Config) {
	server := dns.Server{Domain: "rds." + c.Names.Suffix, Lookup: d.lookup, Logger: c.Logger}
	for ctx.Err() == nil {
		if err := server.Serve(ctx, c.DNSAddr); err != nil {
			c.Logger.Error("names are not served, will try on", "error", err)
		}
		pause(ctx, dnsRetry)
	}
}
