package wal

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
)

const (
	// maxFrame is how much WAL one message to a reader holds.
	maxFrame = 128 << 10
	// feedKeepalive keeps readers from taking an idle feed for dead.
	feedKeepalive = time.Second
	// feedTimeout is how long a reader may say nothing.
	feedTimeout = 60 * time.Second
)

// feed is a walsender for the readers of one cluster: the replication protocol
// over a socket that is always at the same place, whoever the writer is.
type feed struct {
	log      *Log
	system   string // identifier, decimal
	password string
	listener net.Listener
	running  sync.WaitGroup
	slog     *slog.Logger
}

// listenFeed serves readers, of any user id, below dir. The password is that of
// the replication role.
func listenFeed(ctx context.Context, l *Log, dir, system, password string) (*feed, error) {
	path := filepath.Join(dir, fmt.Sprintf(".s.PGSQL.%d", postgres.Port))
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	f := &feed{log: l, system: system, password: password, listener: listener, slog: l.log}
	f.running.Go(func() { f.serve(ctx) })
	return f, nil
}

func (f *feed) close() {
	_ = f.listener.Close()
	f.running.Wait()
}

func (f *feed) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.running.Go(func() {
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer stop()
			defer conn.Close()
			r := &reader{feed: f, conn: conn, backend: pgproto3.NewBackend(conn, conn)}
			if err := r.serve(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, io.EOF) {
				f.slog.Info("wal: a reader has left the feed", "reader", r.name, "error", err)
			}
		})
	}
}

// reader is one standby, or another client of the replication protocol.
type reader struct {
	feed    *feed
	conn    net.Conn
	backend *pgproto3.Backend
	name    string
}

func (r *reader) serve(ctx context.Context) error {
	_ = r.conn.SetDeadline(time.Now().Add(10 * time.Second))
	if err := r.welcome(); err != nil {
		return err
	}
	defer r.see(0)
	for {
		_ = r.conn.SetDeadline(time.Time{})
		message, err := r.backend.Receive()
		if err != nil {
			return err
		}
		switch m := message.(type) {
		case *pgproto3.Query:
			if err := r.command(ctx, m.String); err != nil {
				return err
			}
		case *pgproto3.Terminate:
			return nil
		case *pgproto3.CopyData, *pgproto3.CopyDone: // of a stream that has ended
		default:
			return fmt.Errorf("unexpected message %T", m)
		}
	}
}

func (r *reader) welcome() error {
	start, err := r.backend.ReceiveStartupMessage()
	if err != nil {
		return err
	}
	for {
		switch m := start.(type) {
		case *pgproto3.SSLRequest, *pgproto3.GSSEncRequest:
			if _, err := r.conn.Write([]byte{'N'}); err != nil {
				return err
			}
			if start, err = r.backend.ReceiveStartupMessage(); err != nil {
				return err
			}
			continue
		case *pgproto3.StartupMessage:
			r.name = m.Parameters["application_name"]
			if m.Parameters["user"] != postgres.ReplicationRole || m.Parameters["replication"] != "true" {
				return r.refuse("28000", "the feed of the log serves readers only")
			}
		default:
			return fmt.Errorf("unexpected startup message %T", m)
		}
		break
	}
	r.backend.Send(&pgproto3.AuthenticationCleartextPassword{})
	if err := r.backend.Flush(); err != nil {
		return err
	}
	if err := r.backend.SetAuthType(pgproto3.AuthTypeCleartextPassword); err != nil {
		return err
	}
	message, err := r.backend.Receive()
	if err != nil {
		return err
	}
	given, ok := message.(*pgproto3.PasswordMessage)
	if !ok || subtle.ConstantTimeCompare([]byte(given.Password), []byte(r.feed.password)) != 1 {
		return r.refuse("28P01", "password authentication failed")
	}
	r.backend.Send(&pgproto3.AuthenticationOk{})
	for _, p := range [][2]string{{"server_version", "15.0"}, {"server_encoding", "UTF8"}, {"client_encoding", "UTF8"},
		{"integer_datetimes", "on"}, {"standard_conforming_strings", "on"}, {"DateStyle", "ISO, MDY"}} {
		r.backend.Send(&pgproto3.ParameterStatus{Name: p[0], Value: p[1]})
	}
	r.backend.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: make([]byte, 4)})
	return r.ready()
}

func (r *reader) ready() error {
	r.backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	return r.backend.Flush()
}

// refuse says why, and ends the connection.
func (r *reader) refuse(code, message string) error {
	r.backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: message})
	return errors.Join(errors.New(message), r.backend.Flush())
}

// fail answers a command by an error.
func (r *reader) fail(format string, args ...any) error {
	r.backend.Send(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "58P01", Message: fmt.Sprintf(format, args...)})
	return r.ready()
}

var (
	startCommand   = regexp.MustCompile(`^START_REPLICATION (?:SLOT "?[a-z0-9_]+"? )?(?:PHYSICAL )?([0-9A-Fa-f]+/[0-9A-Fa-f]+)(?: TIMELINE (\d+))?$`)
	historyCommand = regexp.MustCompile(`^TIMELINE_HISTORY (\d+)$`)
)

func (r *reader) command(ctx context.Context, text string) error {
	gate, _ := r.feed.log.Gate()
	if len(gate.History) == 0 {
		return r.fail("the log holds nothing yet")
	}
	if text == "IDENTIFY_SYSTEM" {
		r.row("IDENTIFY_SYSTEM", []string{"systemid", "timeline", "xlogpos", "dbname"},
			[]byte(r.feed.system), []byte(strconv.Itoa(int(gate.History.newest()))), []byte(gate.LSN.String()), nil)
		return r.ready()
	}
	if text == "SHOW wal_segment_size" {
		r.row("SHOW", []string{"wal_segment_size"}, []byte("16MB"))
		return r.ready()
	}
	if m := historyCommand.FindStringSubmatch(text); m != nil {
		id, err := strconv.ParseUint(m[1], 10, 32)
		if err != nil || gate.History.index(uint32(id)) < 0 {
			return r.fail("could not open file \"pg_wal/%s\": there is no such timeline", HistoryFileName(uint32(id)))
		}
		r.row("TIMELINE_HISTORY", []string{"filename", "content"},
			[]byte(HistoryFileName(uint32(id))), []byte(gate.History.File(uint32(id))))
		return r.ready()
	}
	m := startCommand.FindStringSubmatch(text)
	if m == nil {
		return r.fail("the feed of the log does not know the command %q", text)
	}
	at, err := postgres.ParseLSN(m[1])
	if err != nil {
		return r.fail("%s", err)
	}
	timeline := gate.History.newest()
	if m[2] != "" {
		id, err := strconv.ParseUint(m[2], 10, 32)
		if err != nil {
			return r.fail("%s", err)
		}
		timeline = uint32(id)
	}
	return r.start(ctx, gate, timeline, at)
}

// row sends a result of one row of text.
func (r *reader) row(tag string, columns []string, values ...[]byte) {
	d := &pgproto3.RowDescription{}
	for _, c := range columns {
		d.Fields = append(d.Fields, pgproto3.FieldDescription{Name: []byte(c), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1})
	}
	r.backend.Send(d)
	r.backend.Send(&pgproto3.DataRow{Values: values})
	r.backend.Send(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
}

func (r *reader) start(ctx context.Context, gate Gate, timeline uint32, at LSN) error {
	if gate.History.index(timeline) < 0 {
		return r.fail("requested timeline %d is not in this server's history", timeline)
	}
	if at < r.feed.log.Start() {
		return r.fail("requested WAL segment %s has already been removed", SegmentName(timeline, at))
	}
	next, ended := gate.History.next(timeline)
	switch {
	case ended && at > next.Begin:
		return r.fail("requested starting point %s on timeline %d is not in this server's history", at, timeline)
	case ended && at == next.Begin:
		return r.endOfTimeline(next)
	case !ended && at > gate.LSN:
		return r.fail("requested starting point %s is ahead of the WAL flush position of this server %s", at, gate.LSN)
	}
	r.backend.Send(&pgproto3.CopyBothResponse{})
	if err := r.backend.Flush(); err != nil {
		return err
	}
	return r.stream(ctx, timeline, at)
}

// endOfTimeline says which timeline follows. The client's library wants a second
// CommandComplete after the one of the rows.
func (r *reader) endOfTimeline(next Timeline) error {
	r.backend.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{
		{Name: []byte("next_tli"), DataTypeOID: 20, DataTypeSize: 8, TypeModifier: -1},
		{Name: []byte("next_tli_startpos"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1},
	}})
	r.backend.Send(&pgproto3.DataRow{Values: [][]byte{[]byte(strconv.Itoa(int(next.ID))), []byte(next.Begin.String())}})
	r.backend.Send(&pgproto3.CommandComplete{CommandTag: []byte("START_STREAMING")})
	r.backend.Send(&pgproto3.CommandComplete{CommandTag: []byte("START_REPLICATION")})
	return r.ready()
}

// stream sends committed WAL of a timeline until it ends, or the reader leaves.
func (r *reader) stream(ctx context.Context, timeline uint32, at LSN) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	asked := make(chan struct{}, 1)
	listened := make(chan error, 1)
	go func() {
		err := r.listen(asked)
		listened <- err
		cancel(err)
	}()
	next, err := r.send(ctx, timeline, at, asked)
	if err != nil {
		_ = r.conn.Close()
		<-listened
		return err
	}
	if err := r.write([]byte{'c', 0, 0, 0, 4}); err != nil {
		return err
	}
	_ = r.conn.SetReadDeadline(time.Now().Add(feedTimeout))
	if err := <-listened; !errors.Is(err, errCopyDone) {
		return err
	}
	return r.endOfTimeline(next)
}

var errCopyDone = errors.New("the reader has ended the stream")

// send returns the timeline that follows, when this one is sent to its end.
func (r *reader) send(ctx context.Context, timeline uint32, at LSN, asked <-chan struct{}) (Timeline, error) {
	tick := time.NewTicker(feedKeepalive)
	defer tick.Stop()
	frame := make([]byte, 5+walHeader+maxFrame)
	for {
		gate, changed := r.feed.log.Gate()
		end := gate.LSN
		next, ended := gate.History.next(timeline)
		if ended {
			end = next.Begin
		}
		if gate.History.index(timeline) < 0 {
			return next, fmt.Errorf("timeline %d is not in the log's history any more", timeline)
		}
		for at < end {
			n := min(end-at, maxFrame)
			if n < end-at {
				n -= (at + n) % pageSize // a message ends with a page, or with what is there
			}
			data := frame[5+walHeader:][:n]
			if err := r.feed.log.Read(data, at); err != nil {
				return next, err
			}
			frame[0] = 'd'
			binary.BigEndian.PutUint32(frame[1:], uint32(4+walHeader+n))
			frame[5] = 'w'
			binary.BigEndian.PutUint64(frame[6:], uint64(at))
			binary.BigEndian.PutUint64(frame[14:], uint64(end))
			binary.BigEndian.PutUint64(frame[22:], uint64(pgTime(time.Now())))
			if err := r.write(frame[:5+walHeader+n]); err != nil {
				return next, err
			}
			at += n
		}
		if ended {
			return next, nil
		}
		select {
		case <-changed:
			continue
		case <-asked:
		case <-tick.C:
		case <-ctx.Done():
			return next, context.Cause(ctx)
		}
		if err := r.keepalive(end); err != nil {
			return next, err
		}
	}
}

func (r *reader) keepalive(end LSN) error {
	var m [5 + keepaliveLen]byte
	m[0] = 'd'
	binary.BigEndian.PutUint32(m[1:], 4+keepaliveLen)
	m[5] = 'k'
	binary.BigEndian.PutUint64(m[6:], uint64(end))
	binary.BigEndian.PutUint64(m[14:], uint64(pgTime(time.Now())))
	return r.write(m[:])
}

func (r *reader) write(p []byte) error {
	_ = r.conn.SetWriteDeadline(time.Now().Add(feedTimeout))
	_, err := r.conn.Write(p)
	return err
}

// listen reads what the reader says while it is streamed to, to the end of the
// stream.
func (r *reader) listen(asked chan<- struct{}) error {
	for {
		_ = r.conn.SetReadDeadline(time.Now().Add(feedTimeout))
		message, err := r.backend.Receive()
		if err != nil {
			return err
		}
		switch m := message.(type) {
		case *pgproto3.CopyData:
			switch {
			case len(m.Data) == 34 && m.Data[0] == 'r':
				if m.Data[33] != 0 {
					select {
					case asked <- struct{}{}:
					default:
					}
				}
			case len(m.Data) == 25 && m.Data[0] == 'h':
				xmin := uint64(binary.BigEndian.Uint32(m.Data[9:]))
				if xmin != 0 {
					xmin |= uint64(binary.BigEndian.Uint32(m.Data[13:])) << 32
				}
				r.see(xmin)
			}
		case *pgproto3.CopyDone:
			return errCopyDone
		case *pgproto3.Terminate:
			return io.EOF
		default:
			return fmt.Errorf("unexpected message %T", m)
		}
	}
}

// see notes the oldest transaction that the reader still sees; 0: none.
func (r *reader) see(xmin uint64) {
	l := r.feed.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if xmin == 0 {
		delete(l.xmins, r)
	} else {
		l.xmins[r] = xmin
	}
}
