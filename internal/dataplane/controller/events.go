package controller

import (
	"context"
	"log/slog"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/decide"
	"github.com/daybreakdb/daybreak/internal/state"
)

// events are what a decision tells users: what it announces, what is there for
// the first time, and what is gone.
func events(before, after decide.World, actions []decide.Action) []aurora.Event {
	var all []aurora.Event
	for _, a := range actions {
		if announce, ok := a.(decide.Announce); ok {
			all = append(all, announce.Event)
		}
	}
	if !made(before.Cluster.Status.Status) && made(after.Cluster.Status.Status) {
		all = append(all, aurora.ClusterCreated(&after.Cluster))
	}
	switch was, is := before.Cluster.Status.Status, after.Cluster.Status.Status; {
	case was != is && is == aurora.ClusterStatusStopped:
		all = append(all, aurora.ClusterStopped(&after.Cluster))
	case was == aurora.ClusterStatusStarting && is == aurora.ClusterStatusAvailable:
		all = append(all, aurora.ClusterStarted(&after.Cluster))
	}
	stays := map[string]string{}
	for i := range after.Instances {
		stays[after.Instances[i].ResourceID] = after.Instances[i].Status.Status
	}
	for i := range before.Instances {
		in := &before.Instances[i]
		switch status, ok := stays[in.ResourceID]; {
		case !ok:
			all = append(all, aurora.InstanceDeleted(in))
		case !made(in.Status.Status) && made(status):
			all = append(all, aurora.InstanceCreated(in))
		case in.Status.Status != status && status == aurora.InstanceStatusStopped:
			all = append(all, aurora.InstanceStopped(in))
		case in.Status.Status == aurora.InstanceStatusStarting && status == aurora.InstanceStatusAvailable:
			all = append(all, aurora.InstanceStarted(in))
		case in.Status.Status == aurora.InstanceStatusRebooting && status != aurora.InstanceStatusRebooting && made(status):
			all = append(all, aurora.InstanceRestarted(in))
		}
	}
	if after.Removed {
		all = append(all, aurora.ClusterDeleted(&before.Cluster))
	}
	return all
}

// made says whether a cluster or an instance of this status is there: it was made,
// and it is not on its way out.
func made(status string) bool {
	switch status {
	case "", aurora.InstanceStatusCreating, aurora.InstanceStatusFailed, aurora.InstanceStatusDeleting:
		return false
	}
	return true
}

// pruneInterval is how often old events are forgotten.
const pruneInterval = time.Hour

func (c *controller) pruneEvents(ctx context.Context) {
	for {
		if err := state.PruneEvents(ctx, c.config.Store, time.Now().Add(-state.EventRetention)); err != nil && ctx.Err() == nil {
			slog.Warn("controller: old events not forgotten", "error", err)
		}
		select {
		case <-time.After(pruneInterval):
		case <-ctx.Done():
			return
		}
	}
}
