package decide

import (
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// takeoverPatience is how long the writer of a new term may take while a reader
// could take over in its place.
const takeoverPatience = 10 * time.Second

// Waits says whether a decision depends on how much time has passed.
func Waits(w World) bool {
	st := w.Cluster.Status
	return st.Handover != nil || st.Writer != "" && !w.writerRuns()
}

// failOver gives the cluster a writer again when the present one has ended, does
// not prove that it works, or does not get up: the best reader that serves, or
// else the same instance in a new term.
func (d *decision) failOver() {
	w, st := d.writer(), d.Cluster.Status
	if w == nil && st.FailedOver != "" {
		d.do(SetFailedOver{}) // there is nobody left to fail over to
	}
	if w == nil || w.Status.Task.Role != aurora.RoleWriter {
		return
	}
	if d.writerRuns() && w.Server.Suspect == "" {
		if st.FailedOver != "" {
			d.completeFailover(w)
		}
		return
	}
	heirs := d.heirs(w)
	ended := w.Server.EndedTerm >= st.Term
	suspect := w.Server.Suspect != "" && w.Server.Term == st.Term
	late := d.now.Sub(st.TermSince) >= takeoverPatience && len(heirs) > 0 && !d.writerRuns()
	if !ended && !suspect && !late || !st.Initialized && !ended {
		return
	}
	if st.FailedOver == "" && st.Initialized && !(w.Server.Restarting && awaitsRestart(w)) {
		d.do(SetFailedOver{w.ResourceID})
		if len(heirs) > 0 && !w.Server.Restarting {
			d.do(Announce{aurora.FailoverStarted(&d.Cluster, heirs[0].Spec.Identifier, sameZone(w, heirs[0]))})
		} else {
			d.do(Announce{aurora.InstanceShutdown(w)})
		}
	}
	if len(heirs) > 0 && !w.Server.Restarting {
		d.promote(heirs[0], 0)
		return
	}
	d.restart(w)
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
	if base := d.Cluster.Volume.Base; w.Server.Lost && d.Cluster.Status.Initialized && base.Zone != "" {
		task.Build, task.Adopt = aurora.BuildLog, aurora.RetainedData{}
		task.Timeline = d.Cluster.Status.Timeline + 1
		d.do(SetTimeline{task.Timeline})
		if w.Status.AvailabilityZone != base.Zone {
			d.do(Place{w.ResourceID, base.Zone, base.Host})
		}
	}
	d.do(SetWriter{w.ResourceID, task.Term, d.now})
	d.do(SetTask{w.ResourceID, task})
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

// layOutLog chooses the zones of the log's copies, as evenly as there are zones.
func (d *decision) layOutLog() {
	zones := d.zones()
	if len(d.Cluster.Status.LogZones) > 0 || len(zones) == 0 {
		return
	}
	n := d.Cluster.Spec.LogCopies
	if n == 0 {
		n = defaultLogCopies
	}
	copies := make([]string, n)
	for i := range copies {
		copies[i] = zones[i*min(n, len(zones))/n]
	}
	d.do(SetLogZones{copies})
}

const defaultLogCopies = 6

// zones are those of the cluster's region that a host stands for, in order.
func (d *decision) zones() []string {
	var zones []string
	for _, s := range d.sites() {
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
