package state

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// Member is one etcd of those that hold the state together.
type Member struct {
	ID      uint64
	Name    string // the id of its host; empty until it has started
	PeerURL string // where the other members reach it
	Learner bool   // it gets everything and has no vote
}

// Members lists the members.
func (s *Store) Members(ctx context.Context) ([]Member, error) {
	ctx, client, cancel := s.begin(ctx)
	defer cancel()
	resp, err := client.MemberList(ctx)
	if err != nil {
		return nil, wrap(ctx, err)
	}
	return members(resp.Members), nil
}

// AddLearner adds a member that is reached at peerURL, and returns all. The etcd
// there must then be started as one that joins.
func (s *Store) AddLearner(ctx context.Context, peerURL string) ([]Member, error) {
	ctx, client, cancel := s.begin(ctx)
	defer cancel()
	resp, err := client.MemberAddAsLearner(ctx, []string{peerURL})
	if err != nil {
		return nil, wrap(ctx, fmt.Errorf("add a member at %s: %w", peerURL, err))
	}
	return members(resp.Members), nil
}

// RemoveMember removes a member for good. One that is not there is no error.
func (s *Store) RemoveMember(ctx context.Context, id uint64) error {
	ctx, client, cancel := s.begin(ctx)
	defer cancel()
	_, err := client.MemberRemove(ctx, id)
	if errors.Is(err, rpctypes.ErrMemberNotFound) {
		return nil
	}
	return wrap(ctx, err)
}

func members(list []*etcdserverpb.Member) []Member {
	var all []Member
	for _, m := range list {
		member := Member{ID: m.ID, Name: m.Name, Learner: m.IsLearner}
		if len(m.PeerURLs) > 0 {
			member.PeerURL = m.PeerURLs[0]
		}
		all = append(all, member)
	}
	return all
}

// Applied is how far the one member at a socket has come with what the members
// decided. Learners answer too.
func Applied(ctx context.Context, socket string) (uint64, error) {
	client, err := dial(socket)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	s, err := memberStatus(ctx, client)
	if err != nil {
		return 0, fmt.Errorf("ask the etcd at %s: %w", socket, err)
	}
	return s.RaftAppliedIndex, nil
}
