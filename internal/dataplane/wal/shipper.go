package wal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
)

// Source is the writer's server and how to be its synchronous standby.
type Source struct {
	SocketDir string `json:"socketDir"`
	Password  string `json:"password"` // of the replication role
	// StandbyName is what the server waits for (synchronous_standby_names).
	StandbyName string `json:"standbyName"`
}

const (
	// slotName keeps WAL on the writer that was not shipped yet, up to
	// max_slot_wal_keep_size, and readers' xmin while nobody ships.
	slotName = "daybreak_log"
	// maxBatch is how much is appended at a time.
	maxBatch = 1 << 20
	// replyInterval keeps the walsender from taking us for dead.
	replyInterval = time.Second
)

// shipper appends what the writer's server sends, and tells it what is durable.
type shipper struct {
	log    *Log
	term   int64
	source Source
	conn   net.Conn
	in     *pgproto3.Frontend
	at     LSN    // next byte that the server sends
	rest   []byte // of what it sent: the bytes before at that are not appended yet
	slog   *slog.Logger

	writing sync.Mutex
	told    LSN
	xmin    uint64 // epoch and xid that readers need

	cancel context.CancelFunc
	done   chan struct{}
	err    error // after done
}

// ship connects to the writer of a term, begins the term if it has not, and
// appends from then on, until the shipper is stopped or its connection ends. It
// returns when the server's WAL is known to be the log's.
func (l *Log) ship(ctx context.Context, term int64, src Source) (*shipper, error) {
	conn, err := connectReplication(ctx, src)
	if err != nil {
		return nil, err
	}
	s := &shipper{log: l, term: term, source: src, slog: l.log.With("term", term), done: make(chan struct{})}
	if err := s.start(ctx, conn); err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		if s.conn != nil {
			_ = s.conn.Close()
		}
		return nil, err
	}
	running, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	context.AfterFunc(running, func() { _ = s.conn.Close() })
	go s.run(running)
	go s.reply(running)
	return s, nil
}

func connectReplication(ctx context.Context, src Source) (*pgconn.PgConn, error) {
	config, err := pgconn.ParseConfig("sslmode=disable target_session_attrs=any passfile=/dev/null")
	if err != nil {
		return nil, err
	}
	config.Host, config.Port, config.Fallbacks = src.SocketDir, postgres.Port, nil
	config.User, config.Password, config.Database = postgres.ReplicationRole, src.Password, "replication"
	config.RuntimeParams = map[string]string{"replication": "true", "application_name": src.StandbyName}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the writer: %w", err)
	}
	return conn, nil
}

// start has the server send from the segment of the log's end on, and compares
// what both have.
func (s *shipper) start(ctx context.Context, conn *pgconn.PgConn) error {
	timeline, flushed, err := identify(ctx, conn)
	if err != nil {
		return err
	}
	if err := s.makeSlot(ctx, conn); err != nil {
		return err
	}
	plan, err := s.plan(ctx, conn, timeline, flushed)
	if err != nil {
		return err
	}
	from := segmentStart(plan.begin)
	if s.conn, s.in, err = startReplication(ctx, conn, from, timeline); err != nil {
		return err
	}
	if err := s.compare(ctx, from, plan); err != nil {
		return err
	}
	if plan.resume {
		return nil
	}
	return s.log.Begin(ctx, s.term, plan.history, plan.begin)
}

// plan is how a server's WAL joins on to the log's.
type plan struct {
	resume  bool    // the term has begun before
	history History // of the server
	begin   LSN     // where its WAL goes on
}

func (s *shipper) plan(ctx context.Context, conn *pgconn.PgConn, timeline uint32, flushed LSN) (plan, error) {
	if !s.log.opened(s.term) {
		end, err := s.log.Resume(ctx, s.term)
		if err != nil {
			return plan{}, err
		}
		gate, _ := s.log.Gate()
		if gate.History.newest() != timeline {
			return plan{}, fmt.Errorf("the server is on timeline %d, term %d began on %d", timeline, s.term, gate.History.newest())
		}
		return plan{resume: true, history: gate.History, begin: end}, nil
	}
	gate, _ := s.log.Gate()
	h := gate.History
	switch {
	case len(h) == 0: // the first bytes of a new log
		begin := segmentStart(flushed)
		return plan{history: History{{timeline, begin}}, begin: begin}, nil
	case h.newest() == timeline:
		return plan{history: h, begin: gate.LSN}, nil
	}
	content, err := timelineHistory(ctx, conn, timeline)
	if err != nil {
		return plan{}, err
	}
	forked, err := parseHistory(timeline, content, h[0].Begin)
	if err != nil {
		return plan{}, err
	}
	i := forked.index(h.newest())
	if i < 0 || i == len(forked)-1 {
		return plan{}, fmt.Errorf("timeline %d does not come from the log's timeline %d", timeline, h.newest())
	}
	begin := forked[len(forked)-1].Begin
	if fork := forked[i+1].Begin; fork > gate.LSN || fork != begin {
		return plan{}, fmt.Errorf("timeline %d forked off at %s, the log ends at %s", timeline, fork, gate.LSN)
	}
	if begin < s.log.mustHave() {
		return plan{}, fmt.Errorf("timeline %d forked off at %s, below the durable end %s: commits would be lost", timeline, begin, s.log.mustHave())
	}
	// The log's own begins of older timelines: it may hold less than all.
	history := append(append(History{}, h...), forked[i+1:]...)
	return plan{history: history, begin: begin}, nil
}

// compare checks that the server has the log's bytes, from a segment's beginning
// to where it goes on. A difference means that this server must not write.
func (s *shipper) compare(ctx context.Context, from LSN, p plan) error {
	deadline := time.Now().Add(compareLimit)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	_ = s.conn.SetReadDeadline(deadline)
	defer func() { _ = s.conn.SetReadDeadline(time.Time{}) }()
	start := s.log.Start()
	for s.at = from; s.at < p.begin; {
		at, data, err := s.receive()
		if err != nil {
			return fmt.Errorf("compare the server's WAL with the log's: %w", err)
		}
		both := data[:min(LSN(len(data)), p.begin-at)]
		if skip := min(max(start, at)-at, LSN(len(both))); skip < LSN(len(both)) {
			own := make([]byte, LSN(len(both))-skip)
			if err := s.log.Read(own, at+skip); err != nil {
				return err
			}
			if !bytes.Equal(own, both[skip:]) {
				return &DivergedError{From: at + skip, To: at + LSN(len(both))}
			}
		}
		s.rest = append(s.rest, data[len(both):]...)
	}
	return nil
}

const compareLimit = 10 * time.Second

// DivergedError says that a server has other WAL than the log: it may have
// committed what nobody was told of, and lack what somebody was.
type DivergedError struct{ From, To LSN }

func (e *DivergedError) Error() string {
	return fmt.Sprintf("the server's WAL differs from the log's between %s and %s", e.From, e.To)
}

// receive returns the next bytes that the server sends.
func (s *shipper) receive() (at LSN, data []byte, err error) {
	for len(data) == 0 && err == nil {
		at = s.at
		data, err = s.next()
	}
	return at, data, err
}

// next takes one message of the server: WAL, or a keepalive, which it answers.
func (s *shipper) next() (data []byte, err error) {
	message, err := s.in.Receive()
	if err != nil {
		return nil, err
	}
	switch m := message.(type) {
	case *pgproto3.CopyData:
		switch {
		case len(m.Data) > walHeader && m.Data[0] == 'w':
			if at := LSN(binary.BigEndian.Uint64(m.Data[1:])); at != s.at {
				return nil, fmt.Errorf("the server sent WAL at %s, not at %s", at, s.at)
			}
			data = m.Data[walHeader:]
			s.at += LSN(len(data))
			return data, nil
		case len(m.Data) == keepaliveLen && m.Data[0] == 'k':
			if m.Data[17] != 0 {
				return nil, s.tell(true)
			}
			return nil, nil
		}
		return nil, fmt.Errorf("the server sent %d bytes of an unknown kind", len(m.Data))
	case *pgproto3.ErrorResponse:
		return nil, pgconn.ErrorResponseToPgError(m)
	case *pgproto3.CopyDone, *pgproto3.CommandComplete, *pgproto3.ReadyForQuery:
		return nil, errServerStopped
	}
	return nil, nil
}

// errNotLed says that another host may lead the log now.
var errNotLed = errors.New("this host does not lead the log any more")

var errServerStopped = errors.New("the server ended the stream")

// Lengths of messages of the streaming replication protocol.
const (
	walHeader    = 25
	keepaliveLen = 18
)

// run appends until the connection ends.
func (s *shipper) run(ctx context.Context) {
	defer close(s.done)
	defer s.cancel()
	s.err = s.pump(ctx)
	if b, leads := s.log.leads(); b.Term == s.term && !leads {
		s.err = errors.Join(errNotLed, s.err)
	}
	if ctx.Err() == nil {
		s.slog.Warn("wal: the shipper has ended", "error", s.err)
	}
}

func (s *shipper) pump(ctx context.Context) error {
	batch := s.rest
	for {
		if len(batch) > 0 {
			if _, err := s.log.Append(ctx, s.term, s.at-LSN(len(batch)), batch); err != nil {
				return err
			}
			if err := s.tell(false); err != nil {
				return err
			}
		}
		_, data, err := s.receive()
		if err != nil {
			return err
		}
		batch = append(batch[:0], data...)
		// What is there already goes with it. A keepalive must not make it wait for
		// more: after the last record of a shutdown there is no more.
		for s.in.ReadBufferLen() > 0 && len(batch) < maxBatch {
			if data, err = s.next(); err != nil {
				break // it shows again when the batch is appended
			}
			batch = append(batch, data...)
		}
	}
}

// tell tells the server what is durable: written, flushed and, so that
// synchronous_commit=remote_apply does not wait for ever, applied.
func (s *shipper) tell(always bool) error {
	gate, _ := s.log.Gate()
	s.writing.Lock()
	defer s.writing.Unlock()
	if gate.LSN <= s.told && !always {
		return nil
	}
	s.told = max(s.told, gate.LSN)
	var m [39]byte
	m[0] = 'd'
	binary.BigEndian.PutUint32(m[1:], uint32(len(m)-1))
	m[5] = 'r'
	for i := range 3 {
		binary.BigEndian.PutUint64(m[6+8*i:], uint64(s.told))
	}
	binary.BigEndian.PutUint64(m[30:], uint64(pgTime(time.Now())))
	_, err := s.conn.Write(m[:])
	return err
}

// need tells the server what readers still see (hot_standby_feedback).
func (s *shipper) need(xmin uint64) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if xmin == s.xmin {
		return nil
	}
	s.xmin = xmin
	var m [30]byte
	m[0] = 'd'
	binary.BigEndian.PutUint32(m[1:], uint32(len(m)-1))
	m[5] = 'h'
	binary.BigEndian.PutUint64(m[6:], uint64(pgTime(time.Now())))
	binary.BigEndian.PutUint32(m[14:], uint32(xmin))
	binary.BigEndian.PutUint32(m[18:], uint32(xmin>>32))
	_, err := s.conn.Write(m[:])
	return err
}

// pgTime is in microseconds since 2000.
func pgTime(t time.Time) int64 { return t.UnixMicro() - pgEpoch }

const pgEpoch = 946684800_000_000

// reply keeps the connection alive, and tells of what lanes made durable.
func (s *shipper) reply(ctx context.Context) {
	tick := time.NewTicker(replyInterval)
	defer tick.Stop()
	for {
		var changed <-chan struct{}
		if len(s.log.groups) > 1 {
			_, changed = s.log.Gate()
			if s.tell(false) != nil {
				return
			}
			if b, leads := s.log.leads(); b.Term != s.term || !leads {
				_ = s.conn.Close() // which ends the shipper, even if the server sends nothing
				return
			}
		}
		select {
		case <-changed:
		case <-tick.C:
			if s.tell(true) != nil || s.need(s.log.feedback()) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// stop ends the shipper; nothing is appended any more when it returns.
func (s *shipper) stop() {
	s.cancel()
	<-s.done
}

func identify(ctx context.Context, conn *pgconn.PgConn) (timeline uint32, flushed LSN, err error) {
	row, err := one(ctx, conn, "IDENTIFY_SYSTEM", 4)
	if err != nil {
		return 0, 0, err
	}
	id, err := strconv.ParseUint(string(row[1]), 10, 32)
	if err != nil {
		return 0, 0, fmt.Errorf("IDENTIFY_SYSTEM: %w", err)
	}
	flushed, err = postgres.ParseLSN(string(row[2]))
	return uint32(id), flushed, err
}

func timelineHistory(ctx context.Context, conn *pgconn.PgConn, timeline uint32) (string, error) {
	row, err := one(ctx, conn, fmt.Sprintf("TIMELINE_HISTORY %d", timeline), 2)
	if err != nil {
		return "", err
	}
	return string(row[1]), nil
}

func one(ctx context.Context, conn *pgconn.PgConn, command string, columns int) ([][]byte, error) {
	results, err := conn.Exec(ctx, command).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != columns {
		return nil, fmt.Errorf("%s: unexpected answer", command)
	}
	return results[0].Rows[0], nil
}

func (s *shipper) makeSlot(ctx context.Context, conn *pgconn.PgConn) error {
	_, err := conn.Exec(ctx, "CREATE_REPLICATION_SLOT "+slotName+" PHYSICAL (RESERVE_WAL)").ReadAll()
	var exists *pgconn.PgError
	if errors.As(err, &exists) && exists.Code == "42710" {
		return nil
	}
	return err
}

func startReplication(ctx context.Context, conn *pgconn.PgConn, from LSN, timeline uint32) (net.Conn, *pgproto3.Frontend, error) {
	front := conn.Frontend()
	front.Send(&pgproto3.Query{String: fmt.Sprintf("START_REPLICATION SLOT %s PHYSICAL %s TIMELINE %d", slotName, from, timeline)})
	if err := front.Flush(); err != nil {
		return nil, nil, err
	}
	for {
		message, err := conn.ReceiveMessage(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("START_REPLICATION: %w", err)
		}
		switch m := message.(type) {
		case *pgproto3.CopyBothResponse:
			hijacked, err := conn.Hijack()
			if err != nil {
				return nil, nil, err
			}
			return hijacked.Conn, hijacked.Frontend, nil
		case *pgproto3.ErrorResponse:
			return nil, nil, fmt.Errorf("START_REPLICATION: %w", pgconn.ErrorResponseToPgError(m))
		}
	}
}
