package decide

import (
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// repairPause is how long it takes until the same is tried again against damaged
// pages: the writer gives way, a reader's data is made anew. What is damaged again
// by then has a bad disk, or came damaged from elsewhere, and each try costs.
const repairPause = 10 * time.Minute

// observeDamage tells users of pages that fail their checksums, and has readers that
// have some made anew, one at a time.
func (d *decision) observeDamage() {
	for i := range d.Instances {
		in := &d.Instances[i]
		if damaged := in.Server.Damaged != "" && !d.deleting(in); damaged != in.Status.Damaged {
			d.do(SetFlag{in.ResourceID, Damaged, damaged})
			if damaged {
				d.do(Announce{aurora.InstanceDamaged(in)})
			}
		}
		if in.Status.Recovering && in.Server.Rebuilt >= in.Status.Task.Rebuild && d.fulfils(in) {
			d.do(SetRecovery{in.ResourceID, false, in.Status.Recovery})
			d.do(Announce{aurora.RecoveryCompleted(in)})
		}
		if d.toRebuild(in) {
			task := in.Status.Task
			task.Rebuild = in.Server.Rebuilt + 1
			d.do(SetTask{in.ResourceID, task})
			d.do(SetRecovery{in.ResourceID, true, d.now})
			d.do(Announce{aurora.RecoveryStarted(in)})
		}
	}
}

// toRebuild says whether a reader's data is to be made anew from the writer's: it has
// damaged pages, or cannot be started. As long as the writer has damaged pages too,
// the reader may be what has them whole.
func (d *decision) toRebuild(in *aurora.DBInstance) bool {
	st, w := d.Cluster.Status, d.writer()
	bad := in.Server.Damaged != "" && d.fulfils(in) || unstartable(in) && !d.away(in)
	if !bad || in.Status.Task.Role != aurora.RoleReader || d.deleting(in) || d.now.Sub(in.Status.Recovery) < repairPause {
		return false
	}
	if w == nil || !d.writerRuns() || w.Server.Damaged != "" || w.Server.Suspect != "" || st.Handover != nil || st.FailedOver != "" {
		return false
	}
	return !slices.ContainsFunc(d.Instances, func(other aurora.DBInstance) bool { return other.Status.Recovering })
}

// evade has the writer hand its role over for its damaged pages, if a reader is fit
// of which no damage is known.
func (d *decision) evade(w *aurora.DBInstance) {
	st, heirs := d.Cluster.Status, d.heirs(w)
	if w.Server.Damaged == "" || !d.writerRuns() || st.FailedOver != "" || d.now.Sub(st.Evaded) < repairPause {
		return
	}
	i := slices.IndexFunc(heirs, func(in *aurora.DBInstance) bool { return d.fit(in) && in.Server.Damaged == "" })
	if i < 0 {
		return
	}
	d.do(SetEvaded{d.now})
	d.handOverTo(w, heirs[i], heirs[i].ResourceID)
}
