package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
)

const (
	// roomInterval is how often it is looked whether there is room.
	roomInterval = 5 * time.Second
	// roomPause is the time between two attempts to make room before the quota is
	// used up: each holds this member up for as long as what is in use takes to copy.
	roomPause = time.Minute
)

// keepRoom has the member go on when its quota is used up. etcd then takes no
// writes any more, until somebody forgets old revisions, gives the free pages of
// the file back, and ends the alarm; nobody else does this here. It is done before
// it comes to that when three quarters are used, half of that in vain. Compaction
// goes on all the time (compactRetention), but never makes the file smaller.
func (c Config) keepRoom(ctx context.Context, server *etcdserver.EtcdServer) {
	select {
	case <-server.ReadyNotify():
	case <-ctx.Done():
		return
	}
	tick := time.NewTicker(roomInterval)
	defer tick.Stop()
	var tried time.Time
	for {
		alarmed := noSpace(server)
		if alarmed || c.cramped(server) && time.Since(tried) > roomPause {
			tried = time.Now()
			if err := c.makeRoom(ctx, server, alarmed); err != nil && ctx.Err() == nil {
				server.Logger().Sugar().Errorf("no room was made in the state: %v", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// noSpace says whether this member has raised the alarm.
func noSpace(server *etcdserver.EtcdServer) bool {
	for _, a := range server.Alarms() {
		if a.Alarm == pb.AlarmType_NOSPACE && a.MemberID == uint64(server.MemberID()) {
			return true
		}
	}
	return false
}

// cramped says whether the file has grown near the quota, and could be smaller.
func (c Config) cramped(server *etcdserver.EtcdServer) bool {
	size, used := server.Backend().Size(), server.Backend().SizeInUse()
	return size > c.quota()/4*3 && used < size/2
}

// makeRoom forgets old revisions, makes the file as small as it can be, and ends
// the alarm if that has helped.
func (c Config) makeRoom(ctx context.Context, server *etcdserver.EtcdServer, alarmed bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	before := server.Backend().Size()
	_, err := server.Compact(ctx, &pb.CompactionRequest{Revision: server.KV().Rev(), Physical: true})
	if err != nil && !errors.Is(err, mvcc.ErrCompacted) { // as another member has done already
		return fmt.Errorf("forget old revisions: %w", err)
	}
	if err := server.Defragment(); err != nil {
		return fmt.Errorf("give free pages back: %w", err)
	}
	size := server.Backend().Size()
	server.Logger().Sugar().Warnf("the file of the state had %d MiB and has %d, of %d", before>>20, size>>20, c.quota()>>20)
	if !alarmed {
		return nil
	}
	if size > c.quota()/10*9 {
		return fmt.Errorf("the state needs %d MiB of the %d that it may have: nothing can be changed", size>>20, c.quota()>>20)
	}
	own := uint64(server.MemberID())
	if _, err := server.Alarm(ctx, &pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, MemberID: own, Alarm: pb.AlarmType_NOSPACE}); err != nil {
		return fmt.Errorf("end the alarm: %w", err)
	}
	return nil
}

func (c Config) quota() int64 {
	if c.Quota != 0 {
		return c.Quota
	}
	return quotaBytes
}
