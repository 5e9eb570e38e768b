package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/layout"
)

// serverSettings are the flags that a start may change settings with.
type serverSettings struct {
	regionAddr, platformAddr, region, endpointBind, linkAddr string
	dnsSuffix, dnsAddr                                       string
	zones                                                    []string
}

func (s *serverSettings) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.regionAddr, "region-addr", "", "address of the AWS API (default $DAYBREAK_REGION_ADDR or "+config.DefaultRegionAddr+")")
	f.StringVar(&s.platformAddr, "platform-addr", "", "address of the platform's API (default $DAYBREAK_PLATFORM_ADDR or "+config.DefaultPlatformAddr+")")
	f.StringVar(&s.region, "region", "", "name of the embedded region (default "+config.DefaultRegion+")")
	f.StringVar(&s.endpointBind, "endpoint-bind", "", "IP address that endpoints are published at too, a port each, for other hosts and containers")
	f.StringVar(&s.dnsSuffix, "dns-suffix", "", "domain under which endpoints have names of Aurora's shape, <name>.cluster-….<region>.rds.<suffix>; \"none\": addresses only")
	f.StringVar(&s.dnsAddr, "dns-addr", "", "host:port at which these names are served (default "+config.DefaultDNSAddr+")")
	f.StringVar(&s.linkAddr, "link-addr", "", "host:port at which other hosts of the installation reach this one; etcd takes the port after it")
	f.StringSliceVar(&s.zones, "zones", nil, "zones of the region that this host stands for, as a or a,b; only at its first start (default a,b,c)")
}

// apply returns the settings to start with and whether they differ from those
// stored.
func (s *serverSettings) apply(l layout.Layout) (config.Config, bool, error) {
	c, err := config.Load(l)
	fresh := errors.Is(err, config.ErrNone)
	if fresh {
		c, err = config.New(l), nil
	}
	if err != nil {
		return c, false, err
	}
	changed := fresh
	set := func(field *string, flag, env string) {
		value := flag
		if value == "" && env != "" && !c.Joined() { // there the APIs are not ours
			value = os.Getenv(env)
		}
		if value != "" && value != *field {
			*field, changed = value, true
		}
	}
	set(&c.RegionAddr, s.regionAddr, "DAYBREAK_REGION_ADDR")
	set(&c.PlatformAddr, s.platformAddr, "DAYBREAK_PLATFORM_ADDR")
	if s.region != "" && c.Joined() {
		return c, false, errors.New("--region: a host that has joined is in the region of its installation")
	}
	set(&c.Region, s.region, "")
	set(&c.EndpointBind, s.endpointBind, "")
	set(&c.LinkAddr, s.linkAddr, "")
	set(&c.DNSSuffix, strings.ToLower(strings.Trim(s.dnsSuffix, ".")), "")
	set(&c.DNSAddr, s.dnsAddr, "")
	if c.DNSSuffix == "none" {
		c.DNSSuffix = ""
	}
	if c.DNSSuffix != "" && c.DNSAddr == "" {
		c.DNSAddr = config.DefaultDNSAddr
	}
	return c, changed, s.setZones(&c, fresh)
}

// setZones sets the zones that were asked for. They have data, so those of a host
// stay as they are.
func (s *serverSettings) setZones(c *config.Config, fresh bool) error {
	if len(s.zones) == 0 || slices.Equal(s.zones, zonesOf(*c)) && !fresh {
		return nil
	}
	if !fresh {
		return fmt.Errorf("--zones %s: this host stands for %s since its first start, and has their data", strings.Join(s.zones, ","), strings.Join(zonesOf(*c), ","))
	}
	c.Zones = s.zones
	return nil
}

// zonesOf are the zones that a host stands for.
func zonesOf(c config.Config) []string {
	if len(c.Zones) == 0 {
		return []string{"a", "b", "c"}
	}
	return c.Zones
}
