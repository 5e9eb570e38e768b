package decide

import (
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

func TestSnapshotIsOfTheNewestBaseBackupBeforeItsEnd(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	base := func(id string, start, stop uint64) aurora.BaseBackup {
		return aurora.BaseBackup{ID: id, Start: start, Stop: stop, Ended: at.Add(time.Duration(stop) * time.Second)}
	}
	for name, c := range map[string]struct {
		archive aurora.Archive
		marked  int64 // generation
		bases   []aurora.BaseBackup
		base    string // empty: it is not complete
		end     uint64
	}{
		"the newest":                            {aurora.Archive{Begin: 1, End: 90}, 1, []aurora.BaseBackup{base("a", 5, 10), base("b", 15, 20)}, "b", 50},
		"not one that was made later":           {aurora.Archive{Begin: 1, End: 90}, 1, []aurora.BaseBackup{base("a", 5, 10), base("b", 55, 60)}, "a", 50},
		"the first, which was complete later":   {aurora.Archive{Begin: 1, End: 90}, 1, []aurora.BaseBackup{base("b", 55, 60)}, "b", 60},
		"the first, whose WAL is not there yet": {aurora.Archive{Begin: 1, End: 55}, 1, []aurora.BaseBackup{base("b", 45, 60)}, "", 0},
		"none":                                  {aurora.Archive{Begin: 1, End: 90}, 1, nil, "", 0},
		"one before a gap":                      {aurora.Archive{Begin: 8, End: 90}, 1, []aurora.BaseBackup{base("a", 5, 10)}, "", 0},
		"before all is archived":                {aurora.Archive{Begin: 1, End: 90}, 0, []aurora.BaseBackup{base("a", 5, 10)}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := World{Archive: c.archive, Bases: c.bases, Snapshots: []aurora.DBClusterSnapshot{{Status: aurora.SnapshotStatusCreating, ArchiveGeneration: 1}}}
			w.Cluster.Status.Initialized, w.Cluster.Status.Writer = true, "db-w"
			w.Cluster.Volume.Archived = aurora.ArchiveMark{Generation: c.marked, End: 50}
			w.Instances = []aurora.DBInstance{{Meta: aurora.Meta{ResourceID: "db-w"}}}
			d := &decision{World: w.clone(), now: at}
			d.finishSnapshots()
			got := d.Snapshots[0].Source
			if (got == nil) != (c.base == "") || got != nil && (got.Base != c.base || got.End != c.end) {
				t.Errorf("%+v, want %s up to %d", got, c.base, c.end)
			}
		})
	}
}
