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

// requestTimeout bounds one request to etcd, beside the caller's own deadline.
const requestTimeout = 10 * time.Second

// Store is a connection to etcd.
type Store struct {
	client *clientv3.Client
}

// reconnect is how a lost connection is made again: etcd is on this host, and
// gRPC's own pauses grow to two minutes.
var reconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
	MinConnectTimeout: 2 * time.Second,
}

// Open connects to etcd at a unix socket. It does not wait for etcd to answer.
func Open(socket string) (*Store, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            []string{"unix://" + socket},
		DialTimeout:          requestTimeout,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 3 * time.Second,
		Logger:               zap.NewNop(),
		DialOptions:          []grpc.DialOption{grpc.WithConnectParams(reconnect)},
	})
	if err != nil {
		return nil, fmt.Errorf("connect to etcd: %w", err)
	}
	return &Store{client: client}, nil
}

// Close ends the connection and all watches.
func (s *Store) Close() error { return s.client.Close() }

// Ready returns nil once etcd answers a linearizable read.
func (s *Store) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := s.client.Get(ctx, root, clientv3.WithCountOnly())
	return wrap(err)
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
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
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
	resp, err := s.client.Txn(ctx).If(cmps...).Then(writes...).Commit()
	if err != nil {
		return 0, wrap(err)
	}
	if !resp.Succeeded {
		return 0, ErrConflict
	}
	return resp.Header.Revision, nil
}

// wrap turns the errors of a lost or slow etcd into ErrUnavailable.
func wrap(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded),
		status.Code(err) == codes.Unavailable, status.Code(err) == codes.DeadlineExceeded:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("etcd: %w", err)
}
