// Package controller brings every DB cluster to what its Spec asks for: it
// watches the nouns, lets package decide say what to do, and stores the outcome
// in one transaction per decision. Nodes and endpoints follow what is stored. It
// must not touch a process or a data directory. Several may run, on several hosts:
// what a decision was made from is checked when it is stored.
package controller

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Config of the controller.
type Config struct {
	Store   *state.Store
	Keyring *keyring.Keyring

	EndpointNet  netip.Prefix // where endpoints get their addresses, as 127.42.8.0/22
	EndpointBind string       // IP address at which each endpoint also gets a port; empty: none
	DefaultPort  int          // port of clusters whose Spec names none
	// FirstOSUser is the first user id given to a cluster; 0: all servers run as
	// the user that Daybreak runs as, who is not root.
	FirstOSUser int
	// HostPatience is how long a host may be lost before copies of logs that it has
	// are made elsewhere; 0: as package decide has it.
	HostPatience time.Duration
	// Heard says how long ago WAL of a cluster last came to a copy of its log on
	// this host, if there is one; nil: nothing is heard.
	Heard func(ctx context.Context, cluster string) (time.Duration, bool)

	Metrics prometheus.Registerer // nil: no metrics
}

// Run acts until ctx ends. It returns an error only if it could not begin.
func Run(ctx context.Context, c Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m, err := newMirrors(ctx, c.Store)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("controller: %w", err)
	}
	r := &controller{
		config: c, mirrors: m, metrics: newMetrics(c.Metrics),
		offers:  &offers{config: c, mirrors: m, held: map[string]bool{}},
		workers: map[string]*worker{},
		hosts:   newWatch(time.Now()),
	}
	defer r.running.Wait()
	r.running.Go(func() { r.pruneEvents(ctx) })
	for {
		changed := m.changed(ctx)
		r.dispatch(ctx)
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

type controller struct {
	config  Config
	mirrors *mirrors
	metrics *metrics
	offers  *offers
	hosts   *watch
	workers map[string]*worker // by cluster; only dispatch uses it
	running sync.WaitGroup
}

// dispatch starts a worker for each cluster and wakes those with news.
func (r *controller) dispatch(ctx context.Context) {
	news := map[string]fingerprint{}
	for _, item := range r.mirrors.clusters.All() {
		unheard := len(r.mirrors.unheard(item.Key, item.Value.Status.Term))
		news[item.Key] = fingerprint{revision: item.Revision, count: 1, unheard: unheard}
	}
	for _, item := range r.mirrors.instances.All() {
		id := item.Value.Spec.ClusterResourceID
		f := news[id]
		f.revision, f.count = max(f.revision, item.Revision), f.count+1
		news[id] = f
	}
	r.mirrors.countBackups(news)
	hosts := r.hosts.see(r.mirrors, time.Now())
	for id, f := range news {
		f.hosts = hosts
		w := r.workers[id]
		if w == nil {
			w = r.start(ctx, id)
		}
		if w.seen != f {
			w.seen = f
			w.wake()
		}
	}
	for id, w := range r.workers {
		if _, ok := news[id]; !ok {
			w.cancel()
			delete(r.workers, id)
		}
	}
	r.metrics.clusters.Set(float64(len(news)))
}

// fingerprint changes with everything that a cluster's decisions depend on.
type fingerprint struct {
	revision int64
	hosts    string
	count    int
	unheard  int // hosts that hear nothing from the writer

	backups int64 // revision of the newest base backup or snapshot
}

func (r *controller) start(ctx context.Context, id string) *worker {
	ctx, cancel := context.WithCancel(ctx)
	w := &worker{
		controller: r, id: id, cancel: cancel, news: make(chan struct{}, 1),
		log: slog.With("cluster", id),
	}
	r.workers[id] = w
	r.running.Go(func() { w.run(ctx) })
	return w
}

// mirrors are local copies of what decisions depend on.
type mirrors struct {
	clusters  *state.Mirror[aurora.DBCluster]
	instances *state.Mirror[aurora.DBInstance]
	hosts     *state.Mirror[aurora.Host]
	presence  *state.Mirror[aurora.Presence]
	silences  *state.Mirror[aurora.Silence]
	addresses *state.Mirror[string]
	archives  *state.Mirror[aurora.Archive]
	bases     *state.Mirror[aurora.BaseBackup]
	snapshots *state.Mirror[aurora.DBClusterSnapshot]
}

func newMirrors(ctx context.Context, s *state.Store) (*mirrors, error) {
	var m mirrors
	var err error
	if m.clusters, err = state.NewMirror(ctx, state.DBClusters(s)); err != nil {
		return nil, err
	}
	if m.instances, err = state.NewMirror(ctx, state.DBInstances(s)); err != nil {
		return nil, err
	}
	if m.hosts, err = state.NewMirror(ctx, state.Hosts(s)); err != nil {
		return nil, err
	}
	if m.presence, err = state.NewMirror(ctx, state.Presence(s)); err != nil {
		return nil, err
	}
	if m.silences, err = state.NewMirror(ctx, state.Silences(s)); err != nil {
		return nil, err
	}
	if m.archives, err = state.NewMirror(ctx, state.Archives(s)); err != nil {
		return nil, err
	}
	if m.bases, err = state.NewMirror(ctx, state.BaseBackups(s)); err != nil {
		return nil, err
	}
	if m.snapshots, err = state.NewMirror(ctx, state.DBClusterSnapshots(s)); err != nil {
		return nil, err
	}
	m.addresses, err = state.NewMirror(ctx, state.Addresses(s))
	return &m, err
}

// changed returns a channel that is closed at the next change of a noun.
func (m *mirrors) changed(ctx context.Context) <-chan struct{} {
	clusters, instances, hosts := m.clusters.Changed(), m.instances.Changed(), m.hosts.Changed()
	presence, silences := m.presence.Changed(), m.silences.Changed()
	bases, snapshots := m.bases.Changed(), m.snapshots.Changed()
	any := make(chan struct{})
	go func() {
		defer close(any)
		select {
		case <-clusters:
		case <-instances:
		case <-hosts:
		case <-presence:
		case <-silences:
		case <-bases:
		case <-snapshots:
		case <-ctx.Done():
		}
	}()
	return any
}
