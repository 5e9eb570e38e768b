package node_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

// commits are those of one client that makes one after the other: commit n, with n-1
// at its place, was made between began and ended.
type commits struct {
	*system
	at []struct{ began, ended time.Time }
}

// commit makes n commits on an instance, each a row with its number.
func (c *commits) commit(instance string, n int) {
	c.Helper()
	conn, err := c.dial(instance, c.password)
	if err != nil {
		c.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(c.Context()))
	for range n {
		began := time.Now()
		if _, err := conn.Exec(c.Context(), "INSERT INTO numbers VALUES ($1)", len(c.at)+1); err != nil {
			c.Fatal(err)
		}
		c.at = append(c.at, struct{ began, ended time.Time }{began, time.Now()})
	}
}

// between is a moment after commit n, and before the one after it.
func (c *commits) between(n int) time.Time {
	last := c.at[n-1].ended
	if n == len(c.at) {
		return last.Add(time.Millisecond)
	}
	return last.Add(c.at[n].began.Sub(last) / 2)
}

// base waits for a base backup that ended before the moment, if it is not zero.
func (s *system) base(cluster string) (newest aurora.BaseBackup) {
	s.Helper()
	s.eventually("there is a base backup", func() bool {
		all, _, err := state.BaseBackups(s.store).List(s.Context(), cluster+"/")
		if err != nil {
			s.Fatal(err)
		}
		for _, item := range all {
			newest = item.Value
		}
		return len(all) > 0
	})
	return newest
}

// orderBase has another base backup made, as the controller does every day.
func (s *system) orderBase(cluster string) (made aurora.BaseBackup) {
	s.Helper()
	id := time.Now().UTC().Format(aurora.BackupIDLayout)
	s.changeCluster(cluster, func(c *aurora.DBCluster) {
		c.Generation--
		c.Status.Backup = &aurora.BackupOrder{ID: id}
	})
	s.eventually("the base backup is made", func() bool {
		item, err := state.BaseBackups(s.store).Get(s.Context(), cluster+"/"+id)
		made = item.Value
		return err == nil
	})
	return made
}

// archivedTo waits until all that was committed by a moment is in the archive.
func (s *system) archivedTo(cluster string, at time.Time) (archive aurora.Archive) {
	s.Helper()
	s.eventually("the archive has all commits", func() bool {
		item, err := state.Archives(s.store).Get(s.Context(), cluster)
		archive = item.Value
		return err == nil && archive.Commit.After(at)
	})
	return archive
}

func (s *system) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// morePoints is for campaigns: go test ./internal/dataplane/node -run TestRestoreHas -points 200 -timeout 5h
var morePoints = flag.Int("points", 0, "how many random points more are restored")

// restore makes a cluster of a backup, with one instance; the node may end meanwhile.
func (s *system) restore(name string, from aurora.RestoreSource, interrupted bool) (cluster, instance string) {
	s.Helper()
	cluster = s.createCluster(name, func(c *aurora.DBCluster) {
		c.Spec.Restore, c.Spec.MasterPasswordGeneration = &from, 0
	})
	instance = s.createInstance(cluster, name+"-w")
	for _, step := range []string{"restore", "replay of WAL"} {
		if interrupted {
			s.eventually("the node is at the "+step, func() bool {
				in := s.instance(instance).Server
				return strings.Contains(in.Message, step) || in.SystemIdentifier != ""
			})
			s.stopNode()
			s.startNode()
		}
	}
	s.settled(cluster, instance)
	return cluster, instance
}

// snapshot is what the region does for CreateDBClusterSnapshot, and, for the final one,
// for DeleteDBCluster.
func (s *system) snapshot(cluster, name string, final bool) string {
	s.Helper()
	v := aurora.DBClusterSnapshot{Meta: s.meta("cluster-snapshot-" + name), Identifier: name, ClusterID: cluster, Status: aurora.SnapshotStatusCreating}
	s.changeCluster(cluster, func(c *aurora.DBCluster) {
		c.Generation--
		c.Spec.ArchiveGeneration++
		v.ArchiveGeneration = c.Spec.ArchiveGeneration
	})
	if _, err := state.DBClusterSnapshots(s.store).Create(s.Context(), v.ResourceID, v); err != nil {
		s.Fatal(err)
	}
	if final {
		s.deleteCluster(cluster)
	}
	return v.ResourceID
}

// made waits until a snapshot is complete, and returns what it is of.
func (s *system) made(snapshot string) aurora.RestoreSource {
	s.Helper()
	var v aurora.DBClusterSnapshot
	s.eventually("the snapshot is complete", func() bool {
		item, err := state.DBClusterSnapshots(s.store).Get(s.Context(), snapshot)
		if v = item.Value; err != nil {
			s.Fatal(err)
		}
		return v.Status == aurora.SnapshotStatusAvailable
	})
	return *v.Source
}

func TestSnapshotsOutliveTheirCluster(t *testing.T) {
	s := startSystem(t)
	c := s.createCluster("source")
	w := s.createInstance(c, "w")
	s.settled(c, w)
	s.exec(w, "CREATE TABLE numbers (n int PRIMARY KEY)")
	made := &commits{system: s}
	made.commit(w, 5)
	manual := s.snapshot(c, "manual", false)
	first := s.made(manual)
	made.commit(w, 5)

	// Its last instance has gone, and the log that it wrote to has begun again.
	s.deleteInstance(w)
	s.gone(w, func() error { _, err := state.DBInstances(s.store).Get(s.Context(), w); return err })
	s.stopNode()
	s.stopLog()
	s.startLog()
	s.startNode()
	last := s.made(s.snapshot(c, "final", true))
	s.clusterGone(c)

	_, in := s.restore("restored-final", last, false)
	s.reads(in, allNumbers, "10 of 10")
	_, in = s.restore("restored-manual", first, false)
	got := s.query(in, allNumbers)
	if got != "5 of 5" {
		t.Errorf("the manual snapshot has %s, want 5 of 5", got)
	}
}

const allNumbers = "SELECT count(*) || ' of ' || coalesce(max(n), 0) FROM numbers"

func TestRestoreHasExactlyWhatWasCommittedUpToTheTarget(t *testing.T) {
	s := startSystem(t)
	c := s.createCluster("source")
	w := s.createInstance(c, "w")
	s.settled(c, w)
	s.exec(w, "CREATE TABLE numbers (n int PRIMARY KEY)")
	made := &commits{system: s}
	ofWriter := s.base(c)
	made.commit(w, 20)
	r := s.createInstance(c, "r")
	s.settled(c, w, r)
	made.commit(w, 10)
	ofReader := s.orderBase(c)
	made.commit(w, 10)

	// The role goes to the reader, and so does the timeline.
	s.changeCluster(c, func(c *aurora.DBCluster) { c.Spec.Failover = aurora.FailoverRequest{Generation: 1} })
	s.eventually("the reader writes", func() bool { return s.cluster(c).Status.Writer == r })
	s.settled(c, w, r)
	made.commit(r, 10)

	// The object store is away: commits go on, and are archived later.
	away := s.layout.Backups() + ".away"
	s.must(os.Rename(s.layout.Backups(), away))
	s.must(os.WriteFile(s.layout.Backups(), nil, 0o600))
	made.commit(r, 10)
	s.must(os.Remove(s.layout.Backups()))
	s.must(os.Rename(away, s.layout.Backups()))
	archive := s.archivedTo(c, made.at[len(made.at)-1].ended)

	points := []int{1, 41, 60}
	for range *morePoints {
		points = append(points, 1+rand.IntN(len(made.at)))
	}
	for i, n := range points {
		base := ofWriter
		if ofReader.Ended.Before(made.between(n)) {
			base = ofReader
		}
		from := aurora.RestoreSource{ClusterID: c, Base: base.ID, Time: made.between(n), End: archive.End, Timeline: s.cluster(c).Status.Timeline + 1}
		name := fmt.Sprintf("restored%d-%d", i, n)
		restored, in := s.restore(name, from, n == 60)
		s.reads(in, allNumbers, fmt.Sprintf("%d of %d", n, n))
		s.exec(in, "INSERT INTO numbers VALUES (1000)")
		if i == 1 { // a reader of it, and a failover to that, as in any other cluster
			reader := s.createInstance(restored, name+"-r")
			s.settled(restored, in, reader)
			s.reads(reader, allNumbers, fmt.Sprintf("%d of 1000", n+1))
			s.deleteInstance(in)
			s.settled(restored, reader)
			s.exec(reader, "INSERT INTO numbers VALUES (1001)")
		}
	}
}
