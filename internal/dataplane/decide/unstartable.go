package decide

import "github.com/daybreakdb/daybreak/internal/aurora"

// unstartable says whether PostgreSQL cannot be started from an instance's data: its
// node has tried often enough, and tries no more.
func unstartable(in *aurora.DBInstance) bool { return in.Server.FailedStarts.TooMany() }

// hopeless says whether there is nothing to be done now for a writer that cannot be
// started and that nobody can take over from: its data was made anew not long ago, or
// there is nothing to make it of. A user who has it rebooted has it tried again.
func (d *decision) hopeless(w *aurora.DBInstance) bool {
	return unstartable(w) && !d.away(w) && !d.canRebuild(w) && w.Spec.RestartGeneration == w.Server.RestartGeneration
}

// canRebuild says whether a writer's data can be made of the base copy and the log
// where that is, and has not been of late: each time costs, and where it was in vain
// the next one will hardly be better.
func (d *decision) canRebuild(w *aurora.DBInstance) bool {
	base := d.Cluster.Volume.Base
	_, lost := d.Lost[base.Host]
	return d.Cluster.Status.Initialized && base.Zone != "" && !lost && d.now.Sub(w.Status.Recovery) >= repairPause
}

// observeUnstartable tells users of servers that cannot be started.
func (d *decision) observeUnstartable() {
	for i := range d.Instances {
		in := &d.Instances[i]
		if is := unstartable(in) && !d.deleting(in); is != in.Status.Unstartable {
			d.do(SetFlag{in.ResourceID, Unstartable, is})
			if is {
				d.do(Announce{aurora.InstanceUnstartable(in)})
			}
		}
	}
}
