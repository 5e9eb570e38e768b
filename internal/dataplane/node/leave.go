package node

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// hasLeft says whether this host has a data directory of an instance that has
// been moved to another host, as happens while this one is lost.
func (n *node) hasLeft(o order) bool {
	return o.host != "" && len(n.remains(o)) > 0
}

// remains are the directories that this host has of an instance.
func (n *node) remains(o order) []string {
	dirs, _ := filepath.Glob(n.config.Layout.Instance("*", o.cluster, o.instance)) // the pattern is right
	return dirs
}

// elsewhere are the directories that this host has of an instance in other zones than
// its own, as when it was built where the base copy is.
func (n *node) elsewhere(o order) []string {
	own := n.config.Layout.Instance(o.zone, o.cluster, o.instance)
	return slices.DeleteFunc(n.remains(o), func(dir string) bool { return dir == own })
}

// servesElsewhere says whether an instance that is on another host serves there in its
// cluster's term.
func (n *node) servesElsewhere(o order) bool {
	item, ok := n.instances.Get(o.instance)
	in := item.Value
	return ok && in.Server.Phase == aurora.PhaseRunning && in.Server.Role == in.Status.Task.Role && in.Server.Term == in.Status.Task.Term
}

// leave ends the server of an instance that is on another host now, and deletes
// its data when it serves there: until then nothing that there is of it goes.
func (w *worker) leave(ctx context.Context, o order) error {
	w.stopMonitor()
	w.leads, w.watched = 0, 0
	w.setStalled(false)
	for _, dir := range w.remains(o) {
		o.zone = filepath.Base(filepath.Dir(filepath.Dir(dir)))
		s, err := w.server(o)
		if err != nil {
			return err
		}
		if !w.servesElsewhere(o) {
			if err := stopIfRunning(ctx, s, killGrace); err != nil {
				return err
			}
			continue
		}
		w.log.Warn("node: remove what is left of an instance that is on another host", "host", o.host, "dir", dir)
		if err := s.Remove(ctx); err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	w.process = nil
	return nil
}
