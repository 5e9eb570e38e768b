package rds

import (
	"context"
	"errors"
	"maps"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// reboot asks for a restart of an instance's server, which then has all that its
// parameter groups set. With the writer's restart come settings that no reader may
// be behind in: if there are such, the readers restart too. wanted may say that it
// is not to be after all.
func (s *service) reboot(ctx context.Context, key string, wanted func(*aurora.DBInstance) bool) (aurora.DBInstance, error) {
	for {
		in, rev, err := s.tryReboot(ctx, key, wanted)
		if errors.Is(err, state.ErrConflict) {
			continue // something of the cluster was changed meanwhile
		}
		if err != nil {
			return in, err
		}
		return in, s.instances.WaitRevision(ctx, rev)
	}
}

func (s *service) tryReboot(ctx context.Context, key string, wanted func(*aurora.DBInstance) bool) (aurora.DBInstance, int64, error) {
	table := state.DBInstances(s.store)
	item, err := table.Get(ctx, key)
	if err != nil {
		return item.Value, 0, err
	}
	if !wanted(&item.Value) {
		return item.Value, 0, nil
	}
	if instanceStatus(&item.Value) != aurora.InstanceStatusAvailable {
		return item.Value, 0, awswire.BadRequestf("InvalidDBInstanceState", "DB Instance %s is not in available state.", item.Value.Spec.Identifier)
	}
	cluster, err := state.DBClusters(s.store).Get(ctx, item.Value.Spec.ClusterResourceID)
	if err != nil {
		return item.Value, 0, err
	}
	if err := s.refuseStoppedMember(&item.Value); err != nil {
		return item.Value, 0, err
	}
	ops := []state.Op{}
	if cluster.Value.Status.Writer != key {
		s.restartWith(&cluster.Value, &item.Value, false)
	} else if bound := s.boundChanged(&cluster.Value, &item.Value.Spec); bound {
		for _, member := range s.membersOf(cluster.Key) {
			other, err := table.Get(ctx, member.ResourceID)
			if err != nil || other.Key == key {
				continue
			}
			s.restartWith(&cluster.Value, &other.Value, true)
			ops = append(ops, table.PutOp(other.Key, other.Value, other.Revision))
		}
		s.restartWith(&cluster.Value, &item.Value, true)
	} else {
		s.restartWith(&cluster.Value, &item.Value, true)
	}
	ops = append(ops, table.PutOp(key, item.Value, item.Revision))
	rev, err := s.store.Commit(ctx, ops...)
	return item.Value, rev, err
}

// anyway wants a restart whatever became of the instance.
func anyway(*aurora.DBInstance) bool { return true }

func (s *service) restartWith(cluster *aurora.DBCluster, in *aurora.DBInstance, writer bool) {
	groups, take := s.groupsOf(cluster, in.Spec.ParameterGroupName), restarted
	if writer {
		take = restartedWithWriter
	}
	groups.take(&in.Spec, take)
	in.Spec.PendingUpdate = false
	in.Spec.RestartGeneration++
	in.Generation++
}

// boundChanged says whether the writer's restart changes settings that all servers
// of the cluster must change together.
func (s *service) boundChanged(cluster *aurora.DBCluster, in *aurora.DBInstanceSpec) bool {
	groups := s.groupsOf(cluster, in.ParameterGroupName)
	return !maps.Equal(groups.settle(in.Parameters, restarted), groups.settle(in.Parameters, restartedWithWriter))
}
