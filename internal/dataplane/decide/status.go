package decide

import (
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// showInstances sets every instance's status.
func (d *decision) showInstances() {
	for i := range d.Instances {
		in := &d.Instances[i]
		show := SetInstanceStatus{in.ResourceID, d.instanceStatus(in), d.instanceReason(in), in.Status.ObservedGeneration}
		if show.Status == aurora.InstanceStatusAvailable && d.fulfils(in) {
			show.ObservedGeneration = in.Generation
		}
		st := in.Status
		if show != (SetInstanceStatus{in.ResourceID, st.Status, st.Reason, st.ObservedGeneration}) {
			d.do(show)
		}
	}
}

func (d *decision) instanceStatus(in *aurora.DBInstance) string {
	old := in.Status.Status
	created := old != "" && old != aurora.InstanceStatusCreating && old != aurora.InstanceStatusFailed
	switch {
	case d.deleting(in):
		return aurora.InstanceStatusDeleting
	case !created && !(d.fulfils(in) && in.Status.Endpoint.Host != ""):
		if old == aurora.InstanceStatusFailed || d.cannotBeBuilt(in) {
			return aurora.InstanceStatusFailed
		}
		return aurora.InstanceStatusCreating
	case d.stopStatus(old, stopped(in), d.fulfils(in)) != "":
		return d.stopStatus(old, stopped(in), d.fulfils(in))
	case in.Spec.RestartGeneration != in.Server.RestartGeneration:
		return aurora.InstanceStatusRebooting
	case in.Generation != in.Server.ObservedGeneration:
		return aurora.InstanceStatusModifying
	case d.fulfils(in):
		return aurora.InstanceStatusAvailable
	}
	return old
}

// buildPatience is how long the making of an instance may fail before it is
// shown as failed. The node goes on trying: a cause that is mended makes it
// available after all.
const buildPatience = time.Minute

// cannotBeBuilt reports whether the instance's first server, or the writer that
// it waits for, has kept failing.
func (d *decision) cannotBeBuilt(in *aurora.DBInstance) bool {
	if d.now.Sub(in.CreateTime) < buildPatience {
		return false
	}
	for i := range d.Instances {
		other := &d.Instances[i]
		if other.Server.Phase == aurora.PhaseFailed && (other.ResourceID == in.ResourceID || other.ResourceID == d.Cluster.Status.Writer) {
			return true
		}
	}
	return false
}

func (d *decision) instanceReason(in *aurora.DBInstance) string {
	switch {
	case in.Status.Host == "" && !d.deleting(in) && in.Spec.AvailabilityZone != "":
		return "no host stands for the zone " + in.Spec.AvailabilityZone
	case in.Status.Host == "" && !d.deleting(in):
		return "no host to run it on: is the process daybreak node running?"
	case in.DeleteRequested && in.Status.Task.Role == aurora.RoleWriter && !d.Cluster.DeleteRequested:
		return "the writer goes when a reader is ready to take over"
	case d.away(in):
		return "its host " + in.Status.Host + " does not answer"
	case unstartable(in) && in.Status.Recovering:
		return "its data is made anew: PostgreSQL cannot be started from it: " + in.Server.FailedStarts.Reason
	case unstartable(in):
		return "PostgreSQL cannot be started from its data: " + in.Server.FailedStarts.Reason
	case in.Status.Damaged && in.Status.Recovering:
		return "its data is made anew: pages of " + in.Server.Damaged + " fail their checksums"
	case in.Status.Damaged:
		return "pages of " + in.Server.Damaged + " fail their checksums"
	case in.Status.Lagging:
		return "it is more than 30 s behind the writer: the reader endpoint does not lead to it while another reader is not"
	case in.Server.Phase == aurora.PhaseFailed || in.Server.Phase == aurora.PhaseRunning:
		return in.Server.Message
	}
	return ""
}

// showCluster sets the cluster's status. It is available without instances, and
// while they are made.
func (d *decision) showCluster() {
	if d.Removed {
		return
	}
	st := d.Cluster.Status
	show := SetClusterStatus{aurora.ClusterStatusAvailable, d.clusterReason(), st.ObservedGeneration}
	switch {
	case d.Cluster.DeleteRequested:
		show.Status = aurora.ClusterStatusDeleting
	case !d.founded():
		show.Status = aurora.ClusterStatusCreating
	case d.stopStatus(st.Status, d.isDown(), d.isUp()) != "":
		show.Status = d.stopStatus(st.Status, d.isDown(), d.isUp())
		if show.Status == aurora.ClusterStatusStopped {
			show.ObservedGeneration = d.Cluster.Generation
		}
	case st.FailedOver != "":
		show.Status = aurora.ClusterStatusFailingOver
	case !d.passwordApplied():
		show.Status = aurora.ClusterStatusResettingCredentials
	case !d.settingsApplied():
		show.Status = aurora.ClusterStatusModifying
	default:
		show.ObservedGeneration = d.Cluster.Generation
	}
	if show != (SetClusterStatus{st.Status, st.Reason, st.ObservedGeneration}) {
		d.do(show)
	}
}

func (d *decision) clusterReason() string {
	w, st := d.writer(), d.Cluster.Status
	switch {
	case d.Cluster.DeleteRequested || d.Cluster.Spec.Stopped != nil:
		return ""
	case !d.founded():
		return "waiting for addresses for its endpoints"
	case w != nil && unstartable(w):
		return "the writer " + w.Spec.Identifier + " cannot be started from its data: " + w.Server.FailedStarts.Reason
	case w != nil && w.Server.Phase == aurora.PhaseFailed:
		return "the writer " + w.Spec.Identifier + " is down: " + w.Server.Message
	case w == nil && st.Initialized && st.Retained == nil:
		return "the cluster has lost its writer and its data"
	case d.Archive.Problem != "":
		return "its WAL is not archived since " + d.Archive.Since.Format(time.RFC3339) + ", and stays in the log: " + d.Archive.Problem
	}
	return ""
}

// passwordApplied says whether the writer has the newest master password; a
// cluster without a writer gets it with its next one. What was applied stays so
// while the writer changes or restarts.
func (d *decision) passwordApplied() bool {
	w, st := d.writer(), d.Cluster.Status
	return w == nil || !st.Initialized || d.deleting(w) ||
		!d.writerRuns() && st.ObservedGeneration == d.Cluster.Generation ||
		w.Server.MasterPasswordGeneration == d.Cluster.Spec.MasterPasswordGeneration
}

// settingsApplied says whether every server that runs has the cluster's settings.
func (d *decision) settingsApplied() bool {
	for i := range d.Instances {
		in := &d.Instances[i]
		if !d.deleting(in) && d.hasServer(in) && d.serves(in) && in.Server.ClusterGeneration != d.Cluster.Generation {
			return false
		}
	}
	return true
}
