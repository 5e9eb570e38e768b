package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/daybreakdb/daybreak/test/harness"
)

// outcome is what a client knows of a transaction.
type outcome byte

const (
	acknowledged outcome = iota
	refused              // it must not be there
	unknown              // it may be there
)

// oracle is clients that read and write while faults happen, and what they were
// told. Everything that they saw is checked in the end.
type oracle struct {
	in             *harness.Installation
	writer, reader harness.Endpoint

	base    int64        // ids up to here were another oracle's; a reader may show them for a while
	next    atomic.Int64 // ids
	clock   atomic.Int64
	lastAck atomic.Int64 // time of the last acknowledgement, ns

	mu       sync.Mutex
	outcomes map[int64]outcome
	why      map[int64]string // the error of what was not acknowledged
	seen     map[int64]string // ids that somebody read, and where
	gap      time.Duration    // longest time without an acknowledgement
	ops      []porcupine.Operation
	reasons  map[string]int // errors by SQLSTATE

	stop context.CancelFunc
	done sync.WaitGroup
}

const schema = `
	CREATE TABLE acks (id bigint PRIMARY KEY, instance text, timeline text, lsn pg_lsn);
	CREATE TABLE registers (k bigint PRIMARY KEY, v bigint)`

// newOracle starts clients on empty tables.
func newOracle(t testing.TB, in *harness.Installation, writer, reader harness.Endpoint) *oracle {
	t.Helper()
	o := &oracle{base: time.Now().UnixMicro(), in: in, writer: writer, reader: reader, outcomes: map[int64]outcome{}, why: map[int64]string{}, seen: map[int64]string{}, reasons: map[string]int{}}
	o.next.Store(o.base)
	harness.Eventually(t, time.Minute, "the tables are empty", func() error {
		conn, err := in.Connect(writer, "postgres", "postgres")
		if err != nil {
			return err
		}
		defer conn.Close(context.Background())
		_, err = conn.Exec(t.Context(), "TRUNCATE acks, registers")
		return err
	})
	ctx, cancel := context.WithCancel(context.Background())
	o.stop = cancel
	o.lastAck.Store(time.Now().UnixNano())
	for id := range 4 {
		o.done.Go(func() { o.client(ctx, id) })
	}
	for range 2 {
		o.done.Go(func() { o.watch(ctx, o.reader, "reader") })
	}
	o.done.Go(func() { o.watch(ctx, o.writer, "writer") })
	return o
}

// session runs f with connections, one after another.
func (o *oracle) session(ctx context.Context, e harness.Endpoint, f func(*pgx.Conn) error) {
	for ctx.Err() == nil {
		conn, err := o.in.Connect(e, "postgres", "postgres")
		for err == nil && ctx.Err() == nil {
			err = f(conn)
		}
		if conn != nil {
			closing, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			_ = conn.Close(closing)
			cancel()
		}
		o.note(err)
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (o *oracle) note(err error) {
	var e *pgconn.PgError
	reason := "connection"
	switch {
	case err == nil:
		return
	case errors.As(err, &e):
		reason = e.Code
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reasons[reason]++
}

// statementLimit is how long a client waits for anything.
const statementLimit = 20 * time.Second

func (o *oracle) client(ctx context.Context, id int) {
	r := rand.New(rand.NewPCG(uint64(id), 7))
	o.session(ctx, o.writer, func(conn *pgx.Conn) error {
		limited, cancel := context.WithTimeout(context.Background(), statementLimit)
		defer cancel()
		switch n := r.IntN(20); {
		case n < 10:
			return o.insert(limited, conn)
		case n < 13:
			return o.transaction(limited, conn, true)
		case n < 14:
			return o.transaction(limited, conn, false)
		case n < 17:
			return o.setRegister(limited, conn, id, r)
		default:
			return o.readRegister(limited, conn, id, r)
		}
	})
}

const insert = `INSERT INTO acks VALUES ($1, aurora_db_instance_identifier(), left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), pg_current_wal_insert_lsn())`

func (o *oracle) insert(ctx context.Context, conn *pgx.Conn) error {
	id := o.next.Add(1)
	_, err := conn.Exec(ctx, insert, id)
	o.record(judge(err), err, id)
	return err
}

// transaction writes three rows, and commits them or rolls them back.
func (o *oracle) transaction(ctx context.Context, conn *pgx.Conn, commit bool) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	var ids []int64
	for range 3 {
		id := o.next.Add(1)
		ids = append(ids, id)
		if _, err := tx.Exec(ctx, insert, id); err != nil {
			o.record(refused, err, ids...)
			return err
		}
	}
	if !commit {
		o.record(refused, errRolledBack, ids...)
		return tx.Rollback(ctx)
	}
	err = tx.Commit(ctx)
	o.record(judge(err), err, ids...)
	return err
}

// judge says what an error means for a statement that commits.
func judge(err error) outcome {
	var e *pgconn.PgError
	switch {
	case err == nil:
		return acknowledged
	case errors.As(err, &e) && e.Code[:2] != "08" && e.Code[:2] != "57":
		return refused
	}
	return unknown
}

var errRolledBack = errors.New("rolled back by the client")

func (o *oracle) record(what outcome, why error, ids ...int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, id := range ids {
		if o.outcomes[id] = what; why != nil {
			o.why[id] = why.Error()
		}
	}
	if what == acknowledged {
		now := time.Now().UnixNano()
		o.gap = max(o.gap, time.Duration(now-o.lastAck.Swap(now)))
	}
}

// takeGap returns the longest gap since the last call.
func (o *oracle) takeGap() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	gap := o.gap
	o.gap = 0
	return gap
}

// watch reads what is there: nothing that somebody read may ever vanish.
func (o *oracle) watch(ctx context.Context, e harness.Endpoint, where string) {
	o.session(ctx, e, func(conn *pgx.Conn) error {
		limited, cancel := context.WithTimeout(context.Background(), statementLimit)
		defer cancel()
		rows, _ := conn.Query(limited, "SELECT id FROM acks ORDER BY id DESC LIMIT 100")
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		o.mu.Lock()
		for _, id := range ids {
			if id > o.base && o.seen[id] == "" {
				o.seen[id] = where
			}
		}
		o.mu.Unlock()
		if err == nil {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
		}
		return err
	})
}

type registerInput struct {
	key, value int64 // value 0: read
}

// register picks a key. There are new ones all the time, so that histories stay
// short.
func (o *oracle) register(r *rand.Rand) int64 { return o.next.Load()/300*4 + r.Int64N(4) }

func (o *oracle) setRegister(ctx context.Context, conn *pgx.Conn, client int, r *rand.Rand) error {
	op := porcupine.Operation{ClientId: client, Input: registerInput{o.register(r), o.next.Add(1)}, Call: o.clock.Add(1)}
	in := op.Input.(registerInput)
	_, err := conn.Exec(ctx, "INSERT INTO registers VALUES ($1, $2) ON CONFLICT (k) DO UPDATE SET v = excluded.v", in.key, in.value)
	switch judge(err) {
	case acknowledged:
		op.Return = o.clock.Add(1)
	case unknown:
		op.Return = forever
	default:
		return err
	}
	o.operation(op)
	return err
}

// forever is after everything: a write whose outcome is unknown may happen any time.
const forever = 1 << 60

func (o *oracle) readRegister(ctx context.Context, conn *pgx.Conn, client int, r *rand.Rand) error {
	op := porcupine.Operation{ClientId: client, Input: registerInput{key: o.register(r)}, Call: o.clock.Add(1)}
	var value int64
	err := conn.QueryRow(ctx, "SELECT v FROM registers WHERE k = $1", op.Input.(registerInput).key).Scan(&value)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	op.Output, op.Return = value, o.clock.Add(1)
	o.operation(op)
	return nil
}

func (o *oracle) operation(op porcupine.Operation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ops = append(o.ops, op)
}

// registers is how registers behave that somebody writes and reads at once.
var registers = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		keys := map[int64][]porcupine.Operation{}
		for i, op := range history {
			op.ClientId = i // after an unknown outcome a client goes on: it is another one then
			key := op.Input.(registerInput).key
			keys[key] = append(keys[key], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range keys {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		if in := input.(registerInput); in.value != 0 {
			return true, in.value
		}
		return output == state, state
	},
}

type row struct {
	ID                 int64
	Instance, Timeline string
	LSN, Xmin          int64
}

// verify stops the clients and holds what is there against what they know.
func (o *oracle) verify(t testing.TB) (counts string) {
	t.Helper()
	o.end()
	rows := o.rows(t)
	there := map[int64]bool{}
	where := map[int64]row{}
	for _, r := range rows {
		there[r.ID], where[r.ID] = true, r
	}
	count := map[outcome]int{}
	for id, what := range o.outcomes {
		count[what]++
		switch {
		case what == acknowledged && !there[id]:
			t.Errorf("VIOLATION: %d was acknowledged and is not there", id)
		case what == refused && there[id]:
			t.Errorf("VIOLATION: %d was refused (%s) and is there: %+v", id, o.why[id], where[id])
		}
		delete(there, id)
	}
	for id := range there {
		t.Errorf("VIOLATION: %d is there and nobody wrote it", id)
	}
	for _, r := range rows {
		there[r.ID] = true
	}
	for id, where := range o.seen {
		if !there[id] {
			t.Errorf("VIOLATION: %d was read through the %s endpoint and is not there", id, where)
		}
	}
	if n := o.reasons["25006"]; n > 0 {
		t.Errorf("VIOLATION: the writer endpoint led %d times to a server that cannot write", n)
	}
	oneWriterPerTimeline(t, rows)
	if result := porcupine.CheckOperationsTimeout(registers, o.ops, time.Minute); result != porcupine.Ok {
		t.Errorf("VIOLATION: the registers' history is not linearizable (%s)", result)
	}
	want := fmt.Sprint(len(rows))
	harness.Eventually(t, time.Minute, "the readers have everything", o.in.Is(o.reader, "SELECT count(*)::text FROM acks", want))
	return fmt.Sprintf("%d acknowledged, %d refused, %d unknown, %d read, %d register operations, errors %v",
		count[acknowledged], count[refused], count[unknown], len(o.seen), len(o.ops), o.reasons)
}

func (o *oracle) rows(t testing.TB) []row {
	t.Helper()
	var all []row
	harness.Eventually(t, time.Minute, "the rows are read", func() error {
		conn, err := o.in.Connect(o.writer, "postgres", "postgres")
		if err != nil {
			return err
		}
		defer conn.Close(context.Background())
		// A barrier: what is read is what the quorum has.
		if _, err := conn.Exec(t.Context(), "INSERT INTO registers VALUES (-1, 1) ON CONFLICT (k) DO UPDATE SET v = registers.v + 1"); err != nil {
			return err
		}
		rows, _ := conn.Query(t.Context(), "SELECT id, instance, timeline, (lsn - '0/0')::bigint, xmin::text::bigint FROM acks ORDER BY id")
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[row])
		return err
	})
	return all
}

// oneWriterPerTimeline: every timeline was written by one instance, and its rows
// come after those of the timelines before it.
func oneWriterPerTimeline(t testing.TB, rows []row) {
	t.Helper()
	slices.SortFunc(rows, func(a, b row) int { return int(a.LSN - b.LSN) })
	writer := map[string]string{}
	last := ""
	for _, r := range rows {
		if was := writer[r.Timeline]; was != "" && was != r.Instance {
			t.Errorf("VIOLATION: timeline %s was written by %s and by %s", r.Timeline, was, r.Instance)
		}
		if writer[r.Timeline] = r.Instance; r.Timeline < last {
			t.Errorf("VIOLATION: id %d at %x is on timeline %s, after rows of %s", r.ID, r.LSN, r.Timeline, last)
		}
		last = r.Timeline
	}
}
