package rds

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// RestoreDBClusterFromSnapshot makes a cluster without instances of a snapshot. Its
// first instance gets the data.
func (s *service) RestoreDBClusterFromSnapshot(ctx context.Context, in *rds.RestoreDBClusterFromSnapshotInput) (*rds.RestoreDBClusterFromSnapshotOutput, error) {
	c := scopeOf(ctx)
	if err := refuseOthers(in, append(restoreOptions, "SnapshotIdentifier", "Engine", "EngineVersion", "AvailabilityZones", "DatabaseName")...); err != nil {
		return nil, err
	}
	if err := checkEngine(aws.ToString(in.Engine)); err != nil {
		return nil, err
	}
	snapshot, err := s.snapshotFor(c, aws.ToString(in.SnapshotIdentifier))
	if err != nil {
		return nil, err
	}
	if err := checkSnapshotAvailable(snapshot); err != nil {
		return nil, err
	}
	of := snapshot.Cluster
	if version := aws.ToString(in.EngineVersion); version != "" && version != "15" && version != of.EngineVersion {
		return nil, awswire.InvalidParameterCombination("Cannot restore the snapshot %s of version %s as version %s.", snapshot.Identifier, of.EngineVersion, version)
	}
	if name := aws.ToString(in.DatabaseName); name != "" && name != of.DatabaseName {
		return nil, awswire.InvalidParameterCombination("The database of the snapshot is %q: it cannot be restored as %q.", of.DatabaseName, name)
	}
	cluster, err := s.restoreCluster(ctx, c, restoreInput(*in), of, func() (*aurora.RestoreSource, error) { return snapshot.Source, nil }, in.AvailabilityZones)
	if err != nil {
		return nil, err
	}
	return &rds.RestoreDBClusterFromSnapshotOutput{DBCluster: s.showCluster(c, cluster)}, nil
}

// RestoreDBClusterToPointInTime makes a cluster without instances of what another
// one, which may be deleted, was at a time. Its first instance gets the data.
func (s *service) RestoreDBClusterToPointInTime(ctx context.Context, in *rds.RestoreDBClusterToPointInTimeInput) (*rds.RestoreDBClusterToPointInTimeOutput, error) {
	c := scopeOf(ctx)
	if err := refuseOthers(in, append(restoreOptions, "SourceDBClusterIdentifier", "SourceDbClusterResourceId", "RestoreToTime", "UseLatestRestorableTime", "RestoreType")...); err != nil {
		return nil, err
	}
	switch kind := aws.ToString(in.RestoreType); {
	case kind == "copy-on-write":
		return nil, awswire.InvalidParameterCombination("The restore type copy-on-write is not available in this region yet. Valid values: full-copy.")
	case kind != "" && kind != "full-copy":
		return nil, awswire.InvalidParameterValue("Invalid restore type: %s. Valid values: full-copy.", kind)
	case in.RestoreToTime == nil && !aws.ToBool(in.UseLatestRestorableTime):
		return nil, awswire.InvalidParameterCombination("Either RestoreToTime or UseLatestRestorableTime must be specified.")
	case in.RestoreToTime != nil && aws.ToBool(in.UseLatestRestorableTime):
		return nil, awswire.InvalidParameterCombination("RestoreToTime cannot be specified with UseLatestRestorableTime.")
	}
	of, err := s.restorable(c, aws.ToString(in.SourceDBClusterIdentifier), aws.ToString(in.SourceDbClusterResourceId))
	if err != nil {
		return nil, err
	}
	source := func() (*aurora.RestoreSource, error) { return of.at(in.RestoreToTime) }
	cluster, err := s.restoreCluster(ctx, c, pointInTimeInput(in), of.cluster.Spec, source, nil)
	if err != nil {
		return nil, err
	}
	return &rds.RestoreDBClusterToPointInTimeOutput{DBCluster: s.showCluster(c, cluster)}, nil
}

// restoreOptions are what both kinds of restore honour.
var restoreOptions = []string{"DBClusterIdentifier", "Port", "DBSubnetGroupName", "VpcSecurityGroupIds", "DBClusterParameterGroupName", "NetworkType",
	"KmsKeyId", "StorageType", "DeletionProtection", "CopyTagsToSnapshot", "EnableCloudwatchLogsExports", "BackupRetentionPeriod", "PreferredBackupWindow",
	"ServerlessV2ScalingConfiguration", "MonitoringInterval", "MonitoringRoleArn", "EnablePerformanceInsights", "PerformanceInsightsKMSKeyId",
	"PerformanceInsightsRetentionPeriod", "EngineLifecycleSupport", "EngineMode", "Tags"}

// restoreInput is what both kinds of restore ask for.
type restoreInput rds.RestoreDBClusterFromSnapshotInput

func pointInTimeInput(in *rds.RestoreDBClusterToPointInTimeInput) restoreInput {
	return restoreInput{
		DBClusterIdentifier: in.DBClusterIdentifier, Port: in.Port, DBSubnetGroupName: in.DBSubnetGroupName, VpcSecurityGroupIds: in.VpcSecurityGroupIds,
		DBClusterParameterGroupName: in.DBClusterParameterGroupName, NetworkType: in.NetworkType, KmsKeyId: in.KmsKeyId, StorageType: in.StorageType,
		DeletionProtection: in.DeletionProtection, CopyTagsToSnapshot: in.CopyTagsToSnapshot, EnableCloudwatchLogsExports: in.EnableCloudwatchLogsExports,
		BackupRetentionPeriod: in.BackupRetentionPeriod, PreferredBackupWindow: in.PreferredBackupWindow,
		ServerlessV2ScalingConfiguration: in.ServerlessV2ScalingConfiguration, MonitoringInterval: in.MonitoringInterval, MonitoringRoleArn: in.MonitoringRoleArn,
		EnablePerformanceInsights: in.EnablePerformanceInsights, PerformanceInsightsKMSKeyId: in.PerformanceInsightsKMSKeyId,
		PerformanceInsightsRetentionPeriod: in.PerformanceInsightsRetentionPeriod, EngineLifecycleSupport: in.EngineLifecycleSupport, EngineMode: in.EngineMode, Tags: in.Tags,
	}
}

// asCreate is the request for a new cluster with what is not given taken from the
// one that is restored. Its password is what it was.
func (in restoreInput) asCreate(of aurora.DBClusterSpec) *rds.CreateDBClusterInput {
	create := &rds.CreateDBClusterInput{
		DBClusterIdentifier: in.DBClusterIdentifier, Engine: &of.Engine, EngineVersion: &of.EngineVersion, EngineMode: in.EngineMode,
		MasterUsername: &of.MasterUsername, MasterUserPassword: aws.String(placeholderPassword), DatabaseName: optional(of.DatabaseName),
		Port: in.Port, DBSubnetGroupName: in.DBSubnetGroupName, VpcSecurityGroupIds: in.VpcSecurityGroupIds,
		DBClusterParameterGroupName: in.DBClusterParameterGroupName, NetworkType: in.NetworkType,
		StorageEncrypted: aws.Bool(of.StorageEncrypted), KmsKeyId: optional(of.KmsKeyID), StorageType: in.StorageType,
		DeletionProtection: in.DeletionProtection, CopyTagsToSnapshot: in.CopyTagsToSnapshot, EnableCloudwatchLogsExports: in.EnableCloudwatchLogsExports,
		BackupRetentionPeriod: in.BackupRetentionPeriod, PreferredBackupWindow: in.PreferredBackupWindow,
		ServerlessV2ScalingConfiguration: in.ServerlessV2ScalingConfiguration, MonitoringInterval: in.MonitoringInterval, MonitoringRoleArn: in.MonitoringRoleArn,
		EnablePerformanceInsights: in.EnablePerformanceInsights, PerformanceInsightsKMSKeyId: in.PerformanceInsightsKMSKeyId,
		PerformanceInsightsRetentionPeriod: in.PerformanceInsightsRetentionPeriod, EngineLifecycleSupport: in.EngineLifecycleSupport, Tags: in.Tags,
	}
	if create.Port == nil && of.Port != 0 {
		create.Port = aws.Int32(int32(of.Port))
	}
	if create.BackupRetentionPeriod == nil {
		create.BackupRetentionPeriod = aws.Int32(int32(of.BackupRetentionPeriod))
	}
	if create.PreferredBackupWindow == nil {
		create.PreferredBackupWindow = optional(of.PreferredBackupWindow)
	}
	if create.StorageType == nil {
		create.StorageType = optional(of.StorageType)
	}
	if sc := of.ServerlessV2; sc != nil && create.ServerlessV2ScalingConfiguration == nil {
		create.ServerlessV2ScalingConfiguration = &types.ServerlessV2ScalingConfiguration{MinCapacity: &sc.MinCapacity, MaxCapacity: &sc.MaxCapacity}
	}
	return create
}

// placeholderPassword passes the checks of a request; nobody's password is set to it.
const placeholderPassword = "as-it-was-restored"

// restoreCluster stores a cluster that is to be restored, if what it is restored
// from is kept.
func (s *service) restoreCluster(ctx context.Context, c scope, given restoreInput, of aurora.DBClusterSpec, source func() (*aurora.RestoreSource, error), zones []string) (*aurora.DBCluster, error) {
	in := given.asCreate(of)
	in.AvailabilityZones = zones
	if key := aws.ToString(given.KmsKeyId); key != "" && key != of.KmsKeyID {
		return nil, awswire.InvalidParameterCombination("A restored cluster has the key of its source in this region. Leave KmsKeyId out.")
	}
	if err := refuseCluster(in); err != nil {
		return nil, err
	}
	cluster, err := newCluster(c, in)
	if err != nil {
		return nil, err
	}
	cluster.Spec.MasterUserVerifier, cluster.Spec.MasterPasswordGeneration = of.MasterUserVerifier, 0
	for {
		from, err := source()
		if err != nil {
			return nil, err
		}
		checks, err := s.baseChecks(ctx, from)
		if err != nil {
			return nil, err
		}
		if cluster.Spec.Restore = from; from == nil { // nothing was ever in it
			cluster.Spec.MasterPasswordGeneration = 1
		}
		rev, err := s.storeCluster(ctx, c, &cluster, in, checks)
		if errors.Is(err, state.ErrConflict) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &cluster, s.clusters.WaitRevision(ctx, rev)
	}
}

// backedUp is a cluster, which may be deleted, with its backups.
type backedUp struct {
	cluster *aurora.DBCluster
	deleted time.Time // zero: it is there
	archive aurora.Archive
	bases   []aurora.BaseBackup
}

func (s *service) backedUp(id string) (backedUp, bool) {
	var of backedUp
	if item, ok := s.clusters.Get(id); ok {
		of.cluster = &item.Value
	} else if set, ok := s.backupSets.Get(id); ok && set.Value.Keep {
		of.cluster, of.deleted = &set.Value.Cluster, set.Value.Deleted
	} else {
		return of, false
	}
	if archive, ok := s.archives.Get(id); ok {
		of.archive = archive.Value
	}
	for _, item := range s.bases.All() {
		if b := item.Value; b.ClusterID == id && !b.Deleting && b.Start >= of.archive.Begin && b.Stop <= of.archive.End {
			of.bases = append(of.bases, b)
		}
	}
	return of, true
}

// restorable finds the cluster whose backups are to be restored.
func (s *service) restorable(c scope, identifier, resourceID string) (backedUp, error) {
	switch {
	case identifier == "" && resourceID == "":
		return backedUp{}, awswire.InvalidParameterCombination("Either SourceDBClusterIdentifier or SourceDbClusterResourceId must be specified.")
	case identifier != "" && resourceID != "":
		return backedUp{}, awswire.InvalidParameterCombination("SourceDBClusterIdentifier cannot be specified with SourceDbClusterResourceId.")
	case identifier != "":
		item, err := s.cluster(c, identifier)
		if err != nil {
			return backedUp{}, err
		}
		resourceID = item.Key
	}
	of, ok := s.backedUp(resourceID)
	if !ok || !c.has(&of.cluster.Meta) {
		return backedUp{}, awswire.Errorf(404, "DBClusterAutomatedBackupNotFoundFault", "No automated backup for DB cluster %s is found.", resourceID)
	}
	return of, nil
}

// windowBegins is what the retention period reaches back to.
func (of backedUp) windowBegins() time.Time {
	end := time.Now()
	if !of.deleted.IsZero() {
		end = of.deleted
	}
	return end.AddDate(0, 0, -of.cluster.Spec.BackupRetentionPeriod)
}

// window is from when to when the cluster can be restored.
func (of backedUp) window() (earliest, latest time.Time, ok bool) {
	for _, b := range of.bases {
		if at := laterOf(b.Ended, of.windowBegins()); earliest.IsZero() || at.Before(earliest) {
			earliest = at
		}
	}
	// As answers have it: in milliseconds, and not outside.
	if exact := earliest; exact != exact.Truncate(time.Millisecond) {
		earliest = exact.Truncate(time.Millisecond).Add(time.Millisecond)
	}
	latest = of.archive.Commit.Truncate(time.Millisecond)
	return earliest, latest, !earliest.IsZero() && !latest.Before(earliest)
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// at chooses what is restored; nil: as late as can be.
func (of backedUp) at(moment *time.Time) (*aurora.RestoreSource, error) {
	earliest, latest, ok := of.window()
	if !ok {
		return nil, awswire.BadRequestf("InvalidDBClusterStateFault", "DB cluster %s cannot be restored yet: its first backup is being made.", of.cluster.Spec.Identifier)
	}
	source := &aurora.RestoreSource{ClusterID: of.cluster.ResourceID, End: of.archive.End, Timeline: of.cluster.Status.Timeline + 1}
	if moment != nil {
		source.Time = moment.UTC()
		if source.Time.Before(earliest) || source.Time.After(of.archive.Commit) {
			return nil, awswire.InvalidParameterValue("The specified time %s is not within the restorable window of DB cluster %s, from %s to %s.",
				source.Time.Format(time.RFC3339Nano), of.cluster.Spec.Identifier, earliest.Format(time.RFC3339Nano), latest.Format(time.RFC3339Nano))
		}
	}
	var newest aurora.BaseBackup
	for _, b := range of.bases {
		if (moment == nil || !b.Ended.After(source.Time)) && b.Ended.After(newest.Ended) {
			newest = b
		}
	}
	source.Base = newest.ID
	return source, nil
}
