package node

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/backup"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
	"github.com/daybreakdb/daybreak/internal/state"
)

const (
	// archivePause is how often it is seen whether there is WAL to archive.
	archivePause = time.Second
	// archivePatience is how long the object store may fail before users are told.
	archivePatience = time.Minute
)

// backups is where the backups of a cluster are.
func (n *node) backups(cluster string) backup.Store {
	return backup.Store{Blobs: n.config.Backups, Cluster: cluster}
}

// startBackups starts what this host does for the backups of a cluster.
func (n *node) startBackups(ctx context.Context, item state.Item[aurora.DBCluster]) {
	if n.archivesHere(item.Value) {
		n.start("archive "+item.Key, func() { n.archive(ctx, item.Key) })
	}
	if item.Value.Status.Backup != nil && n.backsUpHere(item.Value) {
		n.start("backup "+item.Key, func() { n.backUp(ctx, item.Key) })
	}
}

// archivesHere says whether the host leads the cluster's log: that of its writer, or
// of the data that its last instance left.
func (n *node) archivesHere(c aurora.DBCluster) bool {
	st := c.Status
	if !st.Initialized || len(st.InternalSecret) == 0 || len(st.LogZones) == 0 {
		return false
	}
	if c.DeleteRequested && c.Spec.ArchiveGeneration <= c.Volume.Archived.Generation {
		return false // and the log is about to go
	}
	if st.Writer == "" {
		return st.Retained != nil && st.Retained.Host == n.config.HostID
	}
	return n.hostOf(st.Writer) == n.config.HostID
}

// backsUpHere says whether the host makes the cluster's base backups.
func (n *node) backsUpHere(c aurora.DBCluster) bool {
	if c.Status.Writer == "" {
		return n.archivesHere(c)
	}
	writer, ok := n.instances.Get(c.Status.Writer)
	return ok && n.runsHere(writer.Value) && writer.Value.Server.Role == aurora.RoleWriter
}

// clusterLog is the log of a cluster that is led here.
type clusterLog struct {
	client *wal.Client
	of     wal.Cluster
}

func (l clusterLog) Status(ctx context.Context) (wal.Status, error) {
	return l.client.Status(ctx, l.of)
}

func (l clusterLog) Read(ctx context.Context, at wal.LSN, n int) ([]byte, error) {
	return l.client.Read(ctx, l.of, at, n)
}

// logOf names the log of a cluster.
func (n *node) logOf(c aurora.DBCluster) (wal.Cluster, error) {
	var s postgres.Server
	secret, err := n.config.Keyring.Open(c.Status.InternalSecret, aurora.InternalSecretPurpose(c.ResourceID))
	if err == nil {
		err = s.DerivePasswords(secret)
	}
	return wal.Cluster{ID: c.ResourceID, Zones: c.Status.LogZones, Hosts: c.Status.LogHosts,
		SystemIdentifier: c.Status.SystemIdentifier, Password: s.ReplicationPassword}, err
}

// archive copies the WAL of a cluster to the object store while its log is led here.
func (n *node) archive(ctx context.Context, id string) {
	a := &archiving{node: n, archiver: &backup.Archiver{Store: n.backups(id)}}
	if stored, err := state.Archives(n.config.Store).Get(ctx, id); err == nil {
		a.told = stored.Value
	}
	for ctx.Err() == nil {
		item, ok := n.clusters.Get(id)
		if !ok || !n.archivesHere(item.Value) {
			return
		}
		err := a.step(ctx, item.Value)
		if ctx.Err() != nil {
			return
		}
		a.report(ctx, item.Value, err)
		n.archiveAgain(ctx, item)
	}
}

// archiveAgain returns when there may be something to archive.
func (n *node) archiveAgain(ctx context.Context, before state.Item[aurora.DBCluster]) {
	timer := time.NewTimer(archivePause)
	defer timer.Stop()
	for {
		changed := n.changed()
		if item, ok := n.clusters.Get(before.Key); !ok || item.Value.Spec.ArchiveGeneration != before.Value.Spec.ArchiveGeneration {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

type archiving struct {
	*node
	archiver *backup.Archiver
	told     aurora.Archive
	failing  time.Time // since when; zero: it is not
}

// step archives what is committed. If somebody waits for that, the log must prove
// that it is led here: what was committed elsewhere before would be missing.
func (a *archiving) step(ctx context.Context, c aurora.DBCluster) error {
	of, err := a.logOf(c)
	if err != nil {
		return err
	}
	a.archiver.Log = clusterLog{a.wal, of}
	generation := c.Spec.ArchiveGeneration
	hurry := generation > c.Volume.Archived.Generation
	if hurry {
		if err := a.fence(ctx, c, of); err != nil {
			return err
		}
	}
	if err := a.archiver.Step(ctx, hurry); err != nil || !hurry {
		return err
	}
	mark := aurora.ArchiveMark{Generation: generation, End: uint64(a.archiver.Position().End)}
	if mark.End == 0 {
		return errNoLog
	}
	item, err := state.DBClusters(a.config.Store).Update(ctx, c.ResourceID, func(v *aurora.DBCluster) error {
		if v.Volume.Archived.Generation >= generation {
			return state.ErrUnchanged
		}
		v.Volume.Archived = mark
		return nil
	})
	if err != nil {
		return err
	}
	return a.clusters.WaitRevision(ctx, item.Revision)
}

// fence has the log's quorum confirm, after the call, that it is led here.
func (a *archiving) fence(ctx context.Context, c aurora.DBCluster, of wal.Cluster) error {
	if c.Status.Writer == "" {
		st, err := a.wal.Status(ctx, of)
		if err == nil && len(st.History) == 0 { // the log began again since the writer's end
			_, err = a.wal.Open(ctx, of, c.Status.Term, false)
		}
		return err
	}
	o, ok := a.order(c.Status.Writer)
	if !ok || o.task.Role == aurora.RoleStopped {
		return nil // it stopped when the log had everything
	}
	s, err := a.server(o)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := s.Connect(limited)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return postgres.Barrier(limited, conn)
}

// report stores how far the archive is, and what keeps it.
func (a *archiving) report(ctx context.Context, c aurora.DBCluster, err error) {
	now := a.told
	if at := a.archiver.Position(); at.End != 0 {
		now.Begin, now.End = uint64(at.Begin), uint64(at.End)
		if at.Commit.After(now.Commit) {
			now.Commit = at.Commit
		}
	}
	if err == nil {
		a.failing, now.Problem, now.Since = time.Time{}, "", time.Time{}
	} else if a.failing.IsZero() {
		a.failing = time.Now()
	} else if time.Since(a.failing) >= archivePatience && now.Problem == "" {
		now.Problem, now.Since = err.Error(), a.failing.UTC()
		slog.Error("node: WAL is not archived and stays in the log", "cluster", c.ResourceID, "since", now.Since, "error", err)
	}
	if now == a.told {
		return
	}
	table := state.Archives(a.config.Store)
	_, err = table.UpdateTelling(ctx, c.ResourceID, func(v *aurora.Archive) error { *v = now; return nil },
		func(before, after aurora.Archive) []aurora.Event {
			switch {
			case before.Problem == "" && after.Problem != "":
				return []aurora.Event{aurora.ArchiveStopped(&c, after.Since)}
			case before.Problem != "" && after.Problem == "":
				return []aurora.Event{aurora.ArchiveResumed(&c)}
			}
			return nil
		})
	if errors.Is(err, state.ErrNotFound) {
		_, err = table.Create(ctx, c.ResourceID, now)
	}
	if err == nil {
		a.told = now
	}
}
