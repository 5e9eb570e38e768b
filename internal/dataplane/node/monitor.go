package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
)

const (
	// beatInterval is how often the writer has to prove that it works, and
	// beatLimit how long it may take to do so.
	beatInterval = 500 * time.Millisecond
	beatLimit    = 1500 * time.Millisecond
	// examineEvery is after how many beats it is asked for the rest of its health.
	examineEvery = 8
	// stallLimit is how long the log may be without a quorum before the writer is
	// taken from its clients, who might read what is no longer so.
	stallLimit = 3 * time.Second
)

// alarm is what a monitor has found.
type alarm struct {
	detached bool           // the log follows the server no longer
	suspect  *string        // why the server does not prove that it works; "": it does
	stalled  *bool          // commits wait for the log
	stray    bool           // the reader does not follow
	crash    postgres.Crash // what a user wants to see crash
	health   *health
}

// health is what makes one server a worse writer, or reader, than another.
type health struct {
	debt    int64 // bytes to replay, by aurora.ReplayStep
	lagging bool
	stuck   bool
	damaged string // databases with pages that fail their checksums
}

// startMonitor watches the writer until stopMonitor or the worker's end.
func (w *worker) startMonitor(ctx context.Context, s postgres.Server, o order) {
	w.stopMonitor()
	m := &monitor{server: s, log: o.log(s), term: o.task.Term, wal: w.wal, alarms: w.alarms,
		saw:        func(seen postgres.Sight) { w.saw(w.id, seen) },
		takeFaults: w.takeFaults}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() { defer close(done); m.run(ctx) }()
	w.stopMonitoring = func() { cancel(); <-done }
}

func (w *worker) stopMonitor() {
	if w.stopMonitoring != nil {
		w.stopMonitoring()
		w.stopMonitoring = nil
	}
	for {
		select {
		case <-w.alarms:
		default:
			return
		}
	}
}

// takeHealth takes a server's health into the report, and says whether it has
// changed. Damage stays until the data is made anew: PostgreSQL forgets it in a crash.
func (w *worker) takeHealth(h health) bool {
	before := w.seen
	w.seen.ReplayBytes, w.seen.Lagging, w.seen.Stuck = h.debt, h.lagging, h.stuck
	if h.damaged != "" && h.damaged != w.seen.Damaged {
		w.log.Error("node: pages fail their checksums", "databases", h.damaged)
		w.seen.Damaged = h.damaged
	}
	return before != w.seen
}

// heed takes an alarm into the report.
func (w *worker) heed(ctx context.Context, a alarm) {
	switch {
	case a.health != nil:
		if !w.takeHealth(*a.health) {
			return
		}
	case a.crash != "":
		w.crash(ctx, a.crash)
	case a.detached:
		w.detached = true
	case a.stray:
		w.stray = true
	case a.suspect != nil && w.seen.Suspect != *a.suspect:
		w.log.Warn("node: writer suspected", "reason", *a.suspect)
		w.seen.Suspect = *a.suspect
	case a.stalled != nil && w.seen.Stalled != *a.stalled:
		w.log.Warn("node: the log has no quorum", "stalled", *a.stalled)
		w.setStalled(*a.stalled)
	}
	w.report()
}

// setStalled tells endpoints whether the writer may be read from: those of this
// host by a file, since the state store may be as far away as the quorum.
func (w *worker) setStalled(stalled bool) {
	w.seen.Stalled = stalled
	path := filepath.Join(w.config.Layout.Stalls(), w.id)
	var err error
	if stalled {
		err = os.WriteFile(path, nil, 0o600)
	} else if err = os.Remove(path); errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err != nil {
		w.log.Error("node: endpoints of this host are not told", "stalled", stalled, "error", err)
	}
}

// monitor has one writer prove, again and again, that a write of it reaches its
// disk and the quorum of the log, and that it takes new connections.
type monitor struct {
	server postgres.Server
	log    wal.Cluster
	term   int64
	wal    *wal.Client
	alarms chan<- alarm
	saw    func(postgres.Sight)

	takeFaults func(context.Context, postgres.Server, wal.Cluster, chan<- alarm)

	conn      *pgx.Conn
	suspect   string
	stalled   bool
	since     time.Time // when the log stopped to follow
	committed wal.LSN   // what the quorum was last seen to have
}

func (m *monitor) run(ctx context.Context) {
	var group errgroup.Group
	group.Go(func() error {
		m.takeFaults(ctx, m.server, m.log, m.alarms)
		return nil
	})
	group.Go(func() error {
		if err := m.wal.Watch(ctx, m.log, m.term); ctx.Err() == nil {
			_ = err // whatever it was: the worker attaches the log again
			m.raise(ctx, alarm{detached: true})
		}
		return nil
	})
	group.Go(func() error {
		tick := time.NewTicker(beatInterval)
		defer tick.Stop()
		for n := 0; ; n++ {
			m.beat(ctx)
			if n%examineEvery == 0 && m.suspect == "" {
				m.examine(ctx)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				m.hangUp()
				return nil
			}
		}
	})
	_ = group.Wait()
}

func (m *monitor) raise(ctx context.Context, a alarm) {
	select {
	case m.alarms <- a:
	case <-ctx.Done():
	}
}

func (m *monitor) hangUp() {
	if m.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = m.conn.Close(ctx)
		m.conn = nil
	}
}

// beat asks once.
func (m *monitor) beat(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, beatLimit)
	defer cancel()
	accepted := make(chan error, 1)
	go func() { accepted <- m.server.Accepts(limited) }()
	lsn, err := m.write(limited)
	err = errors.Join(err, <-accepted)
	if ctx.Err() != nil {
		return
	}
	why := ""
	if err != nil {
		why = err.Error()
	}
	if why != m.suspect && (why == "") != (m.suspect == "") {
		m.raise(ctx, alarm{suspect: &why})
	}
	m.suspect = why
	if err == nil {
		m.saw(postgres.Sight{At: time.Now(), DurableLSN: lsn})
		m.follow(limited, ctx, lsn)
	}
}

// examine reports how much WAL is to be replayed if the server crashes now, and
// damaged pages. A server that does not say it is suspected by its beats, if it is
// to be.
func (m *monitor) examine(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, beatLimit)
	defer cancel()
	if m.conn == nil || m.conn.IsClosed() {
		return
	}
	bytes, err := postgres.RedoBytes(limited, m.conn)
	h := health{debt: aurora.ReplayStep(bytes)}
	if err == nil {
		h.damaged, err = postgres.Damaged(limited, m.conn)
	}
	if err != nil {
		m.hangUp()
		return
	}
	m.raise(ctx, alarm{health: &h})
}

func (m *monitor) write(ctx context.Context) (wal.LSN, error) {
	if m.conn == nil || m.conn.IsClosed() {
		conn, err := m.server.Connect(ctx)
		if err != nil {
			return 0, err
		}
		m.conn = conn
	}
	lsn, err := postgres.Heartbeat(ctx, m.conn)
	if err != nil {
		m.hangUp()
	}
	return lsn, err
}

// follow sees whether the write reaches the quorum, or comes nearer to it: behind
// much WAL, or on busy disks, it may take longer than a beat, and then the log is
// slow but has its quorum.
func (m *monitor) follow(limited, ctx context.Context, lsn wal.LSN) {
	for {
		st, err := m.wal.Status(limited, m.log)
		nearer := err == nil && st.Term == m.term && st.Committed > m.committed
		if nearer {
			m.committed = st.Committed
		}
		if nearer || err == nil && st.Committed >= lsn {
			m.since = time.Time{}
			m.stall(ctx, false)
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
			continue
		case <-limited.Done():
		}
		break
	}
	if m.since.IsZero() {
		m.since = time.Now().Add(-beatLimit)
	}
	m.stall(ctx, time.Since(m.since) >= stallLimit)
}

func (m *monitor) stall(ctx context.Context, stalled bool) {
	if stalled != m.stalled {
		m.stalled = stalled
		m.raise(ctx, alarm{stalled: &stalled})
	}
}
