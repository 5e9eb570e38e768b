package decide

import (
	"slices"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// A cluster that is to be stopped has its readers stopped first, then the writer,
// which so has all that they were sent. Nothing else is decided of it until it is
// started: no other writer, nor that its last instance goes.

// forgetHandover ends a planned change of writer, which a start would begin with.
func (d *decision) forgetHandover() {
	if d.Cluster.Status.Handover != nil {
		d.do(SetHandover{nil})
	}
}

// startAgain has the writer of a stopped cluster write again, in the next term.
func (d *decision) startAgain() {
	w := d.writer()
	if w != nil && w.Status.Task.Role == aurora.RoleStopped && d.Cluster.Status.Handover == nil && !w.DeleteRequested {
		d.restart(w)
	}
}

// stoppedTask is the task of a member of a cluster that is to be stopped.
func (d *decision) stoppedTask(in *aurora.DBInstance) aurora.Task {
	task := in.Status.Task
	switch {
	case !d.hasServer(in):
	case in.ResourceID != d.Cluster.Status.Writer:
		return aurora.Task{Role: aurora.RoleStopped, Term: d.Cluster.Status.Term, Generation: task.Generation}
	default:
		task = d.writerTask(in)
		if d.othersAreDown(in) {
			task.Role = aurora.RoleStopped
		}
	}
	return task
}

// othersAreDown says whether no server beside the writer's runs, as far as anybody
// can do something about it.
func (d *decision) othersAreDown(w *aurora.DBInstance) bool {
	return !slices.ContainsFunc(d.Instances, func(in aurora.DBInstance) bool {
		return in.ResourceID != w.ResourceID && !d.deleting(&in) && (d.hasServer(&in) || d.interruptible(&in))
	})
}

// isDown says whether all servers of the cluster have stopped.
func (d *decision) isDown() bool {
	return !slices.ContainsFunc(d.Instances, func(in aurora.DBInstance) bool {
		counts := !d.deleting(&in) || in.ResourceID == d.Cluster.Status.Writer
		return counts && in.Status.Task.Role != aurora.RoleNone && !d.away(&in) && !stopped(&in)
	})
}

// isUp says whether the cluster can be written to, if it has an instance.
func (d *decision) isUp() bool { return d.writer() == nil || d.writerRuns() }

// stopStatus is the status of a cluster or an instance that is to be stopped or was;
// empty when the others apply. down and up say what its servers are.
func (d *decision) stopStatus(old string, down, up bool) string {
	switch wasStopped := old == aurora.ClusterStatusStopping || old == aurora.ClusterStatusStopped || old == aurora.ClusterStatusStarting; {
	case d.Cluster.Spec.Stopped != nil && down:
		return aurora.ClusterStatusStopped
	case d.Cluster.Spec.Stopped != nil:
		return aurora.ClusterStatusStopping
	case wasStopped && !up:
		return aurora.ClusterStatusStarting
	}
	return ""
}
