package rds

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// StopDBCluster asks for the end of all servers of a cluster, which keeps its data.
func (s *service) StopDBCluster(ctx context.Context, in *rds.StopDBClusterInput) (*rds.StopDBClusterOutput, error) {
	changed, err := s.stopOrStart(ctx, in.DBClusterIdentifier, func(v *aurora.DBCluster) error {
		if status := clusterStatus(v); status != aurora.ClusterStatusAvailable {
			return awswire.BadRequestf("InvalidDBClusterStateFault", "DbCluster %s is in %s state but expected it to be one of available.", v.Spec.Identifier, status)
		}
		members := s.membersOf(v.ResourceID)
		if len(members) == 0 {
			return awswire.BadRequestf("InvalidDBClusterStateFault", "DbCluster %s has no DB instance that could be stopped.", v.Spec.Identifier)
		}
		for _, m := range members {
			if status := instanceStatus(m); status != aurora.InstanceStatusAvailable {
				return awswire.BadRequestf("InvalidDBInstanceState", "DB instance %s of DbCluster %s is in %s state but expected it to be one of available.", m.Spec.Identifier, v.Spec.Identifier, status)
			}
		}
		now := time.Now().UTC().Truncate(time.Millisecond)
		v.Spec.Stopped = &now
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &rds.StopDBClusterOutput{DBCluster: s.showCluster(scopeOf(ctx), &changed)}, nil
}

// StartDBCluster has the servers of a stopped cluster run again.
func (s *service) StartDBCluster(ctx context.Context, in *rds.StartDBClusterInput) (*rds.StartDBClusterOutput, error) {
	changed, err := s.stopOrStart(ctx, in.DBClusterIdentifier, func(v *aurora.DBCluster) error {
		if status := clusterStatus(v); status != aurora.ClusterStatusStopped {
			return awswire.BadRequestf("InvalidDBClusterStateFault", "DBCluster %s is in %s state but expected it to be one of stopped,inaccessible-encryption-credentials-recoverable.", v.Spec.Identifier, status)
		}
		v.Spec.Stopped = nil
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &rds.StartDBClusterOutput{DBCluster: s.showCluster(scopeOf(ctx), &changed)}, nil
}

func (s *service) stopOrStart(ctx context.Context, given *string, change func(*aurora.DBCluster) error) (aurora.DBCluster, error) {
	item, err := s.cluster(scopeOf(ctx), aws.ToString(given))
	if err != nil {
		return item.Value, err
	}
	changed, err := s.updateCluster(ctx, item.Key, func(v *aurora.DBCluster) error {
		if err := change(v); err != nil {
			return err
		}
		v.Generation++
		return nil
	})
	if errors.Is(err, state.ErrNotFound) {
		return changed, clusterNotFound(aws.ToString(given))
	}
	return changed, err
}

// refuseStopped refuses a change of a cluster that is stopped, or on its way there
// or back.
func refuseStopped(v *aurora.DBCluster) error {
	switch status := clusterStatus(v); status {
	case aurora.ClusterStatusStopped, aurora.ClusterStatusStopping, aurora.ClusterStatusStarting:
		return awswire.BadRequestf("InvalidDBClusterStateFault", "DB cluster %s is not currently in the available state: it is %s.", v.Spec.Identifier, status)
	}
	return nil
}

// refuseStoppedMember refuses a change of an instance for the same reason.
func (s *service) refuseStoppedMember(v *aurora.DBInstance) error {
	cluster, ok := s.clusters.Get(v.Spec.ClusterResourceID)
	if ok && refuseStopped(&cluster.Value) != nil {
		return awswire.BadRequestf("InvalidDBInstanceState", "DB instance %s is not in available state: its DB cluster %s is %s.",
			v.Spec.Identifier, cluster.Value.Spec.Identifier, clusterStatus(&cluster.Value))
	}
	return nil
}

// startAfterLong starts a cluster that has been stopped for as long as it may.
func (s *service) startAfterLong(ctx context.Context, key string, now time.Time) error {
	_, err := s.updateCluster(ctx, key, func(v *aurora.DBCluster) error {
		if v.DeleteRequested || !stoppedTooLong(v, now) {
			return state.ErrUnchanged
		}
		v.Spec.Stopped = nil
		v.Generation++
		return nil
	})
	return err
}

func stoppedTooLong(v *aurora.DBCluster, now time.Time) bool {
	return v.Spec.Stopped != nil && now.Sub(*v.Spec.Stopped) >= aurora.MaxStop
}
