package decide

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// defaultPatience is how long a host may be lost before copies of logs that it has
// are made elsewhere. A host that begins again, or whose cable is plugged in again,
// brings its copies back with a few bytes; making them anew reads the whole log. And
// while one host is lost, the others have every commit.
const defaultPatience = 5 * time.Minute

// SetLogMove orders that copies of the log be elsewhere; nil ends that.
type SetLogMove struct{ Move *aurora.LogMove }

func (a SetLogMove) String() string {
	if a.Move == nil {
		return "the copies of the log are where they were to be moved"
	}
	return fmt.Sprintf("move the copies of the log to %v, on hosts %v", a.Move.Zones, a.Move.Hosts)
}
func (a SetLogMove) apply(w *World) { w.Cluster.Status.LogMove = a.Move }

// moveLog has copies of the log that are on hosts which are gone be made on others,
// and spreads them again when hosts are back.
// The writer's log does it, with a quorum of the copies before and of those after, so
// there must be a writer, and enough copies. What it was ordered once goes on, also
// if the host comes back; only when a host that was to get copies is gone too, another
// one is to get them.
func (d *decision) moveLog() {
	st, done := d.Cluster.Status, d.Cluster.Volume.LogMove.Done
	if m := st.LogMove; m != nil && m.Generation == done {
		d.do(SetLogPlaces{m.Zones, m.Hosts})
		d.do(SetLogMove{})
	}
	st = d.Cluster.Status
	next := aurora.LogMove{Generation: done + 1, Zones: st.LogZones, Hosts: st.LogHosts}
	if m := st.LogMove; m != nil {
		next = aurora.LogMove{Generation: m.Generation + 1, Zones: m.Zones, Hosts: m.Hosts, Again: true}
	}
	if !d.replaceGone(&next) && (st.LogMove != nil || !d.spread(&next)) {
		return
	}
	if st.Term == 0 { // nobody has made the log yet
		d.do(SetLogPlaces{next.Zones, next.Hosts})
		return
	}
	if d.canMoveLog() {
		d.do(SetLogMove{&next})
	}
}

// canMoveLog says whether the writer's log has what it needs to move copies.
func (d *decision) canMoveLog() bool {
	w, st := d.writer(), d.Cluster.Status
	if !d.writerRuns() || st.Handover != nil || st.FailedOver != "" {
		return false
	}
	if _, lost := d.Lost[w.Status.Host]; lost {
		return false // its node cannot be told
	}
	there := 0
	for _, host := range st.LogHosts {
		if _, lost := d.Lost[host]; !lost && d.known(host) {
			there++
		}
	}
	return there > len(st.LogHosts)/2
}

// replaceGone puts other hosts in the place of those that are gone, and says whether
// it could. Copies on the others stay where they are.
func (d *decision) replaceGone(m *aurora.LogMove) bool {
	m.Zones, m.Hosts = slices.Clone(m.Zones), slices.Clone(m.Hosts)
	changed := false
	for n, host := range m.Hosts {
		if !d.gone(host) {
			continue
		}
		sites := d.present()
		if len(sites) == 0 {
			return false
		}
		to := slices.MinFunc(sites, func(a, b site) int { return d.compareForCopy(m, n, a, b) })
		m.Zones[n], m.Hosts[n], changed = to.zone, to.host, true
	}
	return changed
}

// spread has hosts take copies off one whose loss would stop commits, if then the
// loss of none would, and says whether that can be done. With a host lost it is not
// known yet what there will be.
func (d *decision) spread(m *aurora.LogMove) bool {
	if len(d.Lost) > 0 {
		return false
	}
	hosts := slices.Clone(m.Hosts)
	most := len(hosts) - (len(hosts)/2 + 1) // copies without which commits go on
	for n := len(hosts) - 1; n >= 0; n-- {
		if count(m.Hosts, m.Hosts[n]) <= most {
			continue
		}
		sites := slices.DeleteFunc(d.present(), func(s site) bool { return count(m.Hosts, s.host) >= most })
		if len(sites) == 0 {
			return false
		}
		to := slices.MinFunc(sites, func(a, b site) int { return d.compareForCopy(m, n, a, b) })
		m.Zones[n], m.Hosts[n] = to.zone, to.host
	}
	return !slices.Equal(hosts, m.Hosts)
}

func count(list []string, value string) int {
	n := 0
	for _, v := range list {
		if v == value {
			n++
		}
	}
	return n
}

// compareForCopy prefers the zone with fewer of the other copies, then the host with
// fewer, then the zone that the copy was in; names break ties. Copies on hosts that
// are gone are not counted: they are to go too.
func (d *decision) compareForCopy(m *aurora.LogMove, n int, a, b site) int {
	others := func(match func(i int) bool) int {
		c := 0
		for i, host := range m.Hosts {
			if i != n && !d.gone(host) && match(i) {
				c++
			}
		}
		return c
	}
	inZone := func(s site) int { return others(func(i int) bool { return m.Zones[i] == s.zone }) }
	onHost := func(s site) int { return others(func(i int) bool { return m.Hosts[i] == s.host }) }
	return cmp.Or(inZone(a)-inZone(b), onHost(a)-onHost(b),
		boolInt(b.zone == m.Zones[n])-boolInt(a.zone == m.Zones[n]),
		strings.Compare(a.zone, b.zone), strings.Compare(a.host, b.host))
}

// gone says whether a host is not expected to come back with what it has.
func (d *decision) gone(host string) bool {
	since, lost := d.Lost[host]
	patience := d.Patience
	if patience == 0 {
		patience = defaultPatience
	}
	return !d.known(host) || d.leaving(host) || lost && d.now.Sub(since) >= patience
}

// leaving says whether a host is being removed.
func (d *decision) leaving(host string) bool {
	return slices.ContainsFunc(d.Hosts, func(h aurora.Host) bool { return h.ID == host && h.Leaving })
}

// logHosts are all that have copies of the log, or have begun to get some.
func (d *decision) logHosts() []string {
	hosts := d.Cluster.Status.LogHosts
	if m := d.Cluster.Status.LogMove; m != nil {
		hosts = slices.Concat(hosts, m.Hosts)
	}
	return hosts
}
