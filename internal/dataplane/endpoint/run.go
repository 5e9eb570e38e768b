package endpoint

import (
	"context"
	"fmt"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Run serves the endpoints of this host as the state asks for, until ctx ends.
// While the state store is away it goes on with what it knew last.
func Run(ctx context.Context, c Config) error {
	m, err := newMirrors(ctx, c.Store)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("endpoint: %w", err)
	}
	p := NewProxy(c)
	defer p.Wait()
	if c.Names.Suffix != "" {
		p.running.Go(func() { p.names.serveNames(ctx, c) })
	}
	stalls := watchStalls(ctx, c.Layout)
	for {
		clusters, instances, groups, hosts, presence := m.clusters.Changed(), m.instances.Changed(), m.groups.Changed(), m.hosts.Changed(), m.presence.Changed()
		stalled, changed := stalls.get()
		p.Apply(ctx, m.snapshot(c, stalled))
		select {
		case <-clusters:
		case <-instances:
		case <-groups:
		case <-hosts:
		case <-presence:
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// mirrors are local copies of what routing depends on.
type mirrors struct {
	clusters  *state.Mirror[aurora.DBCluster]
	instances *state.Mirror[aurora.DBInstance]
	groups    *state.Mirror[aurora.SecurityGroup]
	hosts     *state.Mirror[aurora.Host]
	presence  *state.Mirror[aurora.Presence]
}

func newMirrors(ctx context.Context, s *state.Store) (m mirrors, err error) {
	if m.clusters, err = state.NewMirror(ctx, state.DBClusters(s)); err != nil {
		return m, err
	}
	if m.instances, err = state.NewMirror(ctx, state.DBInstances(s)); err != nil {
		return m, err
	}
	if m.hosts, err = state.NewMirror(ctx, state.Hosts(s)); err != nil {
		return m, err
	}
	if m.presence, err = state.NewMirror(ctx, state.Presence(s)); err != nil {
		return m, err
	}
	m.groups, err = state.NewMirror(ctx, state.SecurityGroups(s))
	return m, err
}

// snapshot is the state as this host sees it.
func (m mirrors) snapshot(c Config, stalled map[string]bool) Snapshot {
	v := hostView{host: c.HostID, layout: c.Layout, publish: c.Publish, stalled: stalled, lost: map[string]bool{}}
	for _, item := range m.hosts.All() {
		if _, present := m.presence.Get(item.Key); !present && item.Value.Link != "" {
			v.lost[item.Key] = true
		}
	}
	return v.of(Snapshot{
		Clusters:  values(m.clusters.All()),
		Instances: values(m.instances.All()),
		Groups:    values(m.groups.All()),
	})
}

func values[T any](items []state.Item[T]) []T {
	all := make([]T, len(items))
	for i, item := range items {
		all[i] = item.Value
	}
	return all
}
