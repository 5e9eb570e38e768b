// Package node is the agent of one host: the process "daybreak node". It makes
// the host's PostgreSQL servers what the tasks of their DB instances say, keeps
// them so, and reports what it sees. It decides nothing about a cluster, and its
// own end leaves every server running: the next node adopts them.
package node

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/blob"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/state"
)

const (
	// memoryShares is how many parts a host's memory is divided into; one server
	// is built for one part at most, whatever its class.
	memoryShares = 8
	// maxBuilds is how many data directories are filled at a time.
	maxBuilds = 4
	// defaultStopGrace is how long a clean shutdown may take.
	defaultStopGrace = 30 * time.Second
)

// Config of a node. HostID, Zones and MemoryBytes have defaults: the
// installation's id, the zones a, b and c, and what the host has.
type Config struct {
	Store   *state.Store
	Layout  layout.Layout
	Keyring *keyring.Keyring

	HostID      string
	Link        string   // address at which other hosts reach this one
	Zones       []string // suffixes of the region's name
	MemoryBytes int64
	// StopGrace is how long a server may take to stop cleanly before it is stopped hard.
	StopGrace time.Duration
	// RemoveGrace is how long the sessions of a server to be removed may go on (3
	// minutes in Aurora); 0: not at all.
	RemoveGrace time.Duration
	// BaseLimit is how many bytes of WAL the log keeps before a new base copy is
	// taken; 0: 1 GiB.
	BaseLimit int64

	// Backups is the object store of backups; nil: a directory of this host.
	Backups blob.Store
	// SweepInterval is how often backups that are not needed are deleted; 0: every
	// ten minutes.
	SweepInterval time.Duration

	Metrics prometheus.Registerer // nil: no metrics
}

// Run manages the host's servers until ctx ends, and then leaves them running.
// It returns an error only if it could not begin.
func Run(ctx context.Context, c Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n, err := newNode(ctx, c)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	defer n.running.Wait()
	n.running.Go(func() { n.register(ctx) })
	n.running.Go(func() { n.keepBases(ctx) })
	n.running.Go(func() { n.sweepBackups(ctx) })
	n.running.Go(func() { n.reportLogs(ctx) })
	n.running.Go(func() { n.removeLogs(ctx) })
	n.running.Go(func() { n.serveLogs(ctx) })
	n.running.Go(func() { n.tellTopology(ctx) })
	n.running.Go(func() { n.pruneLogs(ctx) })
	n.running.Go(func() { n.sweep(ctx) })
	if c.Link != "" {
		n.running.Go(func() { n.tellSilences(ctx) })
	}
	for {
		changed := n.changed()
		n.dispatch(ctx)
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

type node struct {
	ctx       context.Context // ends with the node
	config    Config
	clusters  *state.Mirror[aurora.DBCluster]
	instances *state.Mirror[aurora.DBInstance]
	metrics   *metrics
	wal       *wal.Client   // of this host
	builds    chan struct{} // one token per build that goes on
	running   sync.WaitGroup
	shared    time.Time       // when sights were exchanged with other hosts; only tellTopology uses it
	workers   map[string]bool // instances and retained data looked after; only dispatch adds

	mu      sync.Mutex
	news    chan struct{} // closed at the next change of a noun
	ended   []string      // workers that have ended
	install postgres.Installation
	others  map[string]*wal.Client    // of other hosts, by host
	sights  map[string]postgres.Sight // what was last seen of the host's instances
}

func newNode(ctx context.Context, c Config) (*node, error) {
	if c.HostID == "" {
		c.HostID = c.Layout.ID()
	}
	if len(c.Zones) == 0 {
		c.Zones = []string{"a", "b", "c"}
	}
	if c.StopGrace == 0 {
		c.StopGrace = defaultStopGrace
	}
	if c.Backups == nil {
		c.Backups = blob.Dir{Root: c.Layout.Backups()}
	}
	if c.BaseLimit == 0 {
		c.BaseLimit = defaultBaseLimit
	}
	if c.MemoryBytes == 0 {
		var err error
		if c.MemoryBytes, err = memoryBytes(); err != nil {
			return nil, err
		}
	}
	n := &node{
		ctx: ctx, config: c, metrics: newMetrics(c.Metrics), wal: wal.NewClient(c.Layout.LogSocket()), builds: make(chan struct{}, maxBuilds),
		workers: map[string]bool{}, others: map[string]*wal.Client{}, sights: map[string]postgres.Sight{}, news: make(chan struct{}),
	}
	var err error
	if n.clusters, err = state.NewMirror(ctx, state.DBClusters(c.Store)); err != nil {
		return nil, err
	}
	if n.instances, err = state.NewMirror(ctx, state.DBInstances(c.Store)); err != nil {
		return nil, err
	}
	n.running.Go(func() { n.listen(ctx) })
	return n, nil
}

// listen turns the mirrors' changes into one signal for all workers.
func (n *node) listen(ctx context.Context) {
	for {
		clusters, instances := n.clusters.Changed(), n.instances.Changed()
		n.announce()
		select {
		case <-clusters:
		case <-instances:
		case <-ctx.Done():
			return
		}
	}
}

func (n *node) announce() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.news)
	n.news = make(chan struct{})
}

// changed returns a channel that is closed at the next change after the call, of
// a noun or of the set of workers.
func (n *node) changed() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.news
}

// dispatch starts a worker for each instance and for all retained data of this
// host that have none.
func (n *node) dispatch(ctx context.Context) {
	n.mu.Lock()
	for _, key := range n.ended {
		delete(n.workers, key)
	}
	n.ended = nil
	n.mu.Unlock()
	for _, item := range n.instances.All() {
		if o, ok := n.order(item.Key); ok && (o.host == n.config.HostID || n.hasLeft(o)) {
			n.start(item.Key, func() { n.newWorker(item).run(ctx) })
		}
	}
	for _, item := range n.clusters.All() {
		n.startBackups(ctx, item)
		if kept := item.Value.Status.Retained; n.toRemove(item.Value) {
			n.start(kept.Instance, func() { n.removeRetained(ctx, item.Value) })
		} else if n.toDrop(item.Value) && !n.workers["archive "+item.Key] { // which would open the log again
			n.start(item.Key, func() { n.dropLog(ctx, item.Value) })
		} else if n.toMove(item.Value) {
			n.start("move "+item.Key, func() { n.moveLog(ctx, item.Key) })
		}
	}
}

// start runs work under a key unless it runs already.
func (n *node) start(key string, work func()) {
	if n.workers[key] {
		return
	}
	n.workers[key] = true
	n.running.Go(func() {
		work()
		n.mu.Lock()
		n.ended = append(n.ended, key)
		n.mu.Unlock()
		n.announce()
	})
}

// register writes what this host is, and again when PostgreSQL gets installed.
func (n *node) register(ctx context.Context) {
	const look = 5 * time.Second
	for first := true; ; first = false {
		host := aurora.Host{ID: n.config.HostID, Link: n.config.Link, CPUs: runtime.NumCPU(), MemoryBytes: n.config.MemoryBytes}
		for _, suffix := range n.config.Zones {
			host.Zones = append(host.Zones, aurora.HostZone{Suffix: suffix})
		}
		found, err := n.installation(ctx)
		host.PGVersion = found.Version
		if first && err != nil {
			slog.Error("node: no server can be started", "error", err)
		}
		if stored := n.storeHost(ctx, host); stored == nil && err == nil {
			return
		} else if stored != nil && ctx.Err() == nil {
			slog.Warn("node: host not registered", "error", stored)
		}
		select {
		case <-time.After(look):
		case <-ctx.Done():
			return
		}
	}
}

// installation finds PostgreSQL, and remembers it once found.
func (n *node) installation(ctx context.Context) (postgres.Installation, error) {
	n.mu.Lock()
	found := n.install
	n.mu.Unlock()
	if found.BinDir != "" {
		return found, nil
	}
	found, err := postgres.Find(ctx)
	if err != nil {
		return found, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.install = found
	return found, nil
}
