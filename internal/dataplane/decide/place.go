package decide

import (
	"cmp"
	"slices"
	"strings"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// site is a zone on a host.
type site struct{ zone, host string }

// place gives every new instance a zone and a host: where the user asked, or
// where the cluster has fewest instances.
func (d *decision) place() {
	for i := range d.Instances {
		in := &d.Instances[i]
		if in.Status.Host != "" || in.DeleteRequested {
			continue
		}
		if at, ok := d.siteFor(in); ok {
			d.do(Place{in.ResourceID, at.zone, at.host})
		}
	}
}

func (d *decision) siteFor(in *aurora.DBInstance) (site, bool) {
	sites := d.present()
	if zone := in.Spec.AvailabilityZone; zone != "" {
		sites = slices.DeleteFunc(sites, func(s site) bool { return s.zone != zone })
	} else if own := slices.DeleteFunc(slices.Clone(sites), func(s site) bool {
		return !slices.Contains(d.Cluster.Spec.AvailabilityZones, s.zone)
	}); len(own) > 0 {
		sites = own
	}
	if kept := d.Cluster.Status.Retained; kept != nil {
		sites = slices.DeleteFunc(sites, func(s site) bool { return s.host != kept.Host })
	}
	if len(sites) == 0 {
		return site{}, false
	}
	return slices.MinFunc(sites, d.compareSites), true
}

// compareSites prefers the zone of retained data, then the emptier zone, then
// the emptier host; names break ties.
func (d *decision) compareSites(a, b site) int {
	if kept := d.Cluster.Status.Retained; kept != nil && d.writer() == nil && a.zone != b.zone {
		if a.zone == kept.Zone {
			return -1
		}
		if b.zone == kept.Zone {
			return 1
		}
	}
	return cmp.Or(
		d.count(func(in *aurora.DBInstance) bool { return in.Status.AvailabilityZone == a.zone })-
			d.count(func(in *aurora.DBInstance) bool { return in.Status.AvailabilityZone == b.zone }),
		d.count(func(in *aurora.DBInstance) bool { return in.Status.Host == a.host })-
			d.count(func(in *aurora.DBInstance) bool { return in.Status.Host == b.host }),
		strings.Compare(a.zone, b.zone), strings.Compare(a.host, b.host))
}

// sites returns every zone of the cluster's region on every host.
func (d *decision) sites() []site {
	var all []site
	for _, h := range d.Hosts {
		for _, z := range h.Zones {
			all = append(all, site{d.Cluster.Region + z.Suffix, h.ID})
		}
	}
	return all
}

// present are the sites of hosts that are there, and stay.
func (d *decision) present() []site {
	return slices.DeleteFunc(d.sites(), func(s site) bool { _, lost := d.Lost[s.host]; return lost || d.leaving(s.host) })
}

// count counts instances that stay.
func (d *decision) count(match func(*aurora.DBInstance) bool) int {
	n := 0
	for i := range d.Instances {
		if in := &d.Instances[i]; !d.deleting(in) && match(in) {
			n++
		}
	}
	return n
}
