package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/state"
)

const (
	// sweepInterval is how often it is looked for what deleted clusters have left.
	sweepInterval = 10 * time.Second
	// sweepGrace is how long ago a cluster must have been deleted.
	sweepGrace = time.Minute
)

// sweep deletes what this host has of clusters that were deleted while it was away,
// or had nothing more to do with them, until ctx ends. That a cluster is not in the
// state is not enough, for the state may have been restored from before it was made:
// the state has to say that it was deleted.
func (n *node) sweep(ctx context.Context) {
	told := map[string]bool{}
	for sleep(ctx, sweepInterval) == nil {
		for _, id := range n.strangers() {
			err := n.sweepCluster(ctx, id)
			if ctx.Err() != nil || err == nil || errors.Is(err, errNotDeleted) && told[id] {
				continue
			}
			told[id] = true
			slog.Warn("node: data of a cluster that is not in the state is left", "cluster", id, "error", err)
		}
	}
}

// strangers are the clusters that this host has directories of and does not know.
func (n *node) strangers() []string {
	dirs, _ := filepath.Glob(n.config.Layout.Cluster("*", "cluster-*")) // the pattern is right
	var ids []string
	for _, dir := range dirs {
		id := filepath.Base(dir)
		if _, known := n.clusters.Get(id); !known && !slices.Contains(ids, id) && !n.hasInstances(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (n *node) hasInstances(cluster string) bool {
	return slices.ContainsFunc(n.instances.All(), func(item state.Item[aurora.DBInstance]) bool {
		return item.Value.Spec.ClusterResourceID == cluster
	})
}

var errNotDeleted = errors.New("nothing says that it was deleted: delete its directories if it is not needed any more")

func (n *node) sweepCluster(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	deleted, err := state.DeletedClusters(n.config.Store).Get(ctx, id)
	if errors.Is(err, state.ErrNotFound) {
		return errNotDeleted
	}
	if err != nil || time.Since(deleted.Value.Time) < sweepGrace {
		return err
	}
	if _, err := state.DBClusters(n.config.Store).Get(ctx, id); !errors.Is(err, state.ErrNotFound) {
		return err // it is there: the mirror is behind
	}
	slog.Info("node: remove what is left of a cluster that was deleted", "cluster", id, "identifier", deleted.Value.Identifier, "deleted", deleted.Value.Time)
	dirs, err := filepath.Glob(n.config.Layout.Instance("*", id, "*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		name := filepath.Base(dir)
		if _, err := os.Stat(filepath.Join(dir, "data")); err != nil || strings.HasPrefix(name, "wal-") {
			continue
		}
		s := postgres.Server{Name: name, Dir: dir, SocketDir: n.config.Layout.InstanceSocketDir(name), UID: dataOwner(dir)}
		if err := s.Remove(ctx); err != nil {
			return fmt.Errorf("remove %s: %w", dir, err)
		}
	}
	return n.dropCluster(ctx, id)
}
