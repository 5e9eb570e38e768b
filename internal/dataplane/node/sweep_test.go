package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

// TestWhatIsLeftOfADeletedClusterIsRemoved: as of a host that was away when the cluster
// was deleted. What the state has never heard of stays.
func TestWhatIsLeftOfADeletedClusterIsRemoved(t *testing.T) {
	s := startSystem(t)
	c := s.createCluster("one")
	w := s.createInstance(c, "w")
	s.settled(c, w)
	zones, err := filepath.Glob(s.layout.Cluster("*", c))
	if err != nil || len(zones) == 0 {
		t.Fatal(zones, err)
	}
	kept := t.TempDir()
	for _, dir := range zones {
		err = errors.Join(err, os.MkdirAll(filepath.Join(kept, filepath.Base(filepath.Dir(dir)), c, w, "data"), 0o700),
			os.MkdirAll(filepath.Join(kept, filepath.Base(filepath.Dir(dir)), c, "wal-0"), 0o700))
	}
	s.deleteInstance(w)
	s.deleteCluster(c)
	s.clusterGone(c)
	s.nothingLeft()
	stranger := filepath.Join(s.layout.Zones(), "us-west-2a", "cluster-stranger")
	if err := errors.Join(err, os.CopyFS(s.layout.Zones(), os.DirFS(kept)), os.MkdirAll(stranger, 0o700)); err != nil {
		t.Fatal(err)
	}
	deleted := state.DeletedClusters(s.store)
	if item, err := deleted.Get(t.Context(), c); err != nil || item.Value.Identifier != "one" || time.Since(item.Value.Time) > patience {
		t.Fatalf("%+v, %v", item, err)
	}
	_, err = deleted.Update(t.Context(), c, func(d *aurora.DeletedCluster) error {
		d.Time = d.Time.Add(-time.Hour) // its grace is over
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.eventually("what is left is removed", func() bool {
		left, err := filepath.Glob(s.layout.Cluster("*", c))
		return err == nil && len(left) == 0
	})
	if _, err := os.Stat(stranger); err != nil {
		t.Errorf("what nobody deleted: %v", err)
	}
}
