package aurora

import "time"

// DBInstance is one PostgreSQL server of a DB cluster.
type DBInstance struct {
	Meta
	Spec   DBInstanceSpec   `json:"spec"`
	Status DBInstanceStatus `json:"status"`
	Server ServerReport     `json:"server"`
}

// DBInstanceSpec is what the user asked for. Writer: the region.
// Names and meanings are those of the RDS API's CreateDBInstance.
type DBInstanceSpec struct {
	Identifier        string `json:"identifier"`
	ClusterResourceID string `json:"clusterResourceId"`
	ClusterIdentifier string `json:"clusterIdentifier"`
	Engine            string `json:"engine"`
	Class             string `json:"class"` // db.r6g.large
	// AvailabilityZone is empty when the user left the choice to us.
	AvailabilityZone        string `json:"availabilityZone,omitempty"`
	PromotionTier           int    `json:"promotionTier"` // 0–15
	PubliclyAccessible      bool   `json:"publiclyAccessible,omitempty"`
	AutoMinorVersionUpgrade bool   `json:"autoMinorVersionUpgrade,omitempty"`
	CopyTagsToSnapshot      bool   `json:"copyTagsToSnapshot,omitempty"`
	ParameterGroupName      string `json:"parameterGroupName"`
	CACertificateIdentifier string `json:"caCertificateIdentifier"`
	MonitoringInterval      int    `json:"monitoringInterval,omitempty"` // seconds
	MonitoringRoleArn       string `json:"monitoringRoleArn,omitempty"`

	PerformanceInsightsEnabled   bool   `json:"performanceInsightsEnabled,omitempty"`
	PerformanceInsightsKMSKeyID  string `json:"performanceInsightsKmsKeyId,omitempty"`
	PerformanceInsightsRetention int    `json:"performanceInsightsRetention,omitempty"` // days

	PreferredBackupWindow      string `json:"preferredBackupWindow"`
	PreferredMaintenanceWindow string `json:"preferredMaintenanceWindow"`

	// RestartGeneration grows with every RebootDBInstance.
	RestartGeneration int64 `json:"restartGeneration,omitempty"`

	// PendingClass and PendingIdentifier, whose name is taken already, wait for the
	// maintenance window.
	PendingClass      string `json:"pendingClass,omitempty"`
	PendingIdentifier string `json:"pendingIdentifier,omitempty"`
	// PendingUpdate says that the server is to be restarted with the host's newest
	// PostgreSQL in the maintenance window.
	PendingUpdate bool `json:"pendingUpdate,omitempty"`

	// Parameters are what the parameter groups of the cluster and of the instance
	// make of PostgreSQL's settings, by PostgreSQL's names; values may be formulas.
	Parameters map[string]string `json:"parameters,omitempty"`
	// ParameterGeneration grows with every change of Parameters. Generation does
	// not: what needs no restart is no modification of the instance.
	ParameterGeneration int64 `json:"parameterGeneration,omitempty"`
	// ClusterGroupRevision and GroupRevision are how much of the history of the
	// cluster's parameter group of that name, and of its own, is in Parameters.
	ClusterGroupName     string `json:"clusterGroupName,omitempty"`
	ClusterGroupRevision int64  `json:"clusterGroupRevision,omitempty"`
	GroupRevision        int64  `json:"groupRevision,omitempty"`
}

// DBInstanceStatus is what the controller decided about the instance.
// Writer: the controller.
type DBInstanceStatus struct {
	ObservedGeneration int64  `json:"observedGeneration"`
	Status             string `json:"status"` // an InstanceStatus… word of AWS
	Reason             string `json:"reason,omitempty"`

	AvailabilityZone string  `json:"availabilityZone,omitempty"` // the zone it was placed in
	Host             string  `json:"host,omitempty"`             // the id of the Host that runs it
	Endpoint         Address `json:"endpoint,omitzero"`
	Task             Task    `json:"task,omitzero"`
	// Lagging says that the reader endpoint does not lead to the instance while
	// another reader lags less.
	Lagging bool `json:"lagging,omitempty"`
	// Damaged says that users were told of damaged pages, and Recovering that the
	// instance's data is made anew for that, since the time of Recovery.
	Damaged    bool      `json:"damaged,omitempty"`
	Recovering bool      `json:"recovering,omitempty"`
	Recovery   time.Time `json:"recovery,omitzero"`
	// Unstartable says that users were told that the server cannot be started.
	Unstartable bool `json:"unstartable,omitempty"`
}

// Task is the standing order of the controller to the node: make the instance's
// server so, and keep it so. The node repeats it until the report agrees.
type Task struct {
	Role ServerRole `json:"role,omitempty"`
	// Term is the cluster's term that Role was decided in.
	Term int64 `json:"term,omitempty"`
	// Upstream is the resource id of the instance that a reader follows.
	Upstream string `json:"upstream,omitempty"`
	// Build says how an empty data directory is filled.
	Build Build `json:"build,omitempty"`
	// Adopt is the data that BuildAdopt takes over.
	Adopt RetainedData `json:"adopt,omitzero"`
	// ReachLSN: a writer is never promoted before it has replayed this position;
	// a reader reports in ReachedLSN when it has. 0: none.
	ReachLSN uint64 `json:"reachLsn,omitempty"`
	// Timeline is the number that a promotion in Term makes; 0: no promotion.
	Timeline int `json:"timeline,omitempty"`
	// Rebuild greater than the report's Rebuilt has a reader throw its data away and
	// get it anew.
	Rebuild int64 `json:"rebuild,omitempty"`
	// Generation greater than the report's ObservedGeneration is the server's turn
	// to take the newest settings, with a restart if they need one.
	Generation int64 `json:"generation,omitempty"`
}

// ServerRole is what a server is for. Without a role the node does nothing: no
// data is ever removed for want of an order.
type ServerRole string

const (
	RoleNone    ServerRole = ""
	RoleWriter  ServerRole = "writer"
	RoleReader  ServerRole = "reader"
	RoleStopped ServerRole = "stopped" // cleanly shut down, data directory kept
	RoleRemoved ServerRole = "removed" // no server and no data directory
)

// Build is a way to fill an empty data directory.
type Build string

const (
	BuildInitdb  Build = "initdb"  // the cluster's first instance, and only while it is not Initialized
	BuildCopy    Build = "copy"    // a copy of the upstream
	BuildAdopt   Build = "adopt"   // the data that the cluster's last instance left
	BuildRestore Build = "restore" // the cluster's first instance, from its Spec.Restore
	BuildLog     Build = "log"     // the base copy, and all WAL since from the log
)

// ServerReport is what the node sees of the instance's server. Writer: the node.
type ServerReport struct {
	Phase ServerPhase `json:"phase,omitempty"`
	// Role and Term are those of the task that the running server fulfils.
	Role ServerRole `json:"role,omitempty"`
	Term int64      `json:"term,omitempty"`
	// ObservedGeneration and ClusterGeneration are the generations of the
	// instance and of its cluster whose settings the server runs with.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	ClusterGeneration  int64 `json:"clusterGeneration,omitempty"`
	// Class is that of the ObservedGeneration.
	Class string `json:"class,omitempty"`
	// MasterPasswordGeneration is the one applied in the database (writer only).
	MasterPasswordGeneration int64 `json:"masterPasswordGeneration,omitempty"`
	RestartGeneration        int64 `json:"restartGeneration,omitempty"`
	// ParameterGeneration is that of the Parameters which the server has read.
	ParameterGeneration int64 `json:"parameterGeneration,omitempty"`

	PID       int       `json:"pid,omitempty"`
	StartTime time.Time `json:"startTime,omitzero"`
	SocketDir string    `json:"socketDir,omitempty"` // where the endpoint reaches the server
	Version   string    `json:"version,omitempty"`   // the running minor, as 15.18
	// SystemIdentifier is there from when the data directory is complete.
	SystemIdentifier string `json:"systemIdentifier,omitempty"`
	SharedBuffers    int64  `json:"sharedBuffers,omitempty"`  // bytes, as running
	MaxConnections   int    `json:"maxConnections,omitempty"` // as running
	// PendingReboot says that settings wait for the next restart.
	PendingReboot bool `json:"pendingReboot,omitempty"`
	// PendingSettings are their names, joined by commas.
	PendingSettings string `json:"pendingSettings,omitempty"`
	// StopLSN is the shutdown checkpoint of a cleanly stopped server; 0 when it
	// did not stop cleanly.
	StopLSN uint64 `json:"stopLsn,omitempty"`
	// ReachedLSN is the Task.ReachLSN that a reader has replayed.
	ReachedLSN uint64 `json:"reachedLsn,omitempty"`
	// EndedTerm is the highest term in which the writer's server ended or was
	// given up by its node: it serves again in a later one only.
	EndedTerm int64 `json:"endedTerm,omitempty"`
	// Restarting says that the server was stopped by its node to be started again
	// with new settings, in the next term.
	Restarting bool `json:"restarting,omitempty"`
	// Lost says that the data directory is gone or cannot be used: only a copy
	// brings it back.
	Lost bool `json:"lost,omitempty"`
	// Suspect says why the running writer does not prove that it works; empty: it does.
	Suspect string `json:"suspect,omitempty"`
	// Stalled says that commits wait because the log has no quorum.
	Stalled bool `json:"stalled,omitempty"`
	// Lagging says that a reader shows what is too old: it replays WAL too slowly.
	Lagging bool `json:"lagging,omitempty"`
	// Stuck says that a reader replays nothing although it has WAL to replay.
	Stuck bool `json:"stuck,omitempty"`
	// ReplayBytes is roughly how much WAL is to be replayed before the instance
	// could be the writer: what a reader is behind, and what a writer would have to
	// after a crash. It is rounded by ReplayStep, so that it changes seldom.
	ReplayBytes int64 `json:"replayBytes,omitempty"`
	// Damaged names the databases in which pages that are read fail their checksums,
	// until the data is made anew. Rebuilt is the Task.Rebuild that was done last.
	Damaged string `json:"damaged,omitempty"`
	Rebuilt int64  `json:"rebuilt,omitempty"`
	// FailedStarts are those in a row that failed for what is in the data directory.
	FailedStarts FailedStarts `json:"failedStarts,omitzero"`
	// Message says for people what is being done or what is wrong.
	Message string `json:"message,omitempty"`
}

// MaxFailedStarts is how often a server is tried to be started from a data directory
// that keeps it from that.
const MaxFailedStarts = 5

// FailedStarts are attempts to start a server that came to nothing.
type FailedStarts struct {
	Count int `json:"count,omitempty"`
	// With is a digest of what the server was started with: its version and
	// settings, and whether a user had it started again.
	With string `json:"with,omitempty"`
	// Reason is what PostgreSQL said of the last one, and Log the end of its log,
	// without what its clients made it write.
	Reason string `json:"reason,omitempty"`
	Log    string `json:"log,omitempty"`
}

// TooMany says that the server cannot be started from its data directory.
func (f FailedStarts) TooMany() bool { return f.Count >= MaxFailedStarts }

// ReplayStep rounds down to a power of two, and below 64 MiB to nothing.
func ReplayStep(bytes int64) int64 {
	const least = 64 << 20
	if bytes < least {
		return 0
	}
	step := int64(least)
	for step <= bytes/2 {
		step *= 2
	}
	return step
}

// Sight is what was last seen of an instance's WAL, for those on other hosts who
// tell of it. Writer: the node of the instance's host.
type Sight struct {
	At         time.Time     `json:"at"`
	DurableLSN uint64        `json:"durableLsn,omitempty"` // written and synced
	ReplayLSN  uint64        `json:"replayLsn,omitempty"`  // a reader's
	Lag        time.Duration `json:"lagNs,omitempty"`
	CPU        float64       `json:"cpu,omitempty"` // percent
}

// ServerPhase is the life of a server as the node sees it.
type ServerPhase string

const (
	PhaseNone     ServerPhase = ""         // nothing is there
	PhaseBuilding ServerPhase = "building" // the data directory is being filled
	PhaseStarting ServerPhase = "starting" // recovery, or not yet accepting connections
	PhaseRunning  ServerPhase = "running"  // accepts connections in Role
	PhaseStopping ServerPhase = "stopping"
	PhaseStopped  ServerPhase = "stopped" // the data directory is there, no process
	PhaseFailed   ServerPhase = "failed"  // Message says why; the node goes on trying
	PhaseRemoved  ServerPhase = "removed" // process and data directory are gone
)

// Instance statuses, in AWS's words.
const (
	InstanceStatusCreating  = "creating"
	InstanceStatusAvailable = "available"
	InstanceStatusModifying = "modifying"
	InstanceStatusRebooting = "rebooting"
	InstanceStatusDeleting  = "deleting"
	InstanceStatusStopping  = "stopping"
	InstanceStatusStopped   = "stopped"
	InstanceStatusStarting  = "starting"
	InstanceStatusFailed    = "failed"
)
