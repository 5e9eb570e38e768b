package rdsdata

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// closePatience is how long PostgreSQL has to take leave.
const closePatience = 2 * time.Second

// session is a connection to a database. One call at a time uses it.
type session struct {
	conn  *pgconn.PgConn
	place place
	begun time.Time
	turn  chan struct{} // holds a token while nobody uses the session
	used  atomic.Int64  // when it was last used, Unix nanoseconds; 0 while it is
	types map[uint32]typeInfo
}

// settings make values look the same whatever a role or database has been set to.
var settings = map[string]string{
	"timezone": "UTC", "datestyle": "ISO", "intervalstyle": "postgres", "bytea_output": "hex",
	"client_encoding": "UTF8", "application_name": "RDS Data API",
}

// connect opens a session.
func (a *api) connect(ctx context.Context, p place) (*session, error) {
	cfg, err := pgconn.ParseConfig(fmt.Sprintf("host=%s port=%d sslmode=disable", p.address.Host, p.address.Port))
	if err != nil {
		return nil, fmt.Errorf("address of cluster %s: %w", p.cluster, err)
	}
	cfg.User, cfg.Password, cfg.Database, cfg.RuntimeParams, cfg.Fallbacks = p.user, p.password, p.database, settings, nil
	cfg.ConnectTimeout = a.config.Limits.Statement
	if a.config.Dial != nil {
		cfg.DialFunc = a.config.Dial
	}
	if a.config.TLS != nil {
		trusted, err := a.config.TLS()
		if err != nil {
			return nil, err
		}
		cfg.TLSConfig = trusted.Clone()
		cfg.TLSConfig.ServerName = p.address.Host
	}
	// A call that is over has its statement cancelled; the session goes on.
	cfg.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: closePatience}
	}
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, connectError(err)
	}
	s := &session{conn: conn, place: p, begun: time.Now(), turn: make(chan struct{}, 1), types: map[uint32]typeInfo{}}
	s.release()
	return s, nil
}

// connectError is what the caller is told: PostgreSQL's own words, if it had some.
func connectError(err error) error {
	var said *pgconn.PgError
	if errors.As(err, &said) && !strings.HasPrefix(said.Code, "57P") && !strings.HasPrefix(said.Code, "08") {
		return databaseError(said)
	}
	return awswire.Errorf(http.StatusGatewayTimeout, "DatabaseUnavailableException", "The writer instance of the DB cluster is not available.")
}

// acquire waits for the session's turn.
func (s *session) acquire(ctx context.Context) error {
	select {
	case <-s.turn:
		s.used.Store(0)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *session) release() {
	s.used.Store(time.Now().UnixNano())
	s.turn <- struct{}{}
}

// idle is for how long nobody has used the session.
func (s *session) idle() time.Duration {
	used := s.used.Load()
	if used == 0 {
		return 0
	}
	return time.Since(time.Unix(0, used))
}

func (s *session) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	_ = s.conn.Close(ctx)
}

// inSession runs use in the session of a transaction, or else in one of its own that
// is closed then. A use that takes too long is cancelled, or goes on alone if that is
// wanted.
func (a *api) inSession(ctx context.Context, t target, goOn bool, use func(context.Context, *session) error) error {
	call, cancel := context.WithTimeout(ctx, a.config.Limits.Statement)
	defer cancel()
	s, done, err := a.session(call, t)
	if err != nil {
		return timedOut(call, err)
	}
	if !goOn {
		defer done()
		return timedOut(call, use(call, s))
	}
	result := make(chan error, 1)
	alone, stop := context.WithTimeout(context.WithoutCancel(ctx), a.config.Limits.Transaction)
	go func() {
		defer stop()
		defer done()
		result <- use(alone, s)
	}()
	select {
	case err := <-result:
		return err
	case <-call.Done():
		return timedOut(call, call.Err())
	}
}

// session finds or opens the session of a call, and says how it is given back.
func (a *api) session(ctx context.Context, t target) (*session, func(), error) {
	if t.transaction == nil {
		p, err := a.resolve(ctx, t)
		if err != nil {
			return nil, nil, err
		}
		s, err := a.connect(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		return s, s.close, nil
	}
	cluster, err := a.cluster(ctx, aws.ToString(t.resource))
	if err != nil {
		return nil, nil, err
	}
	if _, _, err := a.credentials(ctx, aws.ToString(t.secret)); err != nil {
		return nil, nil, err
	}
	s, err := a.transactions.get(*t.transaction, t, cluster.ResourceID)
	if err != nil {
		return nil, nil, err
	}
	if err := s.acquire(ctx); err != nil {
		return nil, nil, err
	}
	return s, s.release, nil
}

// timedOut tells a call that took too long from others that failed.
func timedOut(call context.Context, err error) error {
	if err != nil && errors.Is(call.Err(), context.DeadlineExceeded) {
		return awswire.BadRequestf("StatementTimeoutException", "Request timed out")
	}
	return err
}
