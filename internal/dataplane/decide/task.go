package decide

import "github.com/daybreakdb/daybreak/internal/aurora"

// setTasks brings every instance's task up to what was decided.
func (d *decision) setTasks() {
	for i := range d.Instances {
		in := &d.Instances[i]
		if task := d.task(in); task != in.Status.Task {
			d.do(SetTask{in.ResourceID, task})
		}
	}
	if !d.ending() {
		d.giveTurns()
	}
}

func (d *decision) task(in *aurora.DBInstance) aurora.Task {
	task := in.Status.Task
	switch {
	case task.Role == aurora.RoleNone && (d.deleting(in) || in.Status.Host == ""):
		return task
	case d.ending():
		return aurora.Task{Role: aurora.RoleRemoved, Term: task.Term}
	case in.ResourceID == d.Cluster.Status.Writer && d.Cluster.Spec.Stopped == nil:
		return d.writerTask(in)
	case in.DeleteRequested && in.ResourceID != d.Cluster.Status.Writer:
		if task.Role == aurora.RoleStopped && !d.writerRuns() && d.Cluster.Status.Initialized {
			return task // the old writer's data stays until the new one serves
		}
		return aurora.Task{Role: aurora.RoleRemoved, Term: task.Term}
	case d.Cluster.Spec.Stopped != nil:
		return d.stoppedTask(in)
	}
	return d.readerTask(in)
}

// writerTask takes away what was for the beginning only: a writer that lost its
// data must never be built anew.
func (d *decision) writerTask(in *aurora.DBInstance) aurora.Task {
	task := in.Status.Task
	if d.Cluster.Status.Initialized && (task.Build == aurora.BuildInitdb || task.Build == aurora.BuildRestore) {
		task.Build = ""
	}
	if d.writerRuns() {
		task.ReachLSN = 0
		task.Build, task.Adopt = "", aurora.RetainedData{}
	}
	return task
}

func (d *decision) readerTask(in *aurora.DBInstance) aurora.Task {
	task, st := in.Status.Task, d.Cluster.Status
	if st.Writer == "" || task.Role == aurora.RoleNone && !d.writerRuns() {
		return task
	}
	want := aurora.Task{
		Role: aurora.RoleReader, Term: st.Term, Upstream: st.Writer, Build: aurora.BuildCopy, Rebuild: task.Rebuild, Generation: task.Generation}
	if task.Role == aurora.RoleNone {
		want.Generation = in.Generation
	}
	if st.Handover != nil {
		want.ReachLSN = st.Handover.StopLSN
	}
	return want
}

// giveTurns lets servers take new settings that may need a restart: one at a
// time, readers before the writer. Servers that are down need no turn.
func (d *decision) giveTurns() {
	busy := false
	for i := range d.Instances {
		in := &d.Instances[i]
		busy = busy || d.hasServer(in) && in.Status.Task.Generation > in.Server.ObservedGeneration && d.interruptible(in)
	}
	turn := func(in *aurora.DBInstance) {
		if !d.hasServer(in) || in.Status.Task.Generation == in.Generation || busy && d.interruptible(in) {
			return
		}
		busy = busy || d.interruptible(in)
		task := in.Status.Task
		task.Generation = in.Generation
		d.do(SetTask{in.ResourceID, task})
	}
	for i := range d.Instances {
		if in := &d.Instances[i]; in.ResourceID != d.Cluster.Status.Writer {
			turn(in)
		}
	}
	if w := d.writer(); w != nil && !(!busy && d.passOn(w)) {
		turn(w)
	}
}

// passOn has a reader take the writer's role over when the writer is to have another
// class: that takes less time than a restart, and idle sessions go along. The old
// writer starts with its class as a reader. Without a reader that has all that was
// asked of it, the writer is restarted.
func (d *decision) passOn(w *aurora.DBInstance) bool {
	st := d.Cluster.Status
	due := w.Status.Task.Role == aurora.RoleWriter && w.Status.Task.Generation != w.Generation && w.Server.Class != "" && w.Server.Class != w.Spec.Class
	if !due || w.DeleteRequested || w.Spec.RestartGeneration != w.Server.RestartGeneration ||
		d.Cluster.Spec.Stopped != nil || st.Handover != nil || st.FailedOver != "" || !d.writerRuns() {
		return false
	}
	for _, heir := range d.heirs(w) {
		if d.fulfils(heir) && heir.Server.ObservedGeneration == heir.Generation {
			d.do(SetFailedOver{w.ResourceID})
			d.do(Announce{aurora.FailoverStarted(&d.Cluster, heir.Spec.Identifier, sameZone(w, heir))})
			d.beginHandover(w, heir.ResourceID)
			return true
		}
	}
	return false
}

// hasServer says whether the instance is to have a running server.
func (d *decision) hasServer(in *aurora.DBInstance) bool {
	role := in.Status.Task.Role
	return role == aurora.RoleWriter || role == aurora.RoleReader
}

// interruptible says whether the server serves, or is just being restarted.
func (d *decision) interruptible(in *aurora.DBInstance) bool {
	if d.away(in) {
		return false
	}
	switch in.Server.Phase {
	case aurora.PhaseRunning, aurora.PhaseStarting, aurora.PhaseStopping:
		return true
	}
	return false
}
