package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

const (
	// presenceTTL is how long a host's presence outlives its last sign of life, in
	// seconds. etcd adds up to half a second, and begins anew at a change of its
	// leader.
	presenceTTL = 2
	// presenceRenew is how often a host gives a sign of life.
	presenceRenew = 500 * time.Millisecond
	// presencePatience is how long one sign may take.
	presencePatience = 1500 * time.Millisecond
)

// errPresenceLost says that a presence has ended without our wish.
var errPresenceLost = errors.New("the lease has ended")

// KeepPresence shows that a host is there until ctx ends, and then takes the
// presence back. While etcd is away it goes on trying.
func KeepPresence(ctx context.Context, s *Store, p aurora.Presence) {
	told := false
	for ctx.Err() == nil {
		lease, err := s.showPresence(ctx, p)
		if err == nil {
			slog.Info("state: this host is present", "host", p.Host)
			told = false
			err = s.renewPresence(ctx, lease)
		}
		if ctx.Err() != nil {
			if lease != 0 { // also when it is not known whether it was stored
				s.endPresence(ctx, lease)
			}
			return
		}
		if !told {
			slog.Warn("state: this host is not present", "host", p.Host, "error", err)
			told = true
		}
		pause(ctx, relistDelay)
	}
}

// showPresence stores the presence on a new lease. The lease of an earlier one has
// no hold on it any more.
func (s *Store) showPresence(ctx context.Context, p aurora.Presence) (clientv3.LeaseID, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return 0, err
	}
	ctx, client, cancel := s.begin(ctx)
	defer cancel()
	lease, err := client.Grant(ctx, presenceTTL)
	if err != nil {
		return 0, wrap(ctx, err)
	}
	_, err = client.Put(ctx, Presence(s).prefix+p.Host, string(data), clientv3.WithLease(lease.ID))
	return lease.ID, wrap(ctx, err)
}

// renewPresence renews the lease until it is lost, or ctx ends.
func (s *Store) renewPresence(ctx context.Context, lease clientv3.LeaseID) error {
	renewed := time.Now()
	for pause(ctx, presenceRenew) {
		err := s.renewOnce(ctx, lease)
		switch {
		case err == nil:
			renewed = time.Now()
		case errors.Is(err, errPresenceLost):
			return err
		case time.Since(renewed) > 2*presenceTTL*time.Second:
			return fmt.Errorf("the lease cannot be renewed: %w", err)
		}
	}
	return ctx.Err()
}

func (s *Store) renewOnce(ctx context.Context, lease clientv3.LeaseID) error {
	ctx, stop := context.WithTimeout(ctx, presencePatience)
	defer stop()
	ctx, client, cancel := s.begin(ctx)
	defer cancel()
	// Not KeepAliveOnce, which tries without a pause while etcd is away.
	stream, err := etcdserverpb.NewLeaseClient(client.ActiveConnection()).LeaseKeepAlive(ctx)
	if err != nil {
		return wrap(ctx, err)
	}
	if err := stream.Send(&etcdserverpb.LeaseKeepAliveRequest{ID: int64(lease)}); err != nil {
		return wrap(ctx, err)
	}
	resp, err := stream.Recv()
	switch {
	case err != nil && errors.Is(rpctypes.Error(err), rpctypes.ErrLeaseNotFound), err == nil && resp.TTL <= 0:
		return errPresenceLost
	case err != nil:
		return wrap(ctx, err)
	}
	return nil
}

// endPresence takes a presence back, if etcd can be told soon. Our own may be the
// one that was asked last, and have stopped just now.
func (s *Store) endPresence(ctx context.Context, lease clientv3.LeaseID) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), presencePatience)
	defer stop()
	for s.revoke(ctx, lease) != nil && pause(ctx, chooseSoon) {
	}
}

func (s *Store) revoke(ctx context.Context, lease clientv3.LeaseID) error {
	ctx, client, cancel := s.begin(ctx)
	defer cancel()
	_, err := client.Revoke(ctx, lease)
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return nil
	}
	return err
}
