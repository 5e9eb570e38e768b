package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
)

// database is one under test.
type database struct {
	name, dsn  string
	members    []string // the DSN of each server
	dataDirs   string   // pattern
	switchover func(writersDataDir string) error
	loseHost   func(writersDataDir string) (undo func() error, err error)
	rounds     int
}

// outage is what clients saw of one fault.
type outage struct {
	gap    time.Duration // the longest between two acknowledged inserts of one client
	back   time.Duration // from the fault, or its end, until all members serve and have all commits
	failed int           // statements in sessions that were there before
	lost   int           // acknowledged and gone
}

// unrecovered bounds a gap.
const unrecovered = 65 * time.Second

func connect(ctx context.Context, dsn string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, dsn+" connect_timeout=5")
}

func eventually(limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (db *database) prepare() error {
	return eventually(2*time.Minute, func(ctx context.Context) error {
		conn, err := connect(ctx, db.dsn)
		if err != nil {
			return err
		}
		defer conn.Close(context.Background())
		_, err = conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS outage (round int, client int, n int)")
		return err
	})
}

// suffer has clients write while the fault happens, and compares what is there
// afterwards with what they were told.
func (db *database) suffer(f fault) (o outage, err error) {
	if err := db.awaitMembers(); err != nil {
		return o, fmt.Errorf("before the fault: %w", err)
	}
	db.rounds++
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	acks := make(chan ack, 1<<16)
	for i := range f.clients {
		go db.insert(ctx, i, acks)
	}
	w := newWitness(f.clients)
	if err := w.watch(acks, time.Minute, func() bool { return w.warm(500 * time.Millisecond) }); err != nil {
		return o, err
	}
	w.begin()
	began := time.Now()
	undo, err := f.do(db)
	if err != nil {
		return o, err
	}
	err = w.watch(acks, unrecovered, func() bool { return w.moved(time.Second) })
	if err != nil {
		fmt.Printf("%s: %s: %v\n", db.name, f.name, err) // the gap says how long it was waited for
		o.gap = unrecovered
		began = time.Now()
	}
	cancel()
	if err := undo(); err != nil {
		return o, err
	}
	if err := db.awaitMembers(); err != nil {
		return o, fmt.Errorf("after the fault: %w", err)
	}
	if w.failed > 0 && f.clients > 1 {
		fmt.Fprintf(os.Stderr, "%s: %s: %d statements failed, the last: %v\n", db.name, f.name, w.failed, w.why)
	}
	o.gap, o.failed, o.back = max(o.gap, w.longest), w.failed, time.Since(began)
	o.lost, err = db.missing(w)
	return o, err
}

// ack is the answer to an insert.
type ack struct {
	client, n int
	at        time.Time
	server    time.Time // when the server was started that answered: which one it is
	err       error
}

// witness keeps what clients were told.
type witness struct {
	first, last []time.Time
	before, now []time.Time // the server that answers each client
	acked       map[[2]int]bool
	longest     time.Duration
	failed      int
	why         error // of the last that failed
	began       bool
}

func newWitness(clients int) *witness {
	times := func() []time.Time { return make([]time.Time, clients) }
	return &witness{first: times(), last: times(), before: times(), now: times(), acked: map[[2]int]bool{}}
}

func (w *witness) begin() {
	copy(w.before, w.now)
	w.began = true
}

// watch takes in answers until done.
func (w *witness) watch(acks <-chan ack, limit time.Duration, done func() bool) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for !done() {
		select {
		case a := <-acks:
			w.take(a)
		case <-timer.C:
			return fmt.Errorf("not over within %v", limit)
		}
	}
	return nil
}

func (w *witness) take(a ack) {
	if a.err != nil {
		if w.began {
			w.failed++
			w.why = a.err
		}
		return
	}
	if w.first[a.client].IsZero() {
		w.first[a.client] = a.at
	} else if w.began {
		w.longest = max(w.longest, a.at.Sub(w.last[a.client]))
	}
	w.acked[[2]int{a.client, a.n}] = true
	w.last[a.client], w.now[a.client] = a.at, a.server
}

// warm says whether all clients have written for a while.
func (w *witness) warm(d time.Duration) bool {
	for i := range w.first {
		if w.last[i].Sub(w.first[i]) < d {
			return false
		}
	}
	return true
}

// moved says whether another server, or the same one started again, has answered
// all clients and it goes on for a while.
func (w *witness) moved(d time.Duration) bool {
	for i := range w.now {
		if w.now[i].Equal(w.before[i]) {
			w.first[i] = w.last[i] // the while begins with the other server
			return false
		}
	}
	return w.warm(d)
}

// insert writes rows until ctx ends, and connects again after every error.
func (db *database) insert(ctx context.Context, client int, acks chan<- ack) {
	n, round := 0, db.rounds
	for ctx.Err() == nil {
		conn, err := connect(ctx, db.dsn)
		for err == nil && ctx.Err() == nil {
			a := ack{client: client, n: n}
			n++
			limited, cancel := context.WithTimeout(ctx, 5*time.Second)
			err = conn.QueryRow(limited, "INSERT INTO outage VALUES ($1, $2, $3) RETURNING pg_postmaster_start_time()", round, client, a.n).Scan(&a.server)
			cancel()
			if a.err, a.at = err, time.Now(); ctx.Err() == nil {
				acks <- a
			}
			time.Sleep(time.Millisecond)
		}
		if conn != nil {
			closing, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			_ = conn.Close(closing)
			cancel()
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// missing counts the rows of this round that were acknowledged and are not there.
func (db *database) missing(w *witness) (int, error) {
	there := map[[2]int]bool{}
	err := eventually(time.Minute, func(ctx context.Context) error {
		conn, err := connect(ctx, db.dsn)
		if err != nil {
			return err
		}
		defer conn.Close(context.Background())
		rows, err := conn.Query(ctx, "SELECT client, n FROM outage WHERE round = $1", db.rounds)
		if err != nil {
			return err
		}
		var client, n int
		_, err = pgx.ForEachRow(rows, []any{&client, &n}, func() error {
			there[[2]int{client, n}] = true
			return nil
		})
		return err
	})
	lost := 0
	for row := range w.acked {
		if !there[row] {
			lost++
		}
	}
	return lost, err
}

// awaitMembers waits until one member writes and the others have replayed all that
// it had.
func (db *database) awaitMembers() error {
	return eventually(3*time.Minute, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		var wrote string
		var replayed []*pgx.Conn
		for i, dsn := range db.members {
			conn, err := connect(ctx, dsn)
			if err != nil {
				return fmt.Errorf("member %d: %w", i, err)
			}
			defer conn.Close(context.Background())
			var standby bool
			if err := conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&standby); err != nil {
				return fmt.Errorf("member %d: %w", i, err)
			}
			if standby {
				replayed = append(replayed, conn)
			} else if err := conn.QueryRow(ctx, "SELECT pg_current_wal_lsn()::text").Scan(&wrote); err != nil {
				return err
			}
		}
		if wrote == "" || len(replayed) != len(db.members)-1 {
			return fmt.Errorf("%d of %d members are standbys", len(replayed), len(db.members))
		}
		for _, conn := range replayed {
			var has bool
			if err := conn.QueryRow(ctx, "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", wrote).Scan(&has); err != nil || !has {
				return errors.Join(errors.New("a standby is behind"), err)
			}
		}
		return nil
	})
}
