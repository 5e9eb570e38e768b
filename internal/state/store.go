// Package state is the only client of etcd. It holds nouns as JSON in typed
// tables under one versioned keyspace (see keyspace.go); every write is a
// compare-and-swap on the revision that was read. It must not know what the
// nouns mean.
package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	// ErrNotFound says that there is no such key.
	ErrNotFound = errors.New("not found")
	// ErrExists says that the key, or a name claimed with it, is taken.
	ErrExists = errors.New("already exists")
	// ErrConflict says that somebody else wrote since the value was read.
	ErrConflict = errors.New("changed by another writer")
	// ErrUnavailable says that etcd does not answer; nothing is known of the write.
	ErrUnavailable = errors.New("the state store (etcd) does not answer")
)

// errForLearner is the answer of a learner to what only voters do.
var errForLearner = rpctypes.Error(rpctypes.ErrGRPCNotSupportedForLearner)

// requestTimeout bounds one request to etcd, beside the caller's own deadline.
const requestTimeout = 10 * time.Second

// Store is a connection to etcd.
type Store struct {
	chooser *chooser
}

// reconnect is how a lost connection is made again: etcd is on this host, or its
// host is reached by a tunnel that starts here, and gRPC's own pauses grow to two
// minutes.
var reconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
	MinConnectTimeout: 2 * time.Second,
}

// Open connects to etcd at unix sockets, each of another member. A socket can be a
// pattern for those that come and go. Of the members that can serve the first is
// asked: see chooser. It does not wait for etcd to answer.
func Open(sockets ...string) (*Store, error) {
	chooser, err := newChooser(sockets)
	if err != nil {
		return nil, fmt.Errorf("connect to etcd: %w", err)
	}
	return &Store{chooser: chooser}, nil
}

func dial(socket string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints:            []string{"unix://" + socket},
		DialTimeout:          requestTimeout,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 3 * time.Second,
		Logger:               zap.NewNop(),
		DialOptions:          []grpc.DialOption{grpc.WithConnectParams(reconnect)},
	})
}

// Close ends the connection and all watches.
func (s *Store) Close() error { return s.chooser.close() }

// begin returns what a request needs: the member to ask, and a context that ends
// with the time of a request, or when that member is found gone.
func (s *Store) begin(ctx context.Context) (context.Context, *clientv3.Client, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	m := s.chooser.await(ctx)
	if m.gone == nil {
		return ctx, m.client, cancel
	}
	ctx, fail := context.WithCancelCause(ctx)
	stop := context.AfterFunc(m.gone, func() { fail(context.Cause(m.gone)) })
	return ctx, m.client, func() { stop(); fail(nil); cancel() }
}

// beginWrite is begin for what the members' leader has to write. A write that was
// on its way to a leader that is no more would wait for its whole time; whether it
// was done is then not known, as of any that etcd does not answer.
func (s *Store) beginWrite(ctx context.Context) (context.Context, *clientv3.Client, context.CancelFunc) {
	ctx, client, cancel := s.begin(ctx)
	led := s.chooser.leadership()
	if led == nil {
		return ctx, client, cancel
	}
	ctx, fail := context.WithCancelCause(ctx)
	stop := context.AfterFunc(led, func() { fail(context.Cause(led)) })
	return ctx, client, func() { stop(); fail(nil); cancel() }
}

// Ready returns nil once etcd answers a linearizable read.
func (s *Store) Ready(ctx context.Context) error {
	ctx, client, cancel := s.begin(ctx)
	defer cancel()
	_, err := client.Get(ctx, root, clientv3.WithCountOnly())
	return wrap(ctx, err)
}

// Op is one write of a transaction, with the condition it holds under.
type Op struct {
	cmps []clientv3.Cmp
	ops  []clientv3.Op
	// err is why the operation could not be made (a value that has no JSON).
	err error
}

// Commit carries out all operations or, with ErrConflict, none of them. It
// returns the revision of the write.
func (s *Store) Commit(ctx context.Context, ops ...Op) (int64, error) {
	ctx, client, cancel := s.beginWrite(ctx)
	defer cancel()
	var cmps []clientv3.Cmp
	var writes []clientv3.Op
	for _, op := range ops {
		if op.err != nil {
			return 0, op.err
		}
		cmps = append(cmps, op.cmps...)
		writes = append(writes, op.ops...)
	}
	resp, err := client.Txn(ctx).If(cmps...).Then(writes...).Commit()
	if err != nil {
		return 0, wrap(ctx, err)
	}
	if !resp.Succeeded {
		return 0, ErrConflict
	}
	return resp.Header.Revision, nil
}

// wrap turns the errors of a lost or slow etcd into ErrUnavailable. ctx is that of
// the request.
func wrap(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(cause, errMemberGone), errors.Is(cause, errLeaderGone):
		return fmt.Errorf("%w: %w", ErrUnavailable, cause)
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errForLearner),
		code(err) == codes.Unavailable, code(err) == codes.DeadlineExceeded:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("etcd: %w", err)
}

// code is the kind of an error of gRPC, or of etcd itself.
func code(err error) codes.Code {
	var own rpctypes.EtcdError
	if errors.As(err, &own) {
		return own.Code()
	}
	return status.Code(err)
}
