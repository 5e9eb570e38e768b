package controller

import (
	"context"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/daybreakdb/daybreak/internal/dataplane/decide"
)

const (
	// settleTime is how long after our start no host counts as lost: they may be
	// starting too.
	settleTime = 5 * time.Second
	// silence is how long nothing may come from a writer before it counts as
	// silent. It writes every half second.
	silence = 1200 * time.Millisecond
)

// watch knows since when hosts are away.
type watch struct {
	began time.Time

	mu   sync.Mutex
	away map[string]time.Time
}

func newWatch(now time.Time) *watch { return &watch{began: now, away: map[string]time.Time{}} }

// see notes which hosts are there. The text that it returns changes when they do.
// A host that no other can reach is the only one, and never away.
func (h *watch) see(m *mirrors, now time.Time) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var text strings.Builder
	away := map[string]time.Time{}
	for _, item := range m.hosts.All() {
		text.WriteString(item.Key)
		if item.Value.Leaving {
			text.WriteString(" leaving")
		}
		if _, present := m.presence.Get(item.Key); !present && item.Value.Link != "" {
			text.WriteString(" away")
			since, ok := h.away[item.Key]
			if !ok {
				since = now
			}
			away[item.Key] = since
		}
		text.WriteString("\n")
	}
	h.away = away
	return text.String()
}

// young says whether the time has not come yet to take hosts for lost.
func (h *watch) young() bool { return time.Since(h.began) < settleTime }

// lost returns the hosts that are away, and since when.
func (h *watch) lost() map[string]time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.young() {
		return nil
	}
	return maps.Clone(h.away)
}

// silent says whether the writer's host is lost and nothing comes from the writer
// to the copies of the log here. Without a copy here, others have to say so.
func (w *worker) silent(ctx context.Context, world decide.World) bool {
	for i := range world.Instances {
		in := &world.Instances[i]
		if in.ResourceID != world.Cluster.Status.Writer {
			continue
		}
		if _, lost := world.Lost[in.Status.Host]; !lost || w.config.Heard == nil {
			return false
		}
		age, known := w.config.Heard(ctx, w.id)
		return known && age >= silence
	}
	return false
}

// unheard are the hosts whose copies of a cluster's log get nothing from the writer
// of a term.
func (m *mirrors) unheard(cluster string, term int64) []string {
	var hosts []string
	for _, item := range m.silences.All() {
		if item.Value.Cluster == cluster && item.Value.Term == term {
			hosts = append(hosts, item.Value.Host)
		}
	}
	return hosts
}
