package decide

import (
	"cmp"
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

const (
	// preferredWait is how long a handover waits for the best reader once
	// another one could take over.
	preferredWait = 2 * time.Second
	// handoverTimeout ends a handover for which no reader got ready.
	handoverTimeout = 15 * time.Second
	// stuckPatience is how long it waits when every reader says that it replays
	// nothing, which is not said before two seconds of that.
	stuckPatience = time.Second
	// handoverPause is the time until the next attempt.
	handoverPause = 30 * time.Second
)

// observeWriter records that the database exists once the writer has it, and
// that retained data is in use again once a writer serves it.
func (d *decision) observeWriter() {
	w, st := d.writer(), d.Cluster.Status
	if w == nil {
		return
	}
	if !st.Initialized && w.Server.SystemIdentifier != "" {
		d.do(SetInitialized{w.Server.SystemIdentifier})
	}
	if st.Retained != nil && d.writerRuns() {
		d.do(SetRetained{nil})
	}
}

// chooseWriter makes the oldest instance the first writer: of a new database, or
// of the data that the last instance left.
func (d *decision) chooseWriter() {
	st := d.Cluster.Status
	if w := d.writer(); w != nil {
		if st.Initialized || !w.DeleteRequested {
			return
		}
		d.do(SetWriter{Term: st.Term}) // it goes before anything was stored in it
	}
	if !d.founded() || len(st.LogZones) == 0 || st.Initialized && st.Retained == nil {
		return
	}
	restore := d.Cluster.Spec.Restore
	if st.Timeline == 0 && restore == nil {
		d.do(SetTimeline{1}) // initdb's
	} else if st.Timeline == 0 {
		d.do(SetTimeline{restore.Timeline})
	}
	task := aurora.Task{Role: aurora.RoleWriter, Term: d.nextTerm(), Build: aurora.BuildInitdb}
	if restore != nil {
		task.Build = aurora.BuildRestore
	}
	if st.Initialized {
		task.Build, task.Adopt = aurora.BuildAdopt, *st.Retained
	}
	for i := range d.Instances {
		in := &d.Instances[i]
		if in.DeleteRequested || in.Status.Host == "" || st.Initialized && in.Status.Host != st.Retained.Host {
			continue
		}
		task.Generation = in.Generation
		d.do(SetWriter{in.ResourceID, task.Term, d.now})
		d.do(SetTask{in.ResourceID, task})
		return
	}
}

// handOver passes the role of a writer to a reader that a user asked for, or
// because the writer is being deleted.
func (d *decision) handOver() {
	w, h := d.writer(), d.Cluster.Status.Handover
	if w == nil || !d.Cluster.Status.Initialized {
		return
	}
	switch {
	case h != nil && !d.anyStays(w):
		d.do(SetHandover{nil}) // nobody left to hand over to
		if !w.DeleteRequested && w.Status.Task.Role == aurora.RoleStopped {
			d.restart(w)
		}
	case w.Status.Task.Role == aurora.RoleWriter:
		due := h == nil || !d.now.Before(h.Since)
		if w.DeleteRequested && due && slices.ContainsFunc(d.heirs(w), d.fit) {
			d.beginHandover(w, "")
		} else if h != nil && due {
			d.do(SetHandover{nil}) // the pause is over
		} else if d.Cluster.Spec.Failover.Generation != d.Cluster.Status.FailoverGeneration {
			d.answerFailover(w)
		} else if h == nil {
			d.evade(w)
		}
	case h != nil && h.StopLSN == 0 && d.away(w):
		d.handBack(w)
	case h == nil || h.StopLSN == 0 && !stopped(w):
	case h.StopLSN == 0 && w.Server.StopLSN == 0: // it crashed while it stopped
		d.handBack(w)
	case h.StopLSN == 0:
		d.do(SetHandover{&aurora.Handover{From: h.From, Target: h.Target, Since: d.now, StopLSN: w.Server.StopLSN}})
	default:
		d.finishHandover(w, h)
	}
}

func (d *decision) beginHandover(w *aurora.DBInstance, target string) {
	d.do(SetHandover{&aurora.Handover{From: w.ResourceID, Target: target, Since: d.now}})
	d.stop(w)
}

// fit says whether the writer may be stopped for a reader to take over: one that
// replays nothing, or too slowly, would keep the cluster without a writer.
func (d *decision) fit(in *aurora.DBInstance) bool {
	return d.fulfils(in) && !far(in) && !in.Server.Lagging
}

// answerFailover begins the handover that a user asked for, if it makes sense now.
func (d *decision) answerFailover(w *aurora.DBInstance) {
	request, heirs := d.Cluster.Spec.Failover, d.heirs(w)
	if !d.writerRuns() {
		return // the failover that goes on comes first
	}
	i := slices.IndexFunc(heirs, func(in *aurora.DBInstance) bool {
		return d.fit(in) && (request.Target == "" || request.Target == in.ResourceID)
	})
	d.do(AnswerFailover{request.Generation})
	if i < 0 {
		d.do(Announce{aurora.FailoverFailed(&d.Cluster)})
		return
	}
	d.handOverTo(w, heirs[i], request.Target)
}

// handOverTo begins a handover that users are told of, by its most likely outcome.
func (d *decision) handOverTo(w, heir *aurora.DBInstance, target string) {
	d.do(SetFailedOver{w.ResourceID})
	d.do(Announce{aurora.FailoverStarted(&d.Cluster, heir.Spec.Identifier, sameZone(w, heir))})
	d.beginHandover(w, target)
}

// finishHandover promotes the wanted reader, or the best one, that has everything.
func (d *decision) finishHandover(w *aurora.DBInstance, h *aurora.Handover) {
	reached := func(in *aurora.DBInstance) bool { return in.Server.ReachedLSN == h.StopLSN }
	heirs := d.heirs(w)
	slices.SortStableFunc(heirs, func(a, b *aurora.DBInstance) int {
		return boolInt(b.ResourceID == h.Target) - boolInt(a.ResourceID == h.Target)
	})
	i := slices.IndexFunc(heirs, reached)
	waited := d.now.Sub(h.Since)
	switch {
	case i == 0 || i > 0 && waited >= preferredWait:
		d.promote(heirs[i], h.StopLSN)
		d.do(SetHandover{nil})
	case waited >= handoverTimeout, waited >= stuckPatience && !slices.ContainsFunc(heirs, func(in *aurora.DBInstance) bool { return !in.Server.Stuck }):
		if d.Cluster.Status.FailedOver != "" {
			d.do(Announce{aurora.PreviousPromoted(&d.Cluster, w.Spec.Identifier)})
		}
		d.handBack(w)
	}
}

// handBack makes the old writer the writer again, in a new term.
func (d *decision) handBack(w *aurora.DBInstance) {
	d.restart(w)
	d.do(SetHandover{&aurora.Handover{From: w.ResourceID, Since: d.now.Add(handoverPause)}})
}

// heirs returns the readers that may become the writer, the preferred first:
// promotion tier, then memory, then age. Those with much to replay come last, and
// after them those with damaged pages.
func (d *decision) heirs(w *aurora.DBInstance) []*aurora.DBInstance {
	var heirs []*aurora.DBInstance
	for i := range d.Instances {
		in := &d.Instances[i]
		if in.ResourceID != w.ResourceID && !in.DeleteRequested && in.Status.Task.Role == aurora.RoleReader && d.serves(in) {
			heirs = append(heirs, in)
		}
	}
	slices.SortStableFunc(heirs, func(a, b *aurora.DBInstance) int {
		ma, _ := aurora.ClassMemory(a.Spec.Class)
		mb, _ := aurora.ClassMemory(b.Spec.Class)
		return cmp.Or(boolInt(a.Server.Role != aurora.RoleReader)-boolInt(b.Server.Role != aurora.RoleReader),
			boolInt(a.Server.Damaged != "")-boolInt(b.Server.Damaged != ""), boolInt(far(a))-boolInt(far(b)), a.Spec.PromotionTier-b.Spec.PromotionTier, cmp.Compare(mb, ma))
	})
	return heirs
}

// retain keeps the data of the last instance when that instance is deleted.
func (d *decision) retain() {
	w := d.writer()
	if w == nil || !d.Cluster.Status.Initialized || !w.DeleteRequested || d.Cluster.Status.Handover != nil {
		return
	}
	switch {
	case w.Status.Task.Role == aurora.RoleWriter && !d.anyStays(w):
		d.stop(w)
	case stopped(w) && d.anyStays(w):
		d.restart(w) // an instance has come meanwhile: it takes over when it has the data
	case stopped(w):
		d.do(SetRetained{&aurora.RetainedData{
			Instance: w.ResourceID, Zone: w.Status.AvailabilityZone, Host: w.Status.Host}})
		// In this term nobody writes: a node opens the log in it, to read the rest.
		d.do(SetWriter{Term: d.nextTerm()})
		d.do(RemoveInstance{w.ResourceID})
	}
}

func (d *decision) stop(in *aurora.DBInstance) {
	task := in.Status.Task
	task.Role = aurora.RoleStopped
	d.do(SetTask{in.ResourceID, task})
}

// stopped says whether the server stopped because its task said so.
func stopped(in *aurora.DBInstance) bool {
	return in.Status.Task.Role == aurora.RoleStopped && in.Server.Phase == aurora.PhaseStopped &&
		in.Server.Role == aurora.RoleStopped && in.Server.Term == in.Status.Task.Term
}

// anyStays says whether an instance beside w is not being deleted.
func (d *decision) anyStays(w *aurora.DBInstance) bool {
	return d.count(func(in *aurora.DBInstance) bool { return in.ResourceID != w.ResourceID }) > 0
}
