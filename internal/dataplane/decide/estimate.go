package decide

import (
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

const (
	// replayRate is how much WAL a server replays in a second, at a low guess.
	replayRate = 64 << 20
	// farBehind is the WAL from which on a reader comes after those that have less
	// to replay, whatever their tiers.
	farBehind = 256 << 20
	// stuckTime is what a reader that replays nothing is expected to take. Nobody
	// knows; a query that holds replay up may take half a minute.
	stuckTime = 30 * time.Second
	// stuckTakeover is how long it may lead the takeover then, beside one that replays.
	stuckTakeover = 3 * time.Second
	// clearly is by how much a restart in place must be expected to be sooner than a
	// promotion. A reader takes over without the disk and the memory of the server
	// that died, and that the estimate is only one counts against the restart too.
	clearly = 4 * time.Second
)

// replayTime is how long a server is expected to replay before it could be the
// writer.
func replayTime(in *aurora.DBInstance) time.Duration {
	if in.Server.Stuck {
		return stuckTime
	}
	return time.Duration(float64(in.Server.ReplayBytes) / replayRate * float64(time.Second))
}

// restartsSooner says whether the writer, whose server has ended, would be back in
// place clearly sooner than any heir could take over. Recovery after a crash
// replays the WAL since the last checkpoint, and then writes what that has changed,
// which counts once more. It is only for a first attempt, with a server of which
// nothing else is known than that it has ended.
func (d *decision) restartsSooner(w *aurora.DBInstance, heirs []*aurora.DBInstance) bool {
	if w.Server.EndedTerm < d.Cluster.Status.Term || w.Server.Suspect != "" || w.Server.Lost || w.Server.Stalled ||
		d.away(w) || d.Cluster.Status.FailedOver != "" {
		return false
	}
	back := 2*replayTime(w) + clearly
	return !slices.ContainsFunc(heirs, func(in *aurora.DBInstance) bool {
		// One that has not become a reader since it was the writer may hang on its disk.
		return in.Server.Role == aurora.RoleReader && replayTime(in) < back
	})
}

// patience is how long the writer of a new term may take while there are heirs. One
// that says itself that it replays nothing gets less when the next one does replay.
func patience(w *aurora.DBInstance, heirs []*aurora.DBInstance) time.Duration {
	switch {
	case !w.Server.Stuck:
		return takeoverPatience + 2*replayTime(w)
	case len(heirs) > 0 && !far(heirs[0]):
		return stuckTakeover
	}
	return takeoverPatience
}

// idle says whether the reader that is to be the writer has not begun with that, as far
// as anybody can see, while another one could at once: its node may wait for a disk
// that hangs, or its server be frozen. A slow machine looks the same, so only one heir
// of a failover is given up so early.
func (d *decision) idle(w *aurora.DBInstance, heirs []*aurora.DBInstance) bool {
	st := d.Cluster.Status
	begun := w.Server.Phase != aurora.PhaseRunning || w.Server.Role != aurora.RoleReader || w.Server.Term >= st.Term
	return !begun && !st.Hurried && len(heirs) > 0 && !far(heirs[0]) && heirs[0].Server.Role == aurora.RoleReader &&
		d.now.Sub(st.TermSince) >= idlePatience
}

// far says whether a reader would keep a cluster waiting that made it the writer.
func far(in *aurora.DBInstance) bool { return in.Server.Stuck || in.Server.ReplayBytes >= farBehind }

// observeReaders takes readers that show what is too old out of the reader
// endpoint, and back, and tells users. It is the node that measures; one that
// does not serve shows nothing.
func (d *decision) observeReaders() {
	for i := range d.Instances {
		in := &d.Instances[i]
		reads := in.Status.Task.Role == aurora.RoleReader && in.Server.Role == aurora.RoleReader && d.serves(in) && !d.deleting(in)
		if lags := reads && in.Server.Lagging; lags != in.Status.Lagging {
			d.do(SetFlag{in.ResourceID, Lagging, lags})
			switch {
			case lags:
				d.do(Announce{aurora.ReplicationStopped(in)})
			case reads:
				d.do(Announce{aurora.ReplicationResumed(in)})
			}
		}
	}
}
