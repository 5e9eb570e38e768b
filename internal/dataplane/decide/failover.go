package decide

import (
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// takeoverPatience is how long the writer of a new term may take while a reader
// could take over in its place.
const takeoverPatience = 10 * time.Second

// idlePatience is how long an heir may take to begin with what it was chosen for.
const idlePatience = 4 * time.Second

// mutePatience is how long a writer leads before the silence of its log counts: its
// copies elsewhere may have been repaired just now, and get its WAL from then on.
const mutePatience = 2 * time.Second

// movePatience is how long a writer's host may be lost before the writer, when
// there is no reader to take over, is built again on another one.
const movePatience = 5 * time.Second

// Waits says whether a decision depends on how much time has passed.
func Waits(w World) bool {
	st := w.Cluster.Status
	if w.Cluster.Spec.Stopped != nil && st.Status == aurora.ClusterStatusStopped {
		return false
	}
	if slices.ContainsFunc(w.Instances, func(in aurora.DBInstance) bool { return unstartable(&in) }) {
		return true
	}
	return st.Handover != nil || st.Writer != "" && !w.writerRuns() || len(w.Lost) > 0 || len(w.Unheard) > 0
}

// failOver gives the cluster a writer again when the present one has ended, does
// not prove that it works, or does not get up: the best reader that serves, or
// else, or where that is clearly sooner, the same instance in a new term.
func (d *decision) failOver() {
	w, st := d.writer(), d.Cluster.Status
	if w == nil && st.FailedOver != "" {
		d.do(SetFailedOver{}) // there is nobody left to fail over to
	}
	if w == nil || w.Status.Task.Role != aurora.RoleWriter {
		return
	}
	cutOff := d.cutOff(w)
	if d.writerRuns() && w.Server.Suspect == "" && !cutOff {
		if st.FailedOver != "" {
			d.completeFailover(w)
		}
		if st.Hurried {
			d.do(SetHurried{false})
		}
		return
	}
	heirs, away := d.heirs(w), d.away(w)
	if cutOff {
		heirs = slices.DeleteFunc(heirs, func(in *aurora.DBInstance) bool { return in.Status.Host == w.Status.Host })
	}
	ended := w.Server.EndedTerm >= st.Term
	suspect := w.Server.Suspect != "" && w.Server.Term == st.Term
	restarting := w.Server.Restarting && !unstartable(w)
	stopping := restarting && w.Server.Term == st.Term // its node says when it has stopped
	late := d.now.Sub(st.TermSince) >= patience(w, heirs) && len(heirs) > 0 && !d.writerRuns() && !stopping
	idle := d.idle(w, heirs) && !stopping
	if !ended && !suspect && !late && !idle && !away && !cutOff || !st.Initialized && !ended {
		return
	}
	if away && len(heirs) == 0 && !d.canMove(w) {
		return // its host may come back, and has the newest data
	}
	if len(heirs) == 0 && d.hopeless(w) {
		if w.Status.Recovering {
			d.do(SetRecovery{w.ResourceID, false, w.Status.Recovery}) // in vain
		}
		return
	}
	inPlace := len(heirs) == 0 || restarting || d.restartsSooner(w, heirs)
	if st.FailedOver == "" && st.Initialized && !(restarting && awaitsRestart(w)) {
		d.do(SetFailedOver{w.ResourceID})
		if !inPlace {
			d.do(Announce{aurora.FailoverStarted(&d.Cluster, heirs[0].Spec.Identifier, sameZone(w, heirs[0]))})
		} else {
			d.do(Announce{aurora.InstanceShutdown(w)})
		}
	}
	if inPlace {
		d.restart(w)
		return
	}
	if idle && !st.Hurried {
		d.do(SetHurried{true})
	}
	d.promote(heirs[0], 0)
}

// awaitsRestart says whether a server is restarted for what a user wants of it,
// rather than because a user wanted to see it crash.
func awaitsRestart(in *aurora.DBInstance) bool {
	return in.Generation != in.Server.ObservedGeneration || in.Spec.RestartGeneration != in.Server.RestartGeneration
}

func (d *decision) completeFailover(w *aurora.DBInstance) {
	from := d.instance(d.Cluster.Status.FailedOver)
	d.do(SetFailedOver{})
	switch {
	case from == nil || from.ResourceID != w.ResourceID:
		d.do(Announce{aurora.FailoverCompleted(&d.Cluster, w.Spec.Identifier)})
	default:
		d.do(Announce{aurora.InstanceRestarted(w)})
	}
}

// promote makes a reader the writer of the next term, on a timeline of its own.
func (d *decision) promote(heir *aurora.DBInstance, reach uint64) {
	term, timeline := d.nextTerm(), d.Cluster.Status.Timeline+1
	d.do(SetTimeline{timeline})
	d.do(SetWriter{heir.ResourceID, term, d.now})
	d.do(SetTask{heir.ResourceID, aurora.Task{
		Role: aurora.RoleWriter, Term: term, Timeline: timeline, ReachLSN: reach, Generation: heir.Status.Task.Generation}})
}

// restart makes the writer the writer of the next term too. One that lost its
// data gets the base copy and the log's WAL, where the base copy is.
func (d *decision) restart(w *aurora.DBInstance) {
	task := w.Status.Task
	task.Role, task.Term = aurora.RoleWriter, d.nextTerm()
	lost := w.Server.Lost && !(unstartable(w) && !d.canRebuild(w)) || d.away(w)
	if base := d.Cluster.Volume.Base; lost && d.Cluster.Status.Initialized && base.Zone != "" {
		if unstartable(w) {
			d.do(SetRecovery{w.ResourceID, true, d.now})
			d.do(Announce{aurora.RecoveryStarted(w)})
		}
		task.Build, task.Adopt = aurora.BuildLog, aurora.RetainedData{}
		task.Timeline = d.Cluster.Status.Timeline + 1
		d.do(SetTimeline{task.Timeline})
		if w.Status.AvailabilityZone != base.Zone || w.Status.Host != base.Host {
			d.do(Place{w.ResourceID, base.Zone, base.Host})
		}
	}
	d.do(SetWriter{w.ResourceID, task.Term, d.now})
	d.do(SetTask{w.ResourceID, task})
}

// cutOff says whether the writer's log has no quorum while another host's would.
func (d *decision) cutOff(w *aurora.DBInstance) bool {
	st := d.Cluster.Status
	if w.Server.Term != st.Term || !w.Server.Stalled && !d.mute(w) {
		return false
	}
	reachable := 0
	for _, host := range st.LogHosts {
		if _, lost := d.Lost[host]; !lost && host != w.Status.Host {
			reachable++
		}
	}
	return reachable > len(st.LogHosts)/2 && slices.ContainsFunc(d.heirs(w), func(in *aurora.DBInstance) bool {
		return in.Status.Host != w.Status.Host
	})
}

// mute says whether so many copies elsewhere hear nothing from the writer that it
// cannot have a quorum. It may be unable to say so itself.
func (d *decision) mute(w *aurora.DBInstance) bool {
	st := d.Cluster.Status
	heard := 0
	for _, host := range st.LogHosts {
		if host == w.Status.Host || !slices.Contains(d.Unheard, host) {
			heard++
		}
	}
	return len(st.LogHosts) > 0 && heard <= len(st.LogHosts)/2 && d.now.Sub(st.TermSince) >= mutePatience
}

// canMove says whether a writer whose host is lost can be built again where the
// base copy is, and has been waited for.
func (d *decision) canMove(w *aurora.DBInstance) bool {
	since, lost := d.Lost[w.Status.Host]
	_, baseLost := d.Lost[d.Cluster.Volume.Base.Host]
	return lost && !baseLost && d.Cluster.Volume.Base.Zone != "" && d.now.Sub(since) >= movePatience
}

// nextTerm is higher than any that was heard of, also when the state store has
// forgotten some and only the log remembers.
func (d *decision) nextTerm() int64 {
	term := d.Cluster.Status.Term
	for i := range d.Instances {
		term = max(term, d.Instances[i].Server.EndedTerm, d.Instances[i].Server.Term)
	}
	return term + 1
}

// layOutLog chooses where the log's copies are, as evenly as there are zones, and
// hosts in them that are there: a log is made only where all its copies are.
func (d *decision) layOutLog() {
	zones := d.zones()
	if len(d.Cluster.Status.LogZones) > 0 || len(zones) == 0 {
		return
	}
	n := d.Cluster.Spec.LogCopies
	if n == 0 {
		n = defaultLogCopies
	}
	places := SetLogPlaces{Zones: make([]string, n), Hosts: make([]string, n)}
	turn := map[string]int{}
	for i := range n {
		zone := zones[i*min(n, len(zones))/n]
		hosts := d.hostsOf(zone)
		places.Zones[i], places.Hosts[i] = zone, hosts[turn[zone]%len(hosts)]
		turn[zone]++
	}
	d.do(places)
}

// hostsOf are those that stand for a zone and are there.
func (d *decision) hostsOf(zone string) []string {
	var hosts []string
	for _, s := range d.present() {
		if s.zone == zone {
			hosts = append(hosts, s.host)
		}
	}
	return hosts
}

const defaultLogCopies = 6

// zones are those of the cluster's region that a host which is there stands for,
// in order.
func (d *decision) zones() []string {
	var zones []string
	for _, s := range d.present() {
		if !slices.Contains(zones, s.zone) {
			zones = append(zones, s.zone)
		}
	}
	slices.Sort(zones)
	return zones
}

func sameZone(a, b *aurora.DBInstance) bool {
	return a.Status.AvailabilityZone == b.Status.AvailabilityZone
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
