package rds

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

func snapshotNotFound(id string) error {
	return awswire.Errorf(404, "DBClusterSnapshotNotFoundFault", "DBClusterSnapshot %s not found.", id)
}

// allSnapshots are the manual snapshots of all accounts, and the automated ones: a
// base backup is one.
func (s *service) allSnapshots() []*aurora.DBClusterSnapshot {
	var all []*aurora.DBClusterSnapshot
	for _, item := range s.snapshots.All() {
		all = append(all, &item.Value)
	}
	for _, item := range s.bases.All() {
		if v, ok := s.automated(item.Value); ok {
			all = append(all, v)
		}
	}
	slices.SortFunc(all, func(a, b *aurora.DBClusterSnapshot) int {
		return cmp.Or(strings.Compare(a.Identifier, b.Identifier), a.CreateTime.Compare(b.CreateTime), strings.Compare(a.ResourceID, b.ResourceID))
	})
	return all
}

// automated shows a base backup as a snapshot. Those that are only kept for others
// are none.
func (s *service) automated(b aurora.BaseBackup) (*aurora.DBClusterSnapshot, bool) {
	of, ok := s.backedUp(b.ClusterID)
	if !ok || b.Deleting || b.Ended.Before(of.windowBegins()) {
		return nil, false
	}
	meta := aurora.Meta{ResourceID: b.ClusterID + "/" + b.ID, Account: of.cluster.Account, Region: of.cluster.Region, CreateTime: b.Ended}
	return &aurora.DBClusterSnapshot{
		Meta: meta, Identifier: b.SnapshotIdentifier(of.cluster), Type: aurora.SnapshotTypeAutomated,
		ClusterID: b.ClusterID, ClusterCreateTime: of.cluster.CreateTime, Cluster: of.cluster.Spec, Status: aurora.SnapshotStatusAvailable, Bytes: b.Bytes,
		Source: &aurora.RestoreSource{ClusterID: b.ClusterID, Base: b.ID, End: b.Stop, Timeline: of.cluster.Status.Timeline + 1},
	}, true
}

// snapshot finds one of the account's snapshots by identifier or ARN.
func (s *service) snapshot(c scope, given string) (*aurora.DBClusterSnapshot, error) {
	id := c.identifier("cluster-snapshot", given)
	for _, v := range s.allSnapshots() {
		if v.Identifier == id && c.has(&v.Meta) {
			return v, nil
		}
	}
	return nil, snapshotNotFound(given)
}

// snapshotFor finds a snapshot that the account may restore: also, by ARN, one of
// another region, or that another account shares.
func (s *service) snapshotFor(c scope, given string) (*aurora.DBClusterSnapshot, error) {
	for _, v := range s.allSnapshots() {
		arn := scope{v.Account, v.Region}.arn("cluster-snapshot", v.Identifier)
		if strings.EqualFold(arn, given) && (v.Account == c.account || sharedWith(v, c.account)) {
			return v, nil
		}
	}
	return s.snapshot(c, given)
}

func sharedWith(v *aurora.DBClusterSnapshot, account string) bool {
	return slices.Contains(v.Shared, account) || slices.Contains(v.Shared, everybody)
}

// everybody may restore a public snapshot.
const everybody = "all"

// DescribeDBClusterSnapshots answers one snapshot, or those of a cluster or a type.
func (s *service) DescribeDBClusterSnapshots(ctx context.Context, in *rds.DescribeDBClusterSnapshotsInput) (*rds.DescribeDBClusterSnapshotsOutput, error) {
	c, kind := scopeOf(ctx), aws.ToString(in.SnapshotType)
	if !slices.Contains([]string{"", "automated", "manual", "shared", "public", "awsbackup"}, kind) {
		return nil, awswire.InvalidParameterValue("Invalid snapshot type: %s. Valid values: automated, manual, shared, public.", kind)
	}
	var found []*aurora.DBClusterSnapshot
	for _, v := range s.allSnapshots() {
		own := c.has(&v.Meta)
		public := v.Region == c.region && slices.Contains(v.Shared, everybody)
		shared := v.Region == c.region && !own && slices.Contains(v.Shared, c.account)
		ok := own && (kind == "" || kind == v.Type)
		switch {
		case kind == "public" || aws.ToBool(in.IncludePublic) && kind == "":
			ok = ok || public
		}
		if kind == "shared" || aws.ToBool(in.IncludeShared) && kind == "" {
			ok = ok || shared
		}
		if ok {
			found = append(found, v)
		}
	}
	if given := aws.ToString(in.DBClusterSnapshotIdentifier); given != "" {
		one, err := s.snapshotFor(c, given)
		if err != nil {
			return nil, err
		}
		found = []*aurora.DBClusterSnapshot{one}
	}
	if given := aws.ToString(in.DBClusterIdentifier); given != "" {
		id := c.identifier("cluster", given)
		found = slices.DeleteFunc(found, func(v *aurora.DBClusterSnapshot) bool { return v.Cluster.Identifier != id })
	}
	if id := aws.ToString(in.DbClusterResourceId); id != "" {
		found = slices.DeleteFunc(found, func(v *aurora.DBClusterSnapshot) bool { return v.ClusterID != id })
	}
	found, err := filtered(found, in.Filters, map[string]func(*aurora.DBClusterSnapshot) []string{
		"db-cluster-id": func(v *aurora.DBClusterSnapshot) []string {
			return []string{v.Cluster.Identifier, c.arn("cluster", v.Cluster.Identifier)}
		},
		"db-cluster-snapshot-id": func(v *aurora.DBClusterSnapshot) []string { return []string{v.Identifier} },
		"snapshot-type":          func(v *aurora.DBClusterSnapshot) []string { return []string{v.Type} },
		"engine":                 func(v *aurora.DBClusterSnapshot) []string { return []string{v.Cluster.Engine} },
	})
	if err != nil {
		return nil, err
	}
	page, marker, err := awswire.Page(found, in.Marker, in.MaxRecords, awswire.RDSPages(), func(v *aurora.DBClusterSnapshot) string { return v.Identifier })
	if err != nil {
		return nil, err
	}
	out := &rds.DescribeDBClusterSnapshotsOutput{Marker: marker, DBClusterSnapshots: make([]types.DBClusterSnapshot, 0, len(page))}
	for _, v := range page {
		out.DBClusterSnapshots = append(out.DBClusterSnapshots, *s.showSnapshot(c, v))
	}
	return out, nil
}

func (s *service) showSnapshot(c scope, v *aurora.DBClusterSnapshot) *types.DBClusterSnapshot {
	spec, progress := &v.Cluster, int32(100)
	if v.Status == aurora.SnapshotStatusCreating {
		progress = 0
	}
	return &types.DBClusterSnapshot{
		DBClusterSnapshotIdentifier: &v.Identifier, DBClusterSnapshotArn: aws.String(scope{v.Account, v.Region}.arn("cluster-snapshot", v.Identifier)),
		DBClusterIdentifier: &spec.Identifier, DbClusterResourceId: &v.ClusterID, ClusterCreateTime: &v.ClusterCreateTime,
		SnapshotCreateTime: &v.CreateTime, SnapshotType: &v.Type, Status: &v.Status, PercentProgress: &progress,
		Engine: &spec.Engine, EngineMode: &spec.EngineMode, EngineVersion: &spec.EngineVersion, LicenseModel: aws.String("postgresql-license"),
		MasterUsername: &spec.MasterUsername, Port: aws.Int32(int32(spec.Port)), AvailabilityZones: spec.AvailabilityZones,
		StorageEncrypted: &spec.StorageEncrypted, KmsKeyId: optional(spec.KmsKeyID), VpcId: optional(spec.VpcID), StorageType: optional(spec.StorageType),
		AllocatedStorage: aws.Int32(int32((v.Bytes + 1<<30 - 1) >> 30)), IAMDatabaseAuthenticationEnabled: &spec.IAMDatabaseAuth,
		BackupRetentionPeriod: aws.Int32(int32(spec.BackupRetentionPeriod)), PreferredBackupWindow: &spec.PreferredBackupWindow,
		SourceDBClusterSnapshotArn: optional(v.SourceARN), TagList: showTags(v.Tags),
	}
}
