package rds

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// DeleteDBCluster asks for the end of a cluster and its data.
func (s *service) DeleteDBCluster(ctx context.Context, in *rds.DeleteDBClusterInput) (*rds.DeleteDBClusterOutput, error) {
	c := scopeOf(ctx)
	item, err := s.cluster(c, aws.ToString(in.DBClusterIdentifier))
	if err != nil {
		return nil, err
	}
	if err := checkFinalSnapshot(in); err != nil {
		return nil, err
	}
	before, err := s.tryDelete(ctx, item.Key, in)
	for errors.Is(err, state.ErrConflict) {
		before, err = s.tryDelete(ctx, item.Key, in) // the cluster or its secret was changed meanwhile
	}
	if errors.Is(err, state.ErrNotFound) {
		return nil, clusterNotFound(aws.ToString(in.DBClusterIdentifier))
	}
	if err != nil {
		return nil, err
	}
	return &rds.DeleteDBClusterOutput{DBCluster: s.showCluster(c, &before)}, nil
}

// tryDelete deletes a cluster with its secret, and says what it was before. The
// cluster goes when its final snapshot is complete.
func (s *service) tryDelete(ctx context.Context, key string, in *rds.DeleteDBClusterInput) (before aurora.DBCluster, err error) {
	secret, ops, err := s.dropMasterSecret(ctx, key)
	if err != nil {
		return before, err
	}
	final, more, err := s.finalSnapshot(ctx, key, in)
	if err != nil {
		return before, err
	}
	ops = append(ops, more...)
	_, err = s.updateCluster(ctx, key, func(v *aurora.DBCluster) error {
		if err := s.checkDelete(ctx, v); err != nil {
			return err
		}
		if final != nil && v.Spec.ArchiveGeneration+1 != final.ArchiveGeneration {
			return state.ErrConflict // another snapshot was asked for meanwhile
		}
		before = *v
		if final != nil {
			v.Spec.ArchiveGeneration = final.ArchiveGeneration
		}
		v.Spec.KeepBackups = in.DeleteAutomatedBackups != nil && !*in.DeleteAutomatedBackups
		v.DeleteRequested, v.Spec.Pending, v.Spec.CustomEndpoints = true, nil, nil
		v.Generation++
		return secret.take(&v.Spec)
	}, ops...)
	if err == nil && final != nil {
		err = s.awaitSnapshot(ctx, final.ResourceID)
	}
	return before, err
}

// awaitSnapshot waits until a snapshot that was stored is read.
func (s *service) awaitSnapshot(ctx context.Context, key string) error {
	item, err := state.DBClusterSnapshots(s.store).Get(ctx, key)
	if err != nil {
		return err
	}
	return s.snapshots.WaitRevision(ctx, item.Revision)
}

// finalSnapshot is the snapshot that a cluster ends with, if one is asked for, and
// what stores it.
func (s *service) finalSnapshot(ctx context.Context, key string, in *rds.DeleteDBClusterInput) (*aurora.DBClusterSnapshot, []state.Op, error) {
	if aws.ToBool(in.SkipFinalSnapshot) {
		return nil, nil, nil
	}
	c := scopeOf(ctx)
	id, err := checkSnapshotIdentifier("FinalDBSnapshotIdentifier", aws.ToString(in.FinalDBSnapshotIdentifier))
	if err != nil {
		return nil, nil, err
	}
	if _, err := s.store.Lookup(ctx, c.name(state.KindDBSnapshot, id)); err == nil {
		return nil, nil, snapshotTaken(id)
	} else if !errors.Is(err, state.ErrNotFound) {
		return nil, nil, err
	}
	item, err := state.DBClusters(s.store).Get(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	snapshot := newSnapshot(c, &item.Value, id, nil)
	return snapshot, s.snapshotOps(c, snapshot), nil
}

// checkDelete refuses to delete what is in use. An instance that is made meanwhile
// writes the cluster, so that the check is made again.
func (s *service) checkDelete(ctx context.Context, v *aurora.DBCluster) error {
	if v.DeleteRequested {
		return awswire.BadRequestf("InvalidDBClusterStateFault", "DB cluster %s is already being deleted.", v.Spec.Identifier)
	}
	if err := refuseStopped(v); err != nil {
		return err
	}
	if v.Spec.DeletionProtection {
		return awswire.InvalidParameterCombination("Cannot delete protected Cluster, please disable deletion protection and try again.")
	}
	instances, _, err := state.DBInstances(s.store).List(ctx, "")
	if err != nil {
		return err
	}
	for _, item := range instances {
		if item.Value.Spec.ClusterResourceID == v.ResourceID && !item.Value.DeleteRequested {
			return awswire.BadRequestf("InvalidDBClusterStateFault", "Cluster cannot be deleted, it still contains DB instances in non-deleting state.")
		}
	}
	return nil
}

func checkFinalSnapshot(in *rds.DeleteDBClusterInput) error {
	skip, id := aws.ToBool(in.SkipFinalSnapshot), aws.ToString(in.FinalDBSnapshotIdentifier)
	switch {
	case skip && id != "":
		return awswire.InvalidParameterCombination("FinalDBSnapshotIdentifier can not be specified when deleting a cluster with SkipFinalSnapshot.")
	case !skip && id == "":
		return awswire.InvalidParameterCombination("FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.")
	case !skip:
		_, err := checkSnapshotIdentifier("FinalDBSnapshotIdentifier", id)
		return err
	}
	return nil
}
