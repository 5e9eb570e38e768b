package rds

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/aurora/parameter"
	"github.com/daybreakdb/daybreak/internal/state"
)

// groupsOf are the groups that decide about an instance's settings. One that is gone
// counts as the default.
func (s *service) groupsOf(cluster *aurora.DBCluster, own string) groupPair {
	find := func(kind groupKind, name string) ParameterGroup {
		g := ParameterGroup{Account: cluster.Account, Region: cluster.Region, Kind: kind, Name: name}
		if name == defaultParameterGroup {
			return g
		}
		if item, ok := s.parameterGroups.Get(g.key()); ok {
			return item.Value
		}
		g.Name = defaultParameterGroup
		return g
	}
	return groupPair{find(clusterGroup, cluster.Spec.ParameterGroupName), find(instanceGroup, own)}
}

// followGroups has clusters and instances follow their parameter groups until ctx
// ends. A change of a group is the intent, and following it can be repeated.
func (s *service) followGroups(ctx context.Context) {
	for ctx.Err() == nil {
		groups, clusters, instances := s.parameterGroups.Changed(), s.clusters.Changed(), s.instances.Changed()
		members := s.members()
		all := s.clusters.All()
		for i := range all {
			if err := s.follow(ctx, all[i], members[all[i].Key]); err != nil && !errors.Is(err, state.ErrConflict) && ctx.Err() == nil {
				slog.Warn("rds: parameters of a DB cluster not changed, trying again", "cluster", all[i].Key, "error", err)
			}
		}
		select {
		case <-groups:
		case <-clusters:
		case <-instances:
		case <-ctx.Done():
		}
	}
}

// follow gives a cluster's instances what changed in their groups, all in one
// transaction. A conflict is followed by a change of the mirrors.
func (s *service) follow(ctx context.Context, cluster state.Item[aurora.DBCluster], members []*aurora.DBInstance) error {
	var ops []state.Op
	now := make([]*aurora.DBInstance, len(members))
	for i, in := range members {
		now[i] = in
		changed := *in
		s.followInstance(&cluster.Value, &changed.Spec)
		if sameGroups(&in.Spec, &changed.Spec) {
			continue
		}
		now[i] = &changed
		item, ok := s.instances.Get(in.ResourceID)
		if !ok {
			continue
		}
		ops = append(ops, state.DBInstances(s.store).PutOp(item.Key, changed, item.Revision))
	}
	if force := s.forcesSSL(&cluster.Value, now); force != cluster.Value.Spec.ForceSSL {
		cluster.Value.Spec.ForceSSL = force
		ops = append(ops, state.DBClusters(s.store).PutOp(cluster.Key, cluster.Value, cluster.Revision))
	}
	if len(ops) == 0 {
		return nil
	}
	_, err := s.store.Commit(ctx, ops...)
	return err
}

// followInstance gives an instance what changed in its groups, and its cluster's name.
func (s *service) followInstance(cluster *aurora.DBCluster, in *aurora.DBInstanceSpec) {
	in.ClusterIdentifier = cluster.Spec.Identifier
	groups := s.groupsOf(cluster, in.ParameterGroupName)
	atOnce := groups.changedAtOnce(in)
	groups.take(in, func(p *parameter.Parameter) bool {
		return atOnce(p) || in.ClusterGroupName != groups.cluster.Name && groups.clusterGroupChanged(p)
	})
}

func sameGroups(a, b *aurora.DBInstanceSpec) bool {
	return a.ClusterIdentifier == b.ClusterIdentifier && a.ParameterGeneration == b.ParameterGeneration && a.ClusterGroupName == b.ClusterGroupName &&
		a.ClusterGroupRevision == b.ClusterGroupRevision && a.GroupRevision == b.GroupRevision
}

// forcesSSL says whether clients of a cluster must use TLS: its writer's settings
// say so, or its group while it has none.
func (s *service) forcesSSL(cluster *aurora.DBCluster, members []*aurora.DBInstance) bool {
	for _, in := range members {
		if in.ResourceID == cluster.Status.Writer {
			return parameter.On(in.Spec.Parameters[parameter.ForceSSL])
		}
	}
	groups := s.groupsOf(cluster, defaultParameterGroup)
	value, _ := groups.cluster.set(parameter.ForceSSL)
	return parameter.On(value)
}

// startParameters gives a new instance its settings. What all servers of a cluster
// must have alike it has as the others do.
func (s *service) startParameters(cluster *aurora.DBCluster, in *aurora.DBInstanceSpec, own ParameterGroup) {
	groups := s.groupsOf(cluster, own.Name)
	groups.own = own
	take := restartedWithWriter
	for _, other := range s.membersOf(cluster.ResourceID) {
		take = restarted
		in.Parameters = other.Spec.Parameters
	}
	groups.take(in, take)
}

func pendingSetting(server *aurora.ServerReport, name string) bool {
	return slices.Contains(strings.Split(server.PendingSettings, ","), name)
}
