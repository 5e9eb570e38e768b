package decide

import (
	"fmt"
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// SetBackup orders a base backup; nil: it is made.
type SetBackup struct{ Order *aurora.BackupOrder }

func (a SetBackup) String() string {
	if a.Order == nil {
		return "the base backup is made"
	}
	return "make base backup " + a.Order.ID
}
func (a SetBackup) apply(w *World) { w.Cluster.Status.Backup = a.Order }

// FinishSnapshot says what a snapshot is made of; nil: the cluster had no data.
type FinishSnapshot struct {
	Snapshot string // resource id
	Status   string
	Source   *aurora.RestoreSource
	Bytes    int64
}

func (a FinishSnapshot) String() string {
	return fmt.Sprintf("snapshot %s is %s", a.Snapshot, a.Status)
}
func (a FinishSnapshot) apply(w *World) {
	for i := range w.Snapshots {
		if s := &w.Snapshots[i]; s.ResourceID == a.Snapshot {
			s.Status, s.Source, s.Bytes = a.Status, a.Source, a.Bytes
		}
	}
}

// ending says whether nothing of a deleted cluster is needed any more: a final
// snapshot comes first.
func (d *decision) ending() bool { return d.Cluster.DeleteRequested && !d.snapshotsWait() }

func (d *decision) snapshotsWait() bool {
	return slices.ContainsFunc(d.Snapshots, func(s aurora.DBClusterSnapshot) bool { return s.Status == aurora.SnapshotStatusCreating })
}

// backUp has a base backup made when none can be restored to now, and every day in
// the backup window.
func (d *decision) backUp() {
	st := d.Cluster.Status
	if st.Backup != nil {
		if i := slices.IndexFunc(d.Bases, func(b aurora.BaseBackup) bool { return b.ID == st.Backup.ID }); i >= 0 {
			d.do(SetBackup{nil})
			d.do(Announce{aurora.AutomatedSnapshotCreated(&d.Cluster, &d.Bases[i])})
		}
		return
	}
	retained := st.Writer == "" && st.Retained != nil && d.snapshotsWait()
	if !d.archiving() || !d.writerRuns() && !retained {
		return
	}
	newest, ok := d.newestBase(^uint64(0))
	if !ok || !retained && newest.Began.Before(windowBegan(d.Cluster.Spec.PreferredBackupWindow, d.now)) {
		d.do(SetBackup{&aurora.BackupOrder{ID: d.now.UTC().Format(aurora.BackupIDLayout)}})
	}
}

// archiving says whether the archive has begun with the cluster's log.
func (d *decision) archiving() bool { return d.Archive.End != 0 }

// newestBase is the newest base backup from which all WAL is in the archive, and
// which needs none beyond end.
func (d *decision) newestBase(end uint64) (newest aurora.BaseBackup, ok bool) {
	for _, b := range d.Bases {
		if !b.Deleting && b.Start >= d.Archive.Begin && b.Stop <= end && (!ok || b.Ended.After(newest.Ended)) {
			newest, ok = b, true
		}
	}
	return newest, ok
}

// windowBegan is when the daily window last began; the zero time without one.
func windowBegan(window string, now time.Time) time.Time {
	var hour, minute int
	if n, err := fmt.Sscanf(window, "%d:%d-", &hour, &minute); n != 2 || err != nil {
		return time.Time{}
	}
	now = now.UTC()
	began := time.Date(now.Year(), now.Month(), now.Day(), hour, minute, 0, 0, time.UTC)
	if began.After(now) {
		began = began.AddDate(0, 0, -1)
	}
	return began
}

// finishSnapshots completes those whose WAL is in the archive.
func (d *decision) finishSnapshots() {
	st := d.Cluster.Status
	for _, s := range slices.Clone(d.Snapshots) {
		if s.Status != aurora.SnapshotStatusCreating {
			continue
		}
		end, done := d.Cluster.Volume.Archived.End, d.Cluster.Volume.Archived.Generation >= s.ArchiveGeneration
		lost := st.Initialized && len(d.Instances) == 0 && st.Retained == nil
		switch {
		case !st.Initialized && len(d.Instances) == 0:
			d.finishSnapshot(s, FinishSnapshot{s.ResourceID, aurora.SnapshotStatusAvailable, d.Cluster.Spec.Restore, 0})
			continue
		case lost && !done:
			end, done = d.Archive.End, true // all that there will ever be
		case !done:
			continue
		}
		base, ok := d.newestBase(end)
		if !ok { // the first one was not complete yet: the snapshot is as late as that
			if base, ok = d.newestBase(d.Archive.End); ok {
				end = base.Stop
			}
		}
		if ok {
			source := aurora.RestoreSource{ClusterID: d.Cluster.ResourceID, Base: base.ID, End: end, Timeline: st.Timeline + 1}
			d.finishSnapshot(s, FinishSnapshot{s.ResourceID, aurora.SnapshotStatusAvailable, &source, base.Bytes})
		} else if lost {
			d.finishSnapshot(s, FinishSnapshot{s.ResourceID, aurora.SnapshotStatusFailed, nil, 0})
		}
	}
}

func (d *decision) finishSnapshot(s aurora.DBClusterSnapshot, f FinishSnapshot) {
	d.do(f)
	if f.Status == aurora.SnapshotStatusAvailable {
		d.do(Announce{aurora.SnapshotCreated(&s)})
	}
}
