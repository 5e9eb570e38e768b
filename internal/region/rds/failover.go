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

// FailoverDBCluster asks for another writer: the named reader, or the best one.
func (s *service) FailoverDBCluster(ctx context.Context, in *rds.FailoverDBClusterInput) (*rds.FailoverDBClusterOutput, error) {
	c, given := scopeOf(ctx), aws.ToString(in.DBClusterIdentifier)
	item, err := s.cluster(c, given)
	if err != nil {
		return nil, err
	}
	changed, err := s.updateCluster(ctx, item.Key, func(v *aurora.DBCluster) error {
		if status := clusterStatus(v); status != aurora.ClusterStatusAvailable {
			return awswire.BadRequestf("InvalidDBClusterStateFault", "DB cluster %s is not in the available state: it is %s.", v.Spec.Identifier, status)
		}
		target, err := s.failoverTarget(c, v, aws.ToString(in.TargetDBInstanceIdentifier))
		if err != nil {
			return err
		}
		v.Spec.Failover = aurora.FailoverRequest{Generation: v.Spec.Failover.Generation + 1, Target: target}
		return nil
	})
	if errors.Is(err, state.ErrNotFound) {
		return nil, clusterNotFound(given)
	}
	if err != nil {
		return nil, err
	}
	return &rds.FailoverDBClusterOutput{DBCluster: s.showCluster(c, &changed)}, nil
}

// failoverTarget returns the resource id of the reader that is asked for, or
// nothing when any will do.
func (s *service) failoverTarget(c scope, v *aurora.DBCluster, given string) (string, error) {
	ready := func(m *aurora.DBInstance) bool {
		return m.ResourceID != v.Status.Writer && instanceStatus(m) == aurora.InstanceStatusAvailable
	}
	if given == "" {
		for _, m := range s.membersOf(v.ResourceID) {
			if ready(m) {
				return "", nil
			}
		}
		return "", awswire.BadRequestf("InvalidDBClusterStateFault", "DB cluster %s has no Aurora Replica in the available state to fail over to.", v.Spec.Identifier)
	}
	item, err := s.instance(c, given)
	if err != nil {
		return "", err
	}
	switch m := &item.Value; {
	case m.Spec.ClusterResourceID != v.ResourceID:
		return "", awswire.BadRequestf("InvalidDBInstanceState", "DB instance %s is not a member of DB cluster %s.", m.Spec.Identifier, v.Spec.Identifier)
	case m.ResourceID == v.Status.Writer:
		return "", awswire.BadRequestf("InvalidDBInstanceState", "DB instance %s is already the writer of DB cluster %s.", m.Spec.Identifier, v.Spec.Identifier)
	case !ready(m):
		return "", awswire.BadRequestf("InvalidDBInstanceState", "DB instance %s is not in available state.", m.Spec.Identifier)
	}
	return item.Key, nil
}
