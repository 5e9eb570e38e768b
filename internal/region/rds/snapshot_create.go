package rds

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// CreateDBClusterSnapshot makes a manual snapshot: of all that was committed before.
func (s *service) CreateDBClusterSnapshot(ctx context.Context, in *rds.CreateDBClusterSnapshotInput) (*rds.CreateDBClusterSnapshotOutput, error) {
	c := scopeOf(ctx)
	id, err := checkSnapshotIdentifier("DBClusterSnapshotIdentifier", aws.ToString(in.DBClusterSnapshotIdentifier))
	if err != nil {
		return nil, err
	}
	tags, err := checkTags(in.Tags)
	if err != nil {
		return nil, err
	}
	item, err := s.cluster(c, aws.ToString(in.DBClusterIdentifier))
	if err != nil {
		return nil, err
	}
	for {
		snapshot, err := s.tryCreateSnapshot(ctx, c, item.Key, id, tags)
		if errors.Is(err, state.ErrConflict) {
			continue // the cluster was changed meanwhile
		}
		if errors.Is(err, state.ErrNotFound) {
			return nil, clusterNotFound(aws.ToString(in.DBClusterIdentifier))
		}
		if err != nil {
			return nil, err
		}
		return &rds.CreateDBClusterSnapshotOutput{DBClusterSnapshot: s.showSnapshot(c, snapshot)}, nil
	}
}

func (s *service) tryCreateSnapshot(ctx context.Context, c scope, key, id string, tags []aurora.Tag) (*aurora.DBClusterSnapshot, error) {
	table := state.DBClusters(s.store)
	item, err := table.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	v := &item.Value
	if v.DeleteRequested || refuseStopped(v) != nil || clusterStatus(v) == aurora.ClusterStatusCreating {
		return nil, awswire.BadRequestf("InvalidDBClusterStateFault", "DB cluster %s is not currently in the available state.", v.Spec.Identifier)
	}
	snapshot := newSnapshot(c, v, id, tags)
	rev, err := s.commitSnapshot(ctx, c, snapshot, table.PutOp(key, *v, item.Revision))
	if err != nil {
		return nil, err
	}
	return snapshot, errors.Join(s.snapshots.WaitRevision(ctx, rev), s.clusters.WaitRevision(ctx, rev))
}

// newSnapshot makes a snapshot of a cluster, which is to be stored with it.
func newSnapshot(c scope, v *aurora.DBCluster, id string, tags []aurora.Tag) *aurora.DBClusterSnapshot {
	v.Spec.ArchiveGeneration++
	if v.Spec.CopyTagsToSnapshot {
		for _, t := range v.Tags {
			if !slices.ContainsFunc(tags, func(have aurora.Tag) bool { return have.Key == t.Key }) {
				tags = append(tags, t)
			}
		}
	}
	return &aurora.DBClusterSnapshot{
		Meta:       aurora.Meta{ResourceID: newResourceID("cluster-snapshot"), Account: c.account, Region: c.region, Generation: 1, CreateTime: time.Now().UTC(), Tags: tags},
		Identifier: id, Type: aurora.SnapshotTypeManual, Status: aurora.SnapshotStatusCreating,
		ClusterID: v.ResourceID, ClusterCreateTime: v.CreateTime, Cluster: v.Spec, ArchiveGeneration: v.Spec.ArchiveGeneration,
	}
}

// commitSnapshot stores a new snapshot with its name.
func (s *service) commitSnapshot(ctx context.Context, c scope, v *aurora.DBClusterSnapshot, with ...state.Op) (int64, error) {
	name := c.name(state.KindDBSnapshot, v.Identifier)
	if _, err := s.store.Lookup(ctx, name); err == nil {
		return 0, snapshotTaken(v.Identifier)
	} else if !errors.Is(err, state.ErrNotFound) {
		return 0, err
	}
	return s.store.Commit(ctx, append(s.snapshotOps(c, v), with...)...)
}

func (s *service) snapshotOps(c scope, v *aurora.DBClusterSnapshot) []state.Op {
	ops := state.EventOps([]aurora.Event{aurora.SnapshotStarted(v)})
	return append(ops, c.name(state.KindDBSnapshot, v.Identifier).Claim(v.ResourceID), state.DBClusterSnapshots(s.store).PutOp(v.ResourceID, *v, 0))
}

func snapshotTaken(id string) error {
	return awswire.BadRequestf("DBClusterSnapshotAlreadyExistsFault", "Cannot create the DB cluster snapshot because one with the identifier %s already exists.", id)
}

var snapshotPattern = regexp.MustCompile(`^[A-Za-z](-?[A-Za-z0-9])*$`)

// checkSnapshotIdentifier returns a snapshot's identifier as it is stored.
func checkSnapshotIdentifier(parameter, given string) (string, error) {
	if len(given) > 255 || !snapshotPattern.MatchString(given) {
		return "", awswire.InvalidParameterValue("The parameter %s is not a valid identifier. Identifiers must begin with a letter; "+
			"must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens.", parameter)
	}
	return strings.ToLower(given), nil
}

// CopyDBClusterSnapshot makes a manual snapshot of another one, also of another
// region's. Both are of the same backups.
func (s *service) CopyDBClusterSnapshot(ctx context.Context, in *rds.CopyDBClusterSnapshotInput) (*rds.CopyDBClusterSnapshotOutput, error) {
	c := scopeOf(ctx)
	id, err := checkSnapshotIdentifier("TargetDBClusterSnapshotIdentifier", aws.ToString(in.TargetDBClusterSnapshotIdentifier))
	if err != nil {
		return nil, err
	}
	tags, err := checkTags(in.Tags)
	if err != nil {
		return nil, err
	}
	given := aws.ToString(in.SourceDBClusterSnapshotIdentifier)
	if region := aws.ToString(in.SourceRegion); region != "" && region != c.region && !strings.HasPrefix(given, "arn:aws:rds:"+region+":") {
		return nil, awswire.InvalidParameterValue("SourceDBClusterSnapshotIdentifier must be the ARN of a snapshot in %s, the SourceRegion.", region)
	}
	source, err := s.snapshotFor(c, given)
	if err != nil {
		return nil, err
	}
	if err := checkSnapshotAvailable(source); err != nil {
		return nil, err
	}
	if key := aws.ToString(in.KmsKeyId); key != "" && key != source.Cluster.KmsKeyID {
		return nil, awswire.InvalidParameterCombination("A copy has the key of its source in this region. Leave KmsKeyId out.")
	}
	if aws.ToBool(in.CopyTags) && len(tags) == 0 {
		tags = source.Tags
	}
	copied := *source
	copied.Meta = aurora.Meta{ResourceID: newResourceID("cluster-snapshot"), Account: c.account, Region: c.region, Generation: 1, CreateTime: time.Now().UTC(), Tags: tags}
	copied.Identifier, copied.Type, copied.Shared = id, aurora.SnapshotTypeManual, nil
	copied.SourceARN = scope{source.Account, source.Region}.arn("cluster-snapshot", source.Identifier)
	for {
		checks, err := s.baseChecks(ctx, copied.Source)
		if err != nil {
			return nil, err
		}
		rev, err := s.commitSnapshot(ctx, c, &copied, checks...)
		if errors.Is(err, state.ErrConflict) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &rds.CopyDBClusterSnapshotOutput{DBClusterSnapshot: s.showSnapshot(c, &copied)}, s.snapshots.WaitRevision(ctx, rev)
	}
}

// baseChecks make a transaction hold only while the base backup is kept.
func (s *service) baseChecks(ctx context.Context, from *aurora.RestoreSource) ([]state.Op, error) {
	if from == nil {
		return nil, nil
	}
	table, key := state.BaseBackups(s.store), from.ClusterID+"/"+from.Base
	base, err := table.Get(ctx, key)
	if errors.Is(err, state.ErrNotFound) || err == nil && base.Value.Deleting {
		return nil, awswire.BadRequestf("InvalidRestoreFault", "The backup is being deleted.")
	}
	return []state.Op{table.CheckOp(key, base.Revision)}, err
}

// DeleteDBClusterSnapshot deletes a manual snapshot. What its restores need stays
// until they are done.
func (s *service) DeleteDBClusterSnapshot(ctx context.Context, in *rds.DeleteDBClusterSnapshotInput) (*rds.DeleteDBClusterSnapshotOutput, error) {
	c, given := scopeOf(ctx), aws.ToString(in.DBClusterSnapshotIdentifier)
	snapshot, err := s.snapshot(c, given)
	if err != nil {
		return nil, err
	}
	if snapshot.Type != aurora.SnapshotTypeManual {
		return nil, awswire.BadRequestf("InvalidDBClusterSnapshotStateFault", "DB cluster snapshot %s is an automated one: it cannot be deleted.", snapshot.Identifier)
	}
	table, key := state.DBClusterSnapshots(s.store), snapshot.ResourceID
	for {
		item, err := table.Get(ctx, key)
		if errors.Is(err, state.ErrNotFound) {
			return nil, snapshotNotFound(given)
		}
		if err != nil {
			return nil, err
		}
		if item.Value.Status == aurora.SnapshotStatusCreating {
			return nil, checkSnapshotAvailable(&item.Value)
		}
		rev, err := s.store.Commit(ctx, table.DeleteOp(key, item.Revision), c.name(state.KindDBSnapshot, item.Value.Identifier).Release(key))
		if errors.Is(err, state.ErrConflict) {
			continue
		}
		if err != nil {
			return nil, err
		}
		item.Value.Status = aurora.SnapshotStatusDeleting
		return &rds.DeleteDBClusterSnapshotOutput{DBClusterSnapshot: s.showSnapshot(c, &item.Value)}, s.snapshots.WaitRevision(ctx, rev)
	}
}

func checkSnapshotAvailable(v *aurora.DBClusterSnapshot) error {
	if v.Status != aurora.SnapshotStatusAvailable {
		return awswire.BadRequestf("InvalidDBClusterSnapshotStateFault", "DB cluster snapshot %s is not currently in the available state: it is %s.", v.Identifier, v.Status)
	}
	return nil
}
