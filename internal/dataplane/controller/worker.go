package controller

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/decide"
	"github.com/daybreakdb/daybreak/internal/state"
)

const (
	// conflictPause is how long a worker waits for news after somebody else wrote.
	conflictPause = 20 * time.Millisecond
	// errorPause is the pause after etcd did not answer.
	errorPause = 500 * time.Millisecond
	// timerPause is how often a decision that depends on time is made again.
	timerPause = time.Second
	// idlePause is how often a cluster is looked at to which nothing happens: the
	// backup window begins, or its archive has begun.
	idlePause = 10 * time.Second
	// lostPause is how often that is done while a host is lost.
	lostPause = 200 * time.Millisecond
	// catchUpTimeout bounds the wait until mirrors have our own write.
	catchUpTimeout = 5 * time.Second
)

// worker decides for one cluster.
type worker struct {
	*controller
	id     string
	cancel context.CancelFunc
	news   chan struct{}
	seen   fingerprint // only dispatch uses it
	log    *slog.Logger
}

func (w *worker) wake() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (w *worker) run(ctx context.Context) {
	for ctx.Err() == nil {
		pause := w.step(ctx)
		var timer <-chan time.Time
		if pause == 0 {
			pause = idlePause
		}
		timer = time.After(pause)
		select {
		case <-w.news:
		case <-timer:
		case <-ctx.Done():
		}
	}
}

// step decides once and stores the decision. It returns when to try again even
// if there is no news; 0: never.
func (w *worker) step(ctx context.Context) time.Duration {
	s, ok := w.snapshot(ctx)
	if !ok {
		return 0
	}
	needs := decide.Missing(s.world)
	offer, giveBack := w.offers.make(needs, s.world.Cluster)
	defer giveBack()
	s.world.Offer = offer
	actions := decide.Decide(s.world, time.Now())
	again := time.Duration(0)
	if decide.Waits(s.world) || len(offer.Addresses) < needs.Addresses {
		again = timerPause
	}
	if len(s.world.Lost) > 0 || w.hosts.young() {
		again = lostPause
	}
	if len(actions) == 0 {
		return again
	}
	after := decide.Apply(s.world, actions)
	err := w.commit(ctx, s, after, events(s.world, after, actions))
	switch {
	case err == nil:
		w.record(actions)
		return max(again, time.Millisecond) // see what it led to
	case errors.Is(err, state.ErrConflict):
		w.metrics.conflicts.Inc()
		return conflictPause
	case ctx.Err() != nil:
		return 0
	}
	w.log.Warn("controller: decision not stored", "error", err)
	return errorPause
}

func (w *worker) record(actions []decide.Action) {
	for _, a := range actions {
		w.log.Info("controller: " + a.String())
		w.metrics.actions.WithLabelValues(reflect.TypeOf(a).Name()).Inc()
	}
}

// snapshot is the world as mirrored, with the revisions to compare with.
type snapshot struct {
	world     decide.World
	cluster   int64
	instances map[string]int64
	addresses map[string]int64
	snapshots map[string]int64
}

func (w *worker) snapshot(ctx context.Context) (snapshot, bool) {
	cluster, ok := w.mirrors.clusters.Get(w.id)
	if !ok {
		return snapshot{}, false
	}
	s := snapshot{cluster: cluster.Revision, instances: map[string]int64{}, addresses: map[string]int64{}, snapshots: map[string]int64{}}
	s.world = decide.World{Cluster: cluster.Value, Addresses: map[string]string{}}
	owners := map[string]bool{}
	for _, item := range w.mirrors.instances.All() {
		if item.Value.Spec.ClusterResourceID == w.id {
			s.world.Instances = append(s.world.Instances, item.Value)
			s.instances[item.Key] = item.Revision
			owners[item.Key] = true
		}
	}
	for _, item := range w.mirrors.hosts.All() {
		s.world.Hosts = append(s.world.Hosts, item.Value)
	}
	s.world.Lost = w.hosts.lost()
	s.world.Silent = w.silent(ctx, s.world)
	s.world.Patience = w.config.HostPatience
	s.world.Unheard = w.mirrors.unheard(w.id, cluster.Value.Status.Term)
	for _, item := range w.mirrors.addresses.All() {
		if owners[item.Value] || decide.OwnsEndpoint(w.id, item.Value) {
			s.world.Addresses[item.Key] = item.Value
			s.addresses[item.Key] = item.Revision
		}
	}
	w.seeBackups(&s)
	return s, true
}

// commit stores the difference between the snapshot and the world after the
// decision, if nothing that the decision was made from has changed.
func (w *worker) commit(ctx context.Context, s snapshot, after decide.World, events []aurora.Event) error {
	ops, err := w.clusterOps(ctx, s, after)
	if err != nil {
		return err
	}
	instanceOps, err := w.instanceOps(ctx, s, after)
	if err != nil {
		return err
	}
	ops = append(ops, instanceOps...)
	ops = append(ops, w.addressOps(s, after)...)
	ops = append(ops, w.snapshotOps(s, after)...)
	ops = append(ops, state.EventOps(events)...)
	revision, err := w.config.Store.Commit(ctx, ops...)
	if err != nil {
		return err
	}
	w.catchUp(ctx, s, after, revision)
	return nil
}

func (w *worker) clusterOps(ctx context.Context, s snapshot, after decide.World) ([]state.Op, error) {
	table, before := state.DBClusters(w.config.Store), s.world.Cluster
	if after.Removed {
		name := state.Name{Kind: state.KindDBCluster, Account: before.Account, Region: before.Region, Name: before.Spec.Identifier}
		ops, err := w.release(ctx, name, w.id)
		if uid := before.Status.OSUser; err == nil && uid != 0 {
			var more []state.Op
			more, err = w.release(ctx, osUserName(uid), w.id)
			ops = append(ops, more...)
		}
		if err != nil {
			return nil, err
		}
		remembered, err := w.rememberDeleted(ctx, before)
		if err != nil {
			return nil, err
		}
		set, err := w.backupSetOp(ctx, before)
		return append(ops, table.DeleteOp(w.id, s.cluster), remembered, set), err
	}
	if reflect.DeepEqual(before, after.Cluster) {
		return []state.Op{table.CheckOp(w.id, s.cluster)}, nil
	}
	ops := []state.Op{table.PutOp(w.id, after.Cluster, s.cluster)}
	if uid := after.Cluster.Status.OSUser; uid != before.Status.OSUser {
		ops = append(ops, osUserName(uid).Claim(w.id))
	}
	return ops, nil
}

// rememberDeleted lets hosts that are away now know later that the cluster is gone.
func (w *worker) rememberDeleted(ctx context.Context, c aurora.DBCluster) (state.Op, error) {
	table := state.DeletedClusters(w.config.Store)
	old, err := table.Get(ctx, w.id)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return state.Op{}, err
	}
	return table.PutOp(w.id, aurora.DeletedCluster{Identifier: c.Spec.Identifier, Time: time.Now()}, old.Revision), nil
}

func (w *worker) instanceOps(ctx context.Context, s snapshot, after decide.World) ([]state.Op, error) {
	table := state.DBInstances(w.config.Store)
	stays := map[string]aurora.DBInstance{}
	for _, in := range after.Instances {
		stays[in.ResourceID] = in
	}
	var ops []state.Op
	for _, before := range s.world.Instances {
		id, revision := before.ResourceID, s.instances[before.ResourceID]
		in, ok := stays[id]
		switch {
		case !ok:
			name := state.Name{Kind: state.KindDBInstance, Account: before.Account, Region: before.Region, Name: before.Spec.Identifier}
			more, err := w.release(ctx, name, id)
			if err != nil {
				return nil, err
			}
			ops = append(append(ops, more...), table.DeleteOp(id, revision))
		case reflect.DeepEqual(before, in):
			ops = append(ops, table.CheckOp(id, revision))
		default:
			ops = append(ops, table.PutOp(id, in, revision))
		}
	}
	return ops, nil
}

func (w *worker) addressOps(s snapshot, after decide.World) []state.Op {
	table := state.Addresses(w.config.Store)
	var ops []state.Op
	for address, owner := range after.Addresses {
		if _, had := s.world.Addresses[address]; !had {
			ops = append(ops, table.PutOp(address, owner, 0))
		}
	}
	for address, revision := range s.addresses {
		if _, has := after.Addresses[address]; !has {
			ops = append(ops, table.DeleteOp(address, revision))
		}
	}
	return ops
}

// release frees a name if the resource has it.
func (w *worker) release(ctx context.Context, name state.Name, resourceID string) ([]state.Op, error) {
	owner, err := w.config.Store.Lookup(ctx, name)
	if errors.Is(err, state.ErrNotFound) || err == nil && owner != resourceID {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []state.Op{name.Release(resourceID)}, nil
}

// catchUp waits until the mirrors have what was written, so that the next
// decision is made from it.
func (w *worker) catchUp(ctx context.Context, s snapshot, after decide.World, revision int64) {
	ctx, cancel := context.WithTimeout(ctx, catchUpTimeout)
	defer cancel()
	if !reflect.DeepEqual(s.world.Cluster, after.Cluster) || after.Removed {
		_ = w.mirrors.clusters.WaitRevision(ctx, revision)
	}
	if !reflect.DeepEqual(s.world.Instances, after.Instances) {
		_ = w.mirrors.instances.WaitRevision(ctx, revision)
	}
	if !reflect.DeepEqual(s.world.Addresses, after.Addresses) {
		_ = w.mirrors.addresses.WaitRevision(ctx, revision)
	}
}
