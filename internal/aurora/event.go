package aurora

import (
	"fmt"
	"time"
)

// Event is something that happened to a resource, as DescribeEvents tells it.
// Writers: the region for what a user asked for, the controller for the rest.
type Event struct {
	ID         string    `json:"id"` // sorts by time
	Time       time.Time `json:"time"`
	Account    string    `json:"account"`
	Region     string    `json:"region"`
	SourceType string    `json:"sourceType"` // db-cluster, db-instance
	SourceID   string    `json:"sourceId"`   // the identifier that users know
	EventID    string    `json:"eventId"`    // RDS-EVENT-0071
	Categories []string  `json:"categories"`
	Message    string    `json:"message"`
}

// Source types of events.
const (
	SourceDBCluster  = "db-cluster"
	SourceDBInstance = "db-instance"
	SourceDBSnapshot = "db-cluster-snapshot"
)

// FailoverStarted: a reader takes over, in the writer's zone or in another.
func FailoverStarted(c *DBCluster, to string, sameZone bool) Event {
	if sameZone {
		return clusterEvent(c, "RDS-EVENT-0072", "failover", "Started same AZ failover to DB instance: "+to+".")
	}
	return clusterEvent(c, "RDS-EVENT-0073", "failover", "Started cross AZ failover to DB instance: "+to+".")
}

// FailoverCompleted: the new writer serves.
func FailoverCompleted(c *DBCluster, to string) Event {
	return clusterEvent(c, "RDS-EVENT-0071", "failover", "Completed failover to DB instance: "+to+".")
}

// PreviousPromoted: the former writer serves again, nobody could take over.
func PreviousPromoted(c *DBCluster, name string) Event {
	return clusterEvent(c, "RDS-EVENT-0070", "failover", "Promoting previous primary again: "+name+".")
}

// FailoverFailed: no reader could take over.
func FailoverFailed(c *DBCluster) Event {
	return clusterEvent(c, "RDS-EVENT-0069", "failover", "Cluster failover failed, check the health of your cluster instances and try again.")
}

// ClusterCreated and the like: what users asked for is there, or gone.
func ClusterCreated(c *DBCluster) Event {
	return clusterEvent(c, "RDS-EVENT-0170", "creation", "DB cluster created.")
}
func ClusterDeleted(c *DBCluster) Event {
	return clusterEvent(c, "RDS-EVENT-0171", "deletion", "DB cluster deleted.")
}

// ClusterStopped and the like: a cluster was stopped, runs again, or has been
// stopped for as long as it may.
func ClusterStopped(c *DBCluster) Event {
	return clusterEvent(c, "RDS-EVENT-0150", "notification", "DB cluster stopped.")
}
func ClusterStarted(c *DBCluster) Event {
	return clusterEvent(c, "RDS-EVENT-0151", "notification", "DB cluster started.")
}
func ClusterStoppedTooLong(c *DBCluster) Event {
	return clusterEvent(c, "RDS-EVENT-0153", "notification", "DB cluster is being started due to it exceeding the maximum allowed time being stopped.")
}
func InstanceStopped(in *DBInstance) Event {
	return instanceEvent(in, "RDS-EVENT-0087", "notification", "DB instance stopped.")
}
func InstanceStarted(in *DBInstance) Event {
	return instanceEvent(in, "RDS-EVENT-0088", "notification", "DB instance started.")
}

// InstanceCreated and InstanceDeleted: what users asked for is there, or gone.
func InstanceCreated(in *DBInstance) Event {
	return instanceEvent(in, "RDS-EVENT-0005", "creation", "DB instance created.")
}
func InstanceDeleted(in *DBInstance) Event {
	return instanceEvent(in, "RDS-EVENT-0003", "deletion", "DB instance deleted.")
}

// CredentialsReset: a user gave the master user another password.
func CredentialsReset(c *DBCluster) Event {
	return clusterEvent(c, "RDS-EVENT-0016", "configuration change", "Reset master credentials.")
}

// ClusterRenamed: a cluster has another name.
func ClusterRenamed(c *DBCluster, from string) Event {
	return clusterEvent(c, "RDS-EVENT-0172", "notification", "Renamed cluster from "+from+" to "+c.Spec.Identifier+".")
}

// VersionUpgraded: the engine version of a cluster is a later one.
func VersionUpgraded(c *DBCluster) Event {
	return clusterEvent(c, "RDS-EVENT-0173", "maintenance", "Database cluster engine version has been upgraded.")
}

// ClassModified and MonitoringModified: a user changed an instance.
func ClassModified(in *DBInstance) Event {
	return instanceEvent(in, "RDS-EVENT-0012", "configuration change", "Applying modification to database instance class.")
}
func MonitoringModified(in *DBInstance) Event {
	return instanceEvent(in, "RDS-EVENT-0078", "configuration change", fmt.Sprintf("Monitoring Interval changed to %d.", in.Spec.MonitoringInterval))
}

// ParameterGroupChanged: a user gave an instance another parameter group.
func ParameterGroupChanged(in *DBInstance) Event {
	return instanceEvent(in, "RDS-EVENT-0011", "configuration change", "Updated to use DBParameterGroup "+in.Spec.ParameterGroupName+".")
}

// InstanceRestarted: the server of an instance was started again.
func InstanceRestarted(in *DBInstance) Event {
	return instanceEvent(in, "RDS-EVENT-0006", "availability", "DB instance restarted.")
}

// InstanceShutdown: the server of an instance ended.
func InstanceShutdown(in *DBInstance) Event {
	return instanceEvent(in, "RDS-EVENT-0004", "availability", "DB instance shutdown.")
}

// ReplicationStopped and ReplicationResumed: a reader lags too much to be read
// from, and does not any more.
func ReplicationStopped(in *DBInstance) Event {
	return instanceEvent(in, "RDS-EVENT-0045", "read replica", "Replication has stopped.")
}
func ReplicationResumed(in *DBInstance) Event {
	return instanceEvent(in, "RDS-EVENT-0046", "read replica", "Replication for the Read Replica resumed.")
}

// InstanceDamaged: pages that were read fail their checksums.
func InstanceDamaged(in *DBInstance) Event {
	return instanceEvent(in, "RDS-EVENT-0036", "failure", fmt.Sprintf(
		"Database instance in %s. Pages of %s fail their checksums.", in.Status.Status, in.Server.Damaged))
}

// InstanceUnstartable: PostgreSQL cannot be started from the instance's data.
func InstanceUnstartable(in *DBInstance) Event {
	return instanceEvent(in, "RDS-EVENT-0036", "failure", fmt.Sprintf(
		"Database instance in %s. PostgreSQL cannot be started from its data: %s", in.Status.Status, in.Server.FailedStarts.Reason))
}

// RecoveryStarted and RecoveryCompleted: an instance is rebuilt from copies.
func RecoveryStarted(in *DBInstance) Event {
	return instanceEvent(in, "RDS-EVENT-0020", "recovery",
		"Recovery of the DB instance has started. Recovery time will vary with the amount of data to be recovered.")
}
func RecoveryCompleted(in *DBInstance) Event {
	return instanceEvent(in, "RDS-EVENT-0021", "recovery", "Recovery of the DB instance is complete.")
}

func clusterEvent(c *DBCluster, id, category, message string) Event {
	return Event{Account: c.Account, Region: c.Region, SourceType: SourceDBCluster, SourceID: c.Spec.Identifier,
		EventID: id, Categories: []string{category}, Message: message}
}

func instanceEvent(in *DBInstance, id, category, message string) Event {
	return Event{Account: in.Account, Region: in.Region, SourceType: SourceDBInstance, SourceID: in.Spec.Identifier,
		EventID: id, Categories: []string{category}, Message: message}
}

// SnapshotStarted and SnapshotCreated: a manual snapshot is being made, or complete.
func SnapshotStarted(s *DBClusterSnapshot) Event {
	return snapshotEvent(s, "RDS-EVENT-0074", "Creating manual cluster snapshot.")
}
func SnapshotCreated(s *DBClusterSnapshot) Event {
	return snapshotEvent(s, "RDS-EVENT-0075", "Manual cluster snapshot created.")
}

// AutomatedSnapshotCreated: a base backup is complete.
func AutomatedSnapshotCreated(c *DBCluster, b *BaseBackup) Event {
	s := DBClusterSnapshot{Meta: Meta{Account: c.Account, Region: c.Region}, Identifier: b.SnapshotIdentifier(c)}
	return snapshotEvent(&s, "RDS-EVENT-0169", "Automated cluster snapshot created.")
}

// ArchiveStopped and ArchiveResumed: the object store of the backups fails, or works
// again. AWS has no such events.
func ArchiveStopped(c *DBCluster, since time.Time) Event {
	return clusterEvent(c, "DAYBREAK-EVENT-0001", "notification",
		"The backups' object store fails since "+since.Format(time.RFC3339)+": the cluster cannot be restored to later times, and its WAL stays in the log.")
}
func ArchiveResumed(c *DBCluster) Event {
	return clusterEvent(c, "DAYBREAK-EVENT-0002", "notification", "The backups' object store works again.")
}

func snapshotEvent(s *DBClusterSnapshot, id, message string) Event {
	return Event{Account: s.Account, Region: s.Region, SourceType: SourceDBSnapshot, SourceID: s.Identifier,
		EventID: id, Categories: []string{"backup"}, Message: message}
}
