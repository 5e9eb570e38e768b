package decide

import (
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

func statusesAfter(w World, now time.Time) map[string]string {
	w = Apply(w, Decide(w, now))
	statuses := map[string]string{}
	for _, in := range w.Instances {
		statuses[in.ResourceID] = in.Status.Status
	}
	return statuses
}

func TestInstanceThatCannotBeBuiltIsShownAsFailedAndSoIsWhoWaitsForIt(t *testing.T) {
	made := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	writer := aurora.DBInstance{Meta: aurora.Meta{ResourceID: "db-1", CreateTime: made, Generation: 1}}
	writer.Server = aurora.ServerReport{Phase: aurora.PhaseFailed, Message: "initdb: permission denied"}
	reader := aurora.DBInstance{Meta: aurora.Meta{ResourceID: "db-2", CreateTime: made, Generation: 1}}
	w := World{Cluster: aurora.DBCluster{Meta: aurora.Meta{ResourceID: "cluster-1", Generation: 1}}, Instances: []aurora.DBInstance{writer, reader}}
	w.Cluster.Status.Writer = "db-1"

	for id, status := range statusesAfter(w, made.Add(30*time.Second)) {
		if status != aurora.InstanceStatusCreating {
			t.Errorf("%s is %s after half a minute, want creating", id, status)
		}
	}
	for id, status := range statusesAfter(w, made.Add(2*time.Minute)) {
		if status != aurora.InstanceStatusFailed {
			t.Errorf("%s is %s after two minutes, want failed", id, status)
		}
	}
}
