package wal

import "time"

// heard says how long ago a writer's bytes came to a copy of each cluster here, or
// how long none has come since our start. A host that is cut off from the state
// store sees by this that a writer goes on.
func (h *Host) heard() map[string]time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	now, all := time.Now(), map[string]time.Duration{}
	for _, c := range h.copies {
		c.mu.Lock()
		last := c.heard
		c.mu.Unlock()
		if last.IsZero() {
			last = h.began
		}
		if ago, ok := all[c.cluster]; !ok || now.Sub(last) < ago {
			all[c.cluster] = now.Sub(last)
		}
	}
	return all
}

// hear notes that bytes of a writer came.
func (c *Copy) hear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = time.Now()
}
