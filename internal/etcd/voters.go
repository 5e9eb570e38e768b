package etcd

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"

	"github.com/daybreakdb/daybreak/internal/state"
)

const (
	keepInterval = time.Second
	// certificateInterval is how often the file of the certificate is brought up to
	// date: the certificate is renewed ten days before its end.
	certificateInterval = time.Hour
	// readyLag is how many entries a learner may be behind to become a voter.
	readyLag = 1000
	askLimit = 5 * time.Second
)

// errNotStarted says that a member was added and has not been seen since.
var errNotStarted = errors.New("the member has not started yet")

// keep does what a member with others has to do while it runs: it tells them
// where it is reached now, gives up connections that are dead, keeps its
// certificate valid, and, while it leads, makes voters of learners.
func (p *Peer) keep(ctx context.Context, server *etcdserver.EtcdServer) {
	select {
	case <-server.ReadyNotify():
	case <-ctx.Done():
		return
	}
	tick := time.NewTicker(keepInterval)
	defer tick.Stop()
	written := time.Now()
	for {
		hurryConnections()
		if time.Since(written) > certificateInterval {
			if err := p.writeCertificate(); err != nil {
				server.Logger().Sugar().Errorf("%v", err)
			}
			written = time.Now()
		}
		if err := p.tellAddress(ctx, server); err != nil && ctx.Err() == nil {
			server.Logger().Sugar().Warnf("the other members do not know our address yet: %v", err)
		}
		if server.Leader() == server.MemberID() {
			p.promote(ctx, server)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// tellAddress changes the address that the members have for this one, if that is
// not ours any more.
func (p *Peer) tellAddress(ctx context.Context, server *etcdserver.EtcdServer) error {
	own := p.url()
	m := server.Cluster().Member(server.MemberID())
	if m == nil || slices.Equal(m.PeerURLs, []string{own}) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	_, err := server.UpdateMember(ctx, membership.Member{ID: m.ID, RaftAttributes: membership.RaftAttributes{PeerURLs: []string{own}, IsLearner: m.IsLearner}})
	return err
}

// promote makes voters of the learners that are there and have everything, as
// many as leave the number of voters odd. One learner more than an even number
// would vote for nothing: its loss would weigh what its vote gains. Only the
// leader does this, so that no two do it at a time.
func (p *Peer) promote(ctx context.Context, server *etcdserver.EtcdServer) {
	var ready []uint64
	voters := 0
	for _, m := range server.Cluster().Members() {
		if !m.IsLearner {
			voters++
			continue
		}
		applied, err := p.applied(ctx, m.Name)
		if err == nil && applied+readyLag >= server.AppliedIndex() {
			ready = append(ready, uint64(m.ID))
		}
	}
	for _, id := range promotions(voters, ready) {
		ctx, cancel := context.WithTimeout(ctx, askLimit)
		_, err := server.PromoteMember(ctx, id)
		cancel()
		if err != nil {
			server.Logger().Sugar().Warnf("member %x does not vote yet: %v", id, err)
			return
		}
		server.Logger().Sugar().Warnf("member %x votes from now on", id)
	}
}

func (p *Peer) applied(ctx context.Context, name string) (uint64, error) {
	if name == "" {
		return 0, errNotStarted
	}
	return state.Applied(ctx, p.SocketOf(name))
}

// promotions are the learners to make voters of, of those that are ready.
func promotions(voters int, ready []uint64) []uint64 {
	n := len(ready)
	if (voters+n)%2 == 0 {
		n--
	}
	return ready[:max(n, 0)]
}
