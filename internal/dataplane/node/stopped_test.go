package node_test

import (
	"slices"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

// TestStoppedClusterHasNoServerAndKeepsItsData stops a cluster with a reader, lets
// the node start again meanwhile, and starts it.
func TestStoppedClusterHasNoServerAndKeepsItsData(t *testing.T) {
	s := startSystem(t)
	c := s.createCluster("one")
	w := s.createInstance(c, "w")
	s.settled(c, w)
	r := s.createInstance(c, "r")
	s.settled(c, w, r)
	s.exec(w, "CREATE TABLE t AS SELECT 'kept' AS v")

	now := time.Now()
	s.changeCluster(c, func(c *aurora.DBCluster) { c.Spec.Stopped = &now })
	down := func() bool {
		st := s.cluster(c).Status
		return st.Status == aurora.ClusterStatusStopped && st.Term == 1 && s.instance(w).Status.Status == aurora.InstanceStatusStopped &&
			s.instance(r).Status.Status == aurora.InstanceStatusStopped
	}
	s.eventually("all is stopped", down)
	if server := s.instance(w).Server; server.StopLSN == 0 || server.PID != 0 {
		t.Errorf("the writer did not stop cleanly: %+v", server)
	}
	s.stopNode()
	s.startNode()
	if !down() {
		t.Errorf("after the node's restart: %+v", s.cluster(c).Status)
	}

	s.changeCluster(c, func(c *aurora.DBCluster) { c.Spec.Stopped = nil })
	s.settled(c, w, r)
	if st := s.cluster(c).Status; st.Writer != w || st.Term != 2 {
		t.Errorf("after the start: %+v", st)
	}
	s.reads(w, "SELECT v FROM t", "kept")
	s.exec(w, "UPDATE t SET v = 'kept twice'")
	s.reads(r, "SELECT v FROM t", "kept twice")

	told, err := state.Events(s.Context(), s.store, now)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, e := range told {
		ids = append(ids, e.EventID)
	}
	for _, id := range []string{"RDS-EVENT-0087", "RDS-EVENT-0150", "RDS-EVENT-0088", "RDS-EVENT-0151"} {
		if !slices.Contains(ids, id) {
			t.Errorf("%s is not told: %v", id, ids)
		}
	}
	if slices.Contains(ids, "RDS-EVENT-0071") || slices.Contains(ids, "RDS-EVENT-0004") {
		t.Errorf("told of a failover: %v", ids)
	}
}
