package node

import (
	"context"
	"os"
	"path/filepath"
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

// leave ends the server of an instance that is on another host now, and deletes
// its data: the log has everything that was acknowledged.
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
