package rds

import (
	"maps"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/aurora/parameter"
)

// groupPair is what decides about an instance's settings: the parameter group of
// its cluster, and its own, which goes first.
type groupPair struct{ cluster, own ParameterGroup }

// wanted are the settings that a parameter is to have; none: the default.
func (g *groupPair) wanted(p *parameter.Parameter) map[string]string {
	if value, ok := g.own.set(p.Name); ok && p.Instance {
		return p.Settings(value)
	}
	if value, ok := g.cluster.set(p.Name); ok && p.Cluster {
		return p.Settings(value)
	}
	return nil
}

// settle returns the settings of an instance that has some: those of a parameter
// that take agrees to are as the groups want them, the others stay.
func (g *groupPair) settle(have map[string]string, take func(*parameter.Parameter) bool) map[string]string {
	settled := map[string]string{}
	for p := range g.concerned(have) {
		if take(p) {
			maps.Copy(settled, g.wanted(p))
			continue
		}
		for name := range p.Settings("") {
			if value, ok := have[name]; ok {
				settled[name] = value
			}
		}
	}
	return settled
}

// concerned are the parameters that settings are of, or that the groups have set.
func (g *groupPair) concerned(have map[string]string) map[*parameter.Parameter]bool {
	found := map[*parameter.Parameter]bool{}
	note := func(name string) {
		if p, ok := parameter.Find(name); ok {
			found[p] = true
		}
	}
	for name := range have {
		note(name)
	}
	for _, group := range []*ParameterGroup{&g.cluster, &g.own} {
		for name := range group.Parameters {
			note(name)
		}
	}
	return found
}

// changedAtOnce agrees to parameters that were changed since the instance looked at
// its groups, and need not wait for its restart: PostgreSQL itself keeps those that
// need one.
func (g *groupPair) changedAtOnce(in *aurora.DBInstanceSpec) func(*parameter.Parameter) bool {
	return func(p *parameter.Parameter) bool {
		if p.BoundToWriter() {
			return false
		}
		for _, change := range []struct {
			last groupParameter
			seen int64
		}{
			{g.cluster.Parameters[p.Name], in.ClusterGroupRevision},
			{g.own.Parameters[p.Name], in.GroupRevision},
		} {
			if change.last.Revision > change.seen && (p.Static || change.last.ApplyMethod == applyImmediate) {
				return true
			}
		}
		return false
	}
}

// clusterGroupChanged agrees to what another parameter group of the cluster sets, at
// once: but for what that group itself keeps for the next restart.
func (g *groupPair) clusterGroupChanged(p *parameter.Parameter) bool {
	if _, own := g.own.set(p.Name); own || p.BoundToWriter() {
		return false
	}
	return p.Static || g.cluster.Parameters[p.Name].ApplyMethod != applyPendingReboot
}

// ownGroupChanged agrees to what PostgreSQL keeps for the next restart anyway: of
// another group of its own, an instance takes the rest with its restart.
func ownGroupChanged(p *parameter.Parameter) bool { return p.Static && !p.BoundToWriter() }

// restarted agrees to everything but what the writer must have first.
func restarted(p *parameter.Parameter) bool { return !p.BoundToWriter() }

// restartedWithWriter agrees to everything.
func restartedWithWriter(*parameter.Parameter) bool { return true }

// take gives the instance the settings that take agrees to.
func (g *groupPair) take(in *aurora.DBInstanceSpec, take func(*parameter.Parameter) bool) {
	settled := g.settle(in.Parameters, take)
	if !maps.Equal(in.Parameters, settled) {
		in.Parameters = settled
		in.ParameterGeneration++
	}
	in.ClusterGroupName, in.ClusterGroupRevision = g.cluster.Name, g.cluster.Revision
	in.ParameterGroupName, in.GroupRevision = g.own.Name, g.own.Revision
}

// waits says whether settings of the cluster's group, or of the instance's own, wait
// for a restart; what neither has set any more counts for both.
func (g *groupPair) waits(in *aurora.DBInstance) (cluster, own bool) {
	if len(in.Spec.Parameters)+len(g.cluster.Parameters)+len(g.own.Parameters) == 0 {
		return false, false
	}
	wanted := g.settle(in.Spec.Parameters, restartedWithWriter)
	for p := range g.concerned(in.Spec.Parameters) {
		waits := false
		for name := range p.Settings("") {
			have, had := in.Spec.Parameters[name]
			want, has := wanted[name]
			waits = waits || have != want || had != has || pendingSetting(&in.Server, name)
		}
		if !waits {
			continue
		}
		_, ofCluster := g.cluster.Parameters[p.Name]
		_, ofOwn := g.own.Parameters[p.Name]
		cluster = cluster || ofCluster || !ofOwn
		own = own || ofOwn || !ofCluster && p.Instance
	}
	return cluster, own
}
