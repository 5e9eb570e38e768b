package aurora

import "time"

// Archive is how far the WAL of a cluster is in the object store. Writer: the node
// of the host that leads the cluster's log.
type Archive struct {
	// Begin is from where on it has all WAL, End up to where.
	Begin uint64 `json:"begin"`
	End   uint64 `json:"end"`
	// Commit is when the last transaction was committed that is in it: the cluster
	// can be restored as it was then.
	Commit time.Time `json:"commit,omitzero"`
	// Problem says why it does not go on, since a time.
	Problem string    `json:"problem,omitempty"`
	Since   time.Time `json:"since,omitzero"`
}

// ArchiveMark says that a request for all WAL to be archived was met.
type ArchiveMark struct {
	Generation int64  `json:"generation,omitempty"`
	End        uint64 `json:"end,omitempty"` // of what was committed before
}

// BaseBackup is a complete base backup in the object store. Writer: the node that
// made it. It never changes, but for Deleting.
type BaseBackup struct {
	ID        string `json:"id"`
	ClusterID string `json:"clusterId"` // resource id
	// Start is where its recovery begins, Stop up to where it must go at least.
	Start uint64 `json:"start"`
	Stop  uint64 `json:"stop"`
	// Ended is the first moment that can be restored from it.
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	Bytes int64     `json:"bytes"`
	// Stored is how much its objects take.
	Stored int64 `json:"stored"`
	// Deleting says that its objects are being deleted: nothing may be restored from it.
	Deleting bool `json:"deleting,omitempty"`
}

// SnapshotIdentifier is what it is called as an automated snapshot.
func (b *BaseBackup) SnapshotIdentifier(c *DBCluster) string {
	return "rds:" + c.Spec.Identifier + "-" + b.Ended.UTC().Format("2006-01-02-15-04-05")
}

// BackupOrder orders the node of the writer's host to make a base backup.
type BackupOrder struct {
	ID string `json:"id"`
}

// BackupIDLayout is what the id of a base backup is: when it was ordered.
const BackupIDLayout = "20060102T150405.000Z"

// RestoreSource is what a cluster's data is restored from, when it gets its first
// instance.
type RestoreSource struct {
	ClusterID string `json:"clusterId"` // whose backup it is, by resource id
	Base      string `json:"base"`
	// Time is the last moment whose commits are restored; zero: all before End.
	Time time.Time `json:"time,omitzero"`
	// End is up to where WAL is needed at most.
	End uint64 `json:"end"`
	// Timeline is higher than those of the source.
	Timeline int `json:"timeline"`
}

// Snapshot statuses, and types, in AWS's words.
const (
	SnapshotStatusCreating  = "creating"
	SnapshotStatusAvailable = "available"
	SnapshotStatusDeleting  = "deleting"
	SnapshotStatusFailed    = "failed"

	SnapshotTypeManual    = "manual"
	SnapshotTypeAutomated = "automated"
)

// DBClusterSnapshot is a DB cluster snapshot: a position in the WAL of a cluster,
// with a base backup that was made before. Meta is its own.
type DBClusterSnapshot struct {
	Meta
	Identifier string `json:"identifier"`
	Type       string `json:"type"`
	// ClusterID is the resource id of the cluster whose backups it is made of;
	// Cluster is what that was, without its state.
	ClusterID         string        `json:"clusterId"`
	ClusterCreateTime time.Time     `json:"clusterCreateTime"`
	Cluster           DBClusterSpec `json:"cluster"`
	SourceARN         string        `json:"sourceArn,omitempty"` // of a copy
	// Generation of Meta is not used: ArchiveGeneration is what the cluster's archive
	// must have reached.
	ArchiveGeneration int64 `json:"archiveGeneration,omitempty"`
	// Shared has the accounts that may restore it; "all" is everybody.
	Shared []string `json:"shared,omitempty"`

	// Status and Source are the controller's. A cluster without data has no Source.
	Status string         `json:"status"`
	Source *RestoreSource `json:"source,omitempty"`
	Bytes  int64          `json:"bytes,omitempty"`
}

// BackupSet is what is left of a deleted cluster: its backups.
type BackupSet struct {
	Cluster DBCluster `json:"cluster"`
	Deleted time.Time `json:"deleted"`
	// Keep says that its automated backups stay for the retention period.
	Keep bool `json:"keep,omitempty"`
}
