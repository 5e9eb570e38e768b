package aurora

import (
	"slices"
	"time"
)

// Meta is what every noun carries. Writer: the region.
type Meta struct {
	// ResourceID never changes and is never reused: "cluster-…" or "db-…", the
	// DbClusterResourceId and DbiResourceId of the RDS API.
	ResourceID string `json:"resourceId"`
	Account    string `json:"account"`
	Region     string `json:"region"`
	// Generation grows with every change of Spec or DeleteRequested.
	Generation int64     `json:"generation"`
	CreateTime time.Time `json:"createTime"`
	// DeleteRequested is set once and never cleared; the controller removes the
	// noun when nothing of it is left.
	DeleteRequested bool  `json:"deleteRequested,omitempty"`
	Tags            []Tag `json:"tags,omitempty"`
}

// Tag is a key and value that a user put on a resource.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// DBCluster is an Aurora DB cluster: one database, one writer, up to 15 readers.
type DBCluster struct {
	Meta
	Spec   DBClusterSpec   `json:"spec"`
	Status DBClusterStatus `json:"status"`
	Volume VolumeReport    `json:"volume,omitzero"`
}

// DBClusterSpec is what the user asked for. Writer: the region.
// Names and meanings are those of the RDS API's CreateDBCluster.
type DBClusterSpec struct {
	Identifier     string `json:"identifier"` // lower case, unique in account and region
	Engine         string `json:"engine"`     // aurora-postgresql
	EngineMode     string `json:"engineMode"` // provisioned
	EngineVersion  string `json:"engineVersion"`
	DatabaseName   string `json:"databaseName,omitempty"`
	MasterUsername string `json:"masterUsername"`
	// MasterUserVerifier is PostgreSQL's stored form of the master password
	// (SCRAM-SHA-256$…). The password itself is never stored.
	MasterUserVerifier string `json:"masterUserVerifier"`
	// MasterPasswordGeneration grows with every change of the verifier.
	MasterPasswordGeneration int64 `json:"masterPasswordGeneration"`

	// MasterSecret is the secret that has the password, if the region manages it.
	MasterSecret *MasterSecret `json:"masterSecret,omitempty"`

	// HTTPEndpoint says that the Data API may be used.
	HTTPEndpoint bool `json:"httpEndpoint,omitempty"`

	Port                 int      `json:"port"` // 0: the installation's default
	AvailabilityZones    []string `json:"availabilityZones"`
	DBSubnetGroupName    string   `json:"dbSubnetGroupName,omitempty"`
	VpcID                string   `json:"vpcId,omitempty"`
	VpcSecurityGroupIDs  []string `json:"vpcSecurityGroupIds,omitempty"`
	ParameterGroupName   string   `json:"parameterGroupName"`
	StorageEncrypted     bool     `json:"storageEncrypted,omitempty"`
	KmsKeyID             string   `json:"kmsKeyId,omitempty"` // a key ARN
	StorageType          string   `json:"storageType,omitempty"`
	IAMDatabaseAuth      bool     `json:"iamDatabaseAuth,omitempty"`
	DeletionProtection   bool     `json:"deletionProtection,omitempty"`
	CopyTagsToSnapshot   bool     `json:"copyTagsToSnapshot,omitempty"`
	CloudwatchLogExports []string `json:"cloudwatchLogExports,omitempty"`
	NetworkType          string   `json:"networkType,omitempty"`

	// Labels: kept and shown, without effect.
	EngineLifecycleSupport       string `json:"engineLifecycleSupport,omitempty"`
	MonitoringInterval           int    `json:"monitoringInterval,omitempty"` // seconds
	MonitoringRoleArn            string `json:"monitoringRoleArn,omitempty"`
	PerformanceInsightsEnabled   bool   `json:"performanceInsightsEnabled,omitempty"`
	PerformanceInsightsKMSKeyID  string `json:"performanceInsightsKmsKeyId,omitempty"`
	PerformanceInsightsRetention int    `json:"performanceInsightsRetention,omitempty"` // days

	BackupRetentionPeriod      int    `json:"backupRetentionPeriod"`      // days, 1–35
	PreferredBackupWindow      string `json:"preferredBackupWindow"`      // hh24:mi-hh24:mi, UTC
	PreferredMaintenanceWindow string `json:"preferredMaintenanceWindow"` // ddd:hh24:mi-ddd:hh24:mi, UTC

	ServerlessV2 *ServerlessV2Scaling `json:"serverlessV2,omitempty"`

	// LogCopies is how many copies of the WAL there are: 6 (4 must have a commit),
	// 3 (2 must) or 1. It never changes. 0 is 6.
	LogCopies int `json:"logCopies,omitempty"`
	// Failover is the last request for another writer (FailoverDBCluster).
	Failover FailoverRequest `json:"failover,omitzero"`

	// AssociatedRoles are kept and shown, without effect.
	AssociatedRoles []AssociatedRole `json:"associatedRoles,omitempty"`

	// CustomEndpoints lead to instances that users chose. Generation does not grow
	// with them: no server depends on them.
	CustomEndpoints []CustomEndpoint `json:"customEndpoints,omitempty"`

	// Restore is what the cluster's data is restored from; nil: it begins empty.
	Restore *RestoreSource `json:"restore,omitempty"`
	// ArchiveGeneration grows with every request for all that was committed to be in
	// the archive. Generation does not grow with it.
	ArchiveGeneration int64 `json:"archiveGeneration,omitempty"`
	// KeepBackups says that the automated backups of a cluster that is deleted stay.
	KeepBackups bool `json:"keepBackups,omitempty"`

	// Stopped has when a user stopped the cluster (StopDBCluster); nil: it is to run.
	Stopped *time.Time `json:"stopped,omitempty"`

	// Pending waits for the maintenance window.
	Pending *PendingClusterChanges `json:"pending,omitempty"`
	// ForceSSL says that clients must use TLS (rds.force_ssl of the parameter group).
	ForceSSL bool `json:"forceSsl,omitempty"`
}

// AssociatedRole is a role of IAM that a cluster may use for a feature.
type AssociatedRole struct {
	ARN     string `json:"arn"`
	Feature string `json:"feature,omitempty"`
}

// MasterSecret is a secret of Secrets Manager with the master user's password, which
// the region makes and rotates.
type MasterSecret struct {
	Name     string    `json:"name"`
	ARN      string    `json:"arn"`
	KmsKeyID string    `json:"kmsKeyId,omitempty"` // a key ARN; empty: Secrets Manager's own
	Rotated  time.Time `json:"rotated"`
}

// CustomEndpoint leads to some of a cluster's instances (CreateDBClusterEndpoint).
type CustomEndpoint struct {
	ResourceID string `json:"resourceId"` // cluster-endpoint-…
	Identifier string `json:"identifier"`
	// Type says which of the chosen instances serve: those that are readers or the
	// writer now, or any.
	Type string `json:"type"`
	// StaticMembers are the chosen ones, by resource id. Without them all are that
	// are not among ExcludedMembers.
	StaticMembers   []string `json:"staticMembers,omitempty"`
	ExcludedMembers []string `json:"excludedMembers,omitempty"`
	Tags            []Tag    `json:"tags,omitempty"`
}

// Types of custom endpoints, in AWS's words.
const (
	EndpointTypeReader = "READER"
	EndpointTypeWriter = "WRITER"
	EndpointTypeAny    = "ANY"
)

// Chooses says whether the endpoint leads to an instance, if that has the right role.
func (e *CustomEndpoint) Chooses(instance string) bool {
	if len(e.StaticMembers) > 0 {
		return slices.Contains(e.StaticMembers, instance)
	}
	return !slices.Contains(e.ExcludedMembers, instance)
}

// PendingClusterChanges are changes that a user did not want at once; what is empty
// stays as it is. They are no change of Spec before they are made.
type PendingClusterChanges struct {
	Identifier            string    `json:"identifier,omitempty"` // its name is taken already
	EngineVersion         string    `json:"engineVersion,omitempty"`
	StorageType           *string   `json:"storageType,omitempty"`
	BackupRetentionPeriod int       `json:"backupRetentionPeriod,omitempty"`
	CloudwatchLogExports  *[]string `json:"cloudwatchLogExports,omitempty"`
}

// ServerlessV2Scaling bounds the capacity of db.serverless instances, in Aurora
// capacity units (one ACU is about 2 GiB of memory).
type ServerlessV2Scaling struct {
	MinCapacity           float64 `json:"minCapacity"`
	MaxCapacity           float64 `json:"maxCapacity"`
	SecondsUntilAutoPause int     `json:"secondsUntilAutoPause,omitempty"`
}

// MaxStop is how long a cluster stays stopped; then it is started.
const MaxStop = 7 * 24 * time.Hour

// FailoverRequest is a user's wish for another writer.
type FailoverRequest struct {
	// Generation grows with every request; 0: there was none.
	Generation int64 `json:"generation,omitempty"`
	// Target is the resource id of the wanted writer; empty: Aurora's choice.
	Target string `json:"target,omitempty"`
}

// DBClusterStatus is what there is. Writer: the controller.
type DBClusterStatus struct {
	// ObservedGeneration is the Generation that Status and every instance's
	// server report have reached. Equal to Generation: converged.
	ObservedGeneration int64  `json:"observedGeneration"`
	Status             string `json:"status"`           // a ClusterStatus… word of AWS
	Reason             string `json:"reason,omitempty"` // why it is not available, for people

	// Term is the fencing number of the current writer; it only grows.
	Term int64 `json:"term"`
	// Timeline is the highest PostgreSQL timeline that was reserved for a
	// promotion. A number is never used twice, also when its promotion failed.
	Timeline int `json:"timeline,omitempty"`
	// TermSince is when Term began: a candidate that takes too long is replaced.
	TermSince time.Time `json:"termSince,omitzero"`
	// FailoverGeneration is the Spec.Failover.Generation that was answered.
	FailoverGeneration int64 `json:"failoverGeneration,omitempty"`
	// Evaded is when the role last left a writer for its damaged pages.
	Evaded time.Time `json:"evaded,omitzero"`
	// FailedOver is the writer that the failover which goes on began with; empty
	// when the writer of Term serves.
	FailedOver string `json:"failedOver,omitempty"`
	// Hurried says that in this failover one heir was given up early.
	Hurried bool `json:"hurried,omitempty"`
	// Writer is the resource id of the writer, empty before the first instance.
	Writer string `json:"writer,omitempty"`
	// Initialized says that the database exists (initdb is done and the master
	// user is there), so that no instance is ever initialized a second time.
	Initialized bool `json:"initialized,omitempty"`
	// SystemIdentifier is PostgreSQL's, decimal.
	SystemIdentifier string `json:"systemIdentifier,omitempty"`

	// LogZones has the zone of each copy of the WAL.
	LogZones []string `json:"logZones,omitempty"`
	// LogHosts has the id of the host of each copy of the WAL.
	LogHosts []string `json:"logHosts,omitempty"`
	// LogMove orders the node of the writer's host to have the copies elsewhere; nil:
	// they stay where they are.
	LogMove *LogMove `json:"logMove,omitempty"`

	WriterEndpoint Address `json:"writerEndpoint,omitzero"`
	ReaderEndpoint Address `json:"readerEndpoint,omitzero"`

	// CustomEndpoints has where those of Spec are served.
	CustomEndpoints []CustomEndpointStatus `json:"customEndpoints,omitempty"`

	// OSUser is the numeric user and group id of the cluster's servers; 0 means
	// the user that Daybreak itself runs as.
	OSUser int `json:"osUser,omitempty"`
	// InternalSecret is what the passwords of Daybreak's own database roles are
	// derived from, sealed for InternalSecretPurpose.
	InternalSecret []byte `json:"internalSecret,omitempty"`

	// Backup is the base backup that is to be made, if any.
	Backup *BackupOrder `json:"backup,omitempty"`
	// Handover is the planned change of writer that is going on, if any.
	Handover *Handover `json:"handover,omitempty"`
	// Retained is the data of a cluster that has no instance. The next instance
	// adopts it.
	Retained *RetainedData `json:"retained,omitempty"`
}

// CustomEndpointStatus is where a custom endpoint is served.
type CustomEndpointStatus struct {
	ResourceID string  `json:"resourceId"`
	Address    Address `json:"address"`
}

// CustomAddress is where a custom endpoint is served; empty if it is not yet.
func (c *DBCluster) CustomAddress(endpoint string) Address {
	for _, e := range c.Status.CustomEndpoints {
		if e.ResourceID == endpoint {
			return e.Address
		}
	}
	return Address{}
}

// Handover passes the writer's role on to a reader without losing a commit: stop
// From cleanly, wait for a reader that has replayed all of its WAL, promote that
// reader in the next term.
//
// While From's task is RoleStopped, endpoints let its sessions finish their
// transactions and hold what comes after; its node stops it when no transaction
// is open any more, or after HandoverGrace.
type Handover struct {
	From string `json:"from"` // the old writer's resource id
	// Target is the wanted heir; empty: the best one.
	Target string `json:"target,omitempty"`
	// Since is when the attempt began; in the future, when the next one may.
	Since time.Time `json:"since"`
	// StopLSN is the last checkpoint of the stopped writer; 0 while it stops.
	StopLSN uint64 `json:"stopLsn,omitempty"`
}

// LogMove says where the copies of a cluster's log are to be.
type LogMove struct {
	// Generation tells one order from the next.
	Generation int64    `json:"generation"`
	Zones      []string `json:"zones"`
	Hosts      []string `json:"hosts"`
	// Again says that an order before this one may have been begun: copies that
	// neither list has may count.
	Again bool `json:"again,omitempty"`
}

// LogMoveReport is what became of the newest LogMove.
type LogMoveReport struct {
	Done int64 `json:"done,omitempty"` // Generation of the last one that was carried out
	// Problem says why the present one is not yet.
	Problem string `json:"problem,omitempty"`
}

// HandoverGrace is how long open transactions may go on in a handover.
const HandoverGrace = 3 * time.Second

// RetainedData is the data directory that the last instance of a cluster left.
type RetainedData struct {
	Instance string `json:"instance"` // the resource id that its directory has
	Zone     string `json:"zone"`
	Host     string `json:"host"`
	// Remove orders the host to delete it: the cluster is being deleted.
	Remove bool `json:"remove,omitempty"`
}

// VolumeReport is what nodes did with what belongs to the cluster and not to one
// instance. Writer: the node.
type VolumeReport struct {
	// Removed is the Retained.Instance whose directory is gone.
	Removed string `json:"removed,omitempty"`
	// Base is the newest base copy; the log has all WAL since it was begun.
	Base BaseCopy `json:"base,omitzero"`
	// LogRemoved has the hosts that have nothing left of the log and the base copy
	// of a deleted cluster.
	LogRemoved []string `json:"logRemoved,omitempty"`
	// LogMove is how far the order in Status.LogMove is.
	LogMove LogMoveReport `json:"logMove,omitzero"`
	// Archived is the last Spec.ArchiveGeneration that was met.
	Archived ArchiveMark `json:"archived,omitzero"`
	// Log is how the log is, for people; the data path does not depend on it.
	Log LogReport `json:"log,omitzero"`
}

// BaseCopy is a copy of the database outside the writer's zone.
type BaseCopy struct {
	Zone string `json:"zone"`
	Host string `json:"host"`
	// LSN is where replay from it begins.
	LSN  uint64    `json:"lsn"`
	Time time.Time `json:"time"`
}

// LogReport is how a cluster's log is.
type LogReport struct {
	Whole int `json:"whole,omitempty"` // copies that get every commit
	Disks int `json:"disks,omitempty"` // that the copies are on
	// Problem says why one does not.
	Problem string `json:"problem,omitempty"`
}

// InternalSecretPurpose is what a cluster's InternalSecret is sealed for.
func InternalSecretPurpose(clusterID string) string { return "internal-secret/" + clusterID }

// Address is where clients connect.
type Address struct {
	Host string `json:"host"`
	Port int    `json:"port"`
	// Published is a second address for other hosts and containers, if the
	// installation has one (host:port).
	Published string `json:"published,omitempty"`
}

// Cluster statuses, in AWS's words.
const (
	ClusterStatusCreating              = "creating"
	ClusterStatusAvailable             = "available"
	ClusterStatusModifying             = "modifying"
	ClusterStatusResettingCredentials  = "resetting-master-credentials"
	ClusterStatusFailingOver           = "failing-over"
	ClusterStatusDeleting              = "deleting"
	ClusterStatusStopping              = "stopping"
	ClusterStatusStopped               = "stopped"
	ClusterStatusStarting              = "starting"
	ClusterStatusInaccessibleEncrypted = "inaccessible-encryption-credentials"
)

// DeletedCluster remembers that a cluster was deleted, by its resource id, so that a
// host which was away then may delete what it still has of it. Writer: the controller.
type DeletedCluster struct {
	Identifier string    `json:"identifier"`
	Time       time.Time `json:"time"`
}
