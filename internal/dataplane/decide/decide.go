package decide

import (
	"maps"
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// maxPasses bounds how often one action may lead to another in a decision.
const maxPasses = 8

// Decide says what to do now, in order. Once the actions are applied (Apply)
// there is nothing left to do until something else is seen.
func Decide(w World, now time.Time) []Action {
	d := decision{World: w.clone(), now: now}
	for range maxPasses {
		if before := len(d.actions); d.pass() == before {
			break
		}
	}
	return d.actions
}

// pass applies every rule once and returns the number of actions so far.
func (d *decision) pass() int {
	if d.Removed {
		return len(d.actions)
	}
	d.dropEndpoints()
	d.observeUnstartable()
	d.finishSnapshots()
	if !d.ending() {
		d.found()
		d.place()
		d.layOutLog()
		d.moveLog()
		d.observeWriter()
		if d.Cluster.Spec.Stopped != nil {
			d.forgetHandover()
		} else {
			d.chooseWriter()
			d.startAgain()
			d.failOver()
			d.handOver()
			d.retain()
			d.backUp()
		}
	}
	d.setTasks()
	d.observeReaders()
	d.observeDamage()
	d.removeInstances()
	d.showInstances()
	d.removeCluster()
	d.showCluster()
	return len(d.actions)
}

// decision is the world as it will be when the actions so far are done.
type decision struct {
	World
	now     time.Time
	actions []Action
}

func (d *decision) do(a Action) {
	d.actions = append(d.actions, a)
	a.apply(&d.World)
}

// found gives cluster and endpoints what they need before any server.
func (d *decision) found() {
	if len(d.Cluster.Status.InternalSecret) == 0 && d.Offer.Identity != nil {
		d.do(SetIdentity{*d.Offer.Identity})
	}
	all := endpoints(&d.World)
	for _, owner := range slices.Sorted(maps.Keys(all)) {
		switch at := all[owner]; {
		case at.Host == "" && len(d.Offer.Addresses) > 0:
			d.do(SetAddress{owner, d.Offer.Addresses[0]})
		case at.Host != "" && d.Cluster.Spec.Port != 0 && at.Port != d.Cluster.Spec.Port:
			d.do(SetPort{owner, d.Cluster.Spec.Port})
		}
	}
}

// dropEndpoints gives up what custom endpoints had that are not wanted any more.
func (d *decision) dropEndpoints() {
	for _, served := range slices.Clone(d.Cluster.Status.CustomEndpoints) {
		if d.Cluster.DeleteRequested || !slices.ContainsFunc(d.Cluster.Spec.CustomEndpoints, func(e aurora.CustomEndpoint) bool {
			return e.ResourceID == served.ResourceID
		}) {
			d.do(DropEndpoint{served.ResourceID})
		}
	}
}

// founded says whether the cluster has all that does not depend on instances.
func (d *decision) founded() bool {
	st := d.Cluster.Status
	return len(st.InternalSecret) > 0 && st.WriterEndpoint.Host != "" && st.ReaderEndpoint.Host != ""
}

// removeInstances forgets what is gone, and what never was.
func (d *decision) removeInstances() {
	for _, in := range slices.Clone(d.Instances) {
		if !d.deleting(&in) {
			continue
		}
		if in.Status.Task.Role == aurora.RoleNone || !d.known(in.Status.Host) || in.Server.Phase == aurora.PhaseRemoved && in.Status.Task.Role == aurora.RoleRemoved {
			if d.Cluster.Status.Writer == in.ResourceID {
				d.do(SetWriter{Term: d.Cluster.Status.Term})
			}
			d.do(RemoveInstance{in.ResourceID})
		}
	}
}

// removeCluster deletes what is left of a cluster without instances.
func (d *decision) removeCluster() {
	if !d.ending() {
		return
	}
	kept := d.Cluster.Status.Retained
	if kept != nil && !kept.Remove {
		removal := *kept
		removal.Remove = true
		d.do(SetRetained{&removal})
	}
	gone := !slices.ContainsFunc(d.logHosts(), func(host string) bool {
		return d.known(host) && !slices.Contains(d.Cluster.Volume.LogRemoved, host)
	})
	if gone && len(d.Instances) == 0 && (kept == nil || !d.known(kept.Host) || d.Cluster.Volume.Removed == kept.Instance) {
		d.do(RemoveCluster{})
	}
}

// known says whether the host belongs to the installation: nothing is expected of
// one that was taken out of it.
func (d *decision) known(host string) bool {
	return slices.ContainsFunc(d.Hosts, func(h aurora.Host) bool { return h.ID == host })
}

// deleting says whether the instance is on its way out.
func (d *decision) deleting(in *aurora.DBInstance) bool {
	return in.DeleteRequested || d.ending()
}
