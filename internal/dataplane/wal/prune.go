package wal

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
)

// held lists the copies that are here of a cluster's log.
func (h *Host) held(cluster string) []HeldCopy {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []HeldCopy
	for dir, c := range h.copies {
		c.mu.Lock()
		if c.cluster == cluster && !c.blank {
			all = append(all, HeldCopy{Zone: zoneOf(dir), Number: c.number, Shape: c.shape})
		}
		c.mu.Unlock()
	}
	return all
}

// zoneOf is the zone of a copy's directory.
func zoneOf(dir string) string { return filepath.Base(filepath.Dir(filepath.Dir(dir))) }

// prune deletes copies that are what they were when held listed them. Every step that
// makes a copy one of a log gives it another shape.
func (h *Host) prune(cluster string, copies []HeldCopy) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs error
	for _, q := range copies {
		if err := checkNames(cluster, q.Zone); err != nil {
			return err
		}
		dir := h.config.Layout.LogCopy(q.Zone, cluster, q.Number)
		c := h.copies[dir]
		if c == nil || !c.step.TryLock() { // somebody does something with it
			continue
		}
		if c.forgetShape(q.Shape) {
			slog.Info("wal: delete a copy that is elsewhere now", "cluster", cluster, "copy", q.Number, "zone", q.Zone)
			if err := os.RemoveAll(dir); err != nil {
				errs = errors.Join(errs, fmt.Errorf("delete copy %d of %s: %w", q.Number, cluster, err))
			}
		}
		c.step.Unlock()
	}
	return errs
}

// forgetShape makes the copy blank if it has this shape. The caller holds step.
func (c *Copy) forgetShape(shape uint64) bool {
	c.mu.Lock()
	same := c.shape == shape
	c.mu.Unlock()
	if same {
		c.makeBlank()
	}
	return same
}
