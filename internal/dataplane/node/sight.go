package node

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
)

const (
	// lookInterval is how often a reader is looked at, and lookLimit how long that
	// may take.
	lookInterval = time.Second
	lookLimit    = 2 * time.Second
	// strayLimit is how long a reader may be without the feed, while there is one,
	// before its data is thrown away: it cannot follow.
	strayLimit = 30 * time.Second
	// A reader that is lagLimit behind is not read from any more, and again when it
	// is lagEnd behind or less. Aurora's restart themselves at a minute.
	lagLimit = 30 * time.Second
	lagEnd   = 5 * time.Second
	// stuckLimit is how long a reader replays nothing, though there is WAL, until
	// that is said. WAL comes at every beat of the writer, so no pause of a second
	// is natural; a busy machine's can be.
	stuckLimit = 2 * time.Second
)

// readerWatch looks at one running reader.
type readerWatch struct {
	node   *node
	id     string
	server postgres.Server
	log    wal.Cluster
	leader *wal.Client
	alarms chan<- alarm

	conn     *pgx.Conn
	since    time.Time // when it was last seen to follow
	lagging  bool
	progress progress
}

// progress sees whether a replay goes on.
type progress struct {
	at    wal.LSN
	since time.Time // when it came there, or had nothing to do
}

// stuck says whether nothing was replayed for a while although there is WAL up to
// end.
func (p *progress) stuck(now time.Time, replayed, end wal.LSN) bool {
	if p.since.IsZero() || replayed != p.at || replayed >= end {
		p.at, p.since = replayed, now
	}
	return now.Sub(p.since) >= stuckLimit
}

// watchReader looks at the reader until stopMonitor or the worker's end.
func (w *worker) watchReader(ctx context.Context, s postgres.Server, o order) {
	w.stopMonitor()
	r := &readerWatch{node: w.node, id: w.id, server: s, log: o.log(s), leader: w.logAt(o.leader), alarms: w.alarms, since: time.Now(), lagging: w.seen.Lagging}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		var group errgroup.Group
		group.Go(func() error { r.run(ctx); return nil })
		group.Go(func() error { w.takeFaults(ctx, s, r.log, w.alarms); return nil })
		_ = group.Wait()
	}()
	w.stopMonitoring = func() { cancel(); <-done }
}

func (r *readerWatch) run(ctx context.Context) {
	defer func() {
		if r.conn != nil {
			closing, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = r.conn.Close(closing)
		}
	}()
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			slog.Debug("node: reader not seen", "instance", r.id, "error", err)
		}
		if time.Since(r.since) > strayLimit && ctx.Err() == nil && r.shipping(ctx) {
			select {
			case r.alarms <- alarm{stray: true}:
			case <-ctx.Done():
			}
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (r *readerWatch) look(watching context.Context) error {
	ctx, cancel := context.WithTimeout(watching, lookLimit)
	defer cancel()
	if r.conn == nil || r.conn.IsClosed() {
		conn, err := r.server.Connect(ctx)
		if err != nil {
			return err
		}
		r.conn = conn
	}
	seen, streaming, err := postgres.QuerySight(ctx, r.conn)
	if err != nil {
		return err
	}
	r.node.saw(r.id, seen)
	if streaming {
		r.since = time.Now()
	}
	h := r.health(seen)
	if h.damaged, err = postgres.Damaged(ctx, r.conn); err != nil {
		return err
	}
	select {
	case r.alarms <- alarm{health: &h}:
	case <-watching.Done():
	}
	return nil
}

// health is how far the reader is behind what it has.
func (r *readerWatch) health(seen postgres.Sight) health {
	if r.lagging {
		r.lagging = seen.Lag > lagEnd
	} else {
		r.lagging = seen.Lag > lagLimit
	}
	h := health{lagging: r.lagging, stuck: r.progress.stuck(seen.At, seen.ReplayLSN, seen.DurableLSN)}
	if seen.DurableLSN > seen.ReplayLSN {
		h.debt = aurora.ReplayStep(int64(seen.DurableLSN - seen.ReplayLSN))
	}
	return h
}

// shipping says whether the log has a writer that a reader could follow.
func (r *readerWatch) shipping(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	st, err := r.leader.Status(ctx, r.log)
	return err == nil && st.Shipping
}

// saw remembers what was last seen of an instance.
func (n *node) saw(id string, seen postgres.Sight) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sights[id] = seen
}

// topologyInterval is how often servers are told of their clusters; clients that
// use aurora_replica_status() take an instance for lost that was not seen for
// five minutes.
const topologyInterval = 5 * time.Second

// tellTopology tells every server of this host of its cluster, and takes the
// faults that users ask for by SQL.
func (n *node) tellTopology(ctx context.Context) {
	for {
		changed := n.changed()
		if n.config.Link != "" {
			n.shareSights(ctx)
		}
		for _, item := range n.instances.All() {
			if in := item.Value; in.Status.Host == n.config.HostID && in.Server.Phase == aurora.PhaseRunning {
				if err := n.tell(item.Key, in); err != nil {
					slog.Warn("node: topology not written", "instance", item.Key, "error", err)
				}
			}
		}
		select {
		case <-changed:
			// Changes come in swarms.
			_ = sleep(ctx, 50*time.Millisecond)
		case <-time.After(topologyInterval):
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func (n *node) tell(id string, in aurora.DBInstance) error {
	o, ok := n.order(id)
	if !ok {
		return nil
	}
	cluster, ok := n.clusters.Get(in.Spec.ClusterResourceID)
	if !ok {
		return nil
	}
	s, err := n.server(o)
	if err != nil {
		return err
	}
	t := postgres.Topology{
		Version: cluster.Value.Spec.EngineVersion, ServerID: in.Spec.Identifier,
		Disks: 1, Nodes: len(cluster.Value.Status.LogZones),
	}
	t.Members = n.members(in.Spec.ClusterResourceID, cluster.Value.Status.Writer, id)
	return s.WriteTopology(t) // its disk may hang: nothing is held meanwhile
}

// members are the running servers of a cluster, as they were last seen, and the one
// that is told of them.
func (n *node) members(cluster, writer, own string) (all []postgres.Member) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, item := range n.instances.All() {
		if m := item.Value; m.Spec.ClusterResourceID == cluster && (m.Server.Phase == aurora.PhaseRunning || item.Key == own) {
			all = append(all, postgres.Member{
				ServerID: m.Spec.Identifier, Name: item.Key,
				Writer: item.Key == writer, Seen: n.sights[item.Key],
			})
		}
	}
	return all
}
