package rdsdata

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"reflect"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rdsdata"
	"github.com/aws/aws-sdk-go-v2/service/rdsdata/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Config is what the service works with.
type Config struct {
	Store *state.Store
	// Secret reads a secret's text with the permissions of ctx's caller.
	Secret func(ctx context.Context, arn string) (string, error)
	// TLS is how endpoints are trusted; nil: they are spoken to in the clear.
	TLS func() (*tls.Config, error)
	// Dial connects to an endpoint; over TCP if it is nil.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Limits are AWS's where they are zero.
	Limits Limits
}

// Limits end what takes too long.
type Limits struct {
	Statement   time.Duration // one call
	Idle        time.Duration // a transaction without calls
	Transaction time.Duration // a transaction
}

const (
	maxResult    = 1 << 20  // bytes of records
	maxFormatted = 10 << 20 // bytes of records as JSON
	maxRow       = 64 << 10 // bytes of one record
	reapEvery    = time.Second
)

type api struct {
	config       Config
	clusters     *state.Group[aurora.DBCluster]  // by account/region/identifier
	members      *state.Group[aurora.DBInstance] // by their cluster's resource id
	transactions *transactions
}

// New returns the service. Transactions end at the latest with ctx.
func New(ctx context.Context, cfg Config) (*awswire.Service, error) {
	cfg.Limits = cfg.Limits.orAWS()
	a := &api{config: cfg, transactions: newTransactions(cfg.Limits)}
	clusters, err := state.NewMirror(ctx, state.DBClusters(cfg.Store))
	if err != nil {
		return nil, fmt.Errorf("rds-data: %w", err)
	}
	instances, err := state.NewMirror(ctx, state.DBInstances(cfg.Store))
	if err != nil {
		return nil, fmt.Errorf("rds-data: %w", err)
	}
	a.clusters = clusters.GroupBy(func(v *aurora.DBCluster) string { return v.Account + "/" + v.Region + "/" + v.Spec.Identifier })
	a.members = instances.GroupBy(func(v *aurora.DBInstance) string { return v.Spec.ClusterResourceID })
	s := awswire.RDSData()
	awswire.Register(s, a.ExecuteStatement)
	awswire.Register(s, a.BatchExecuteStatement)
	awswire.Register(s, a.BeginTransaction)
	awswire.Register(s, a.CommitTransaction)
	awswire.Register(s, a.RollbackTransaction)
	s.Refuse("it is deprecated, ExecuteStatement and BatchExecuteStatement replace it", "ExecuteSql")
	s.NameResources(func(_ context.Context, in any) []string {
		return []string{aws.ToString(reflect.ValueOf(in).Elem().FieldByName("ResourceArn").Interface().(*string))}
	})
	go a.transactions.reap(ctx)
	return s, nil
}

func (l Limits) orAWS() Limits {
	for limit, aws := range map[*time.Duration]time.Duration{
		&l.Statement: 45 * time.Second, &l.Idle: 3 * time.Minute, &l.Transaction: 24 * time.Hour,
	} {
		if *limit == 0 {
			*limit = aws
		}
	}
	return l
}

// ExecuteStatement runs one SQL statement: in a transaction that was begun, or in
// one of its own.
func (a *api) ExecuteStatement(ctx context.Context, in *rdsdata.ExecuteStatementInput) (*rdsdata.ExecuteStatementOutput, error) {
	how, err := howToShow(in)
	if err != nil {
		return nil, err
	}
	sql, err := bind(aws.ToString(in.Sql), in.Parameters)
	if err != nil {
		return nil, err
	}
	var out *rdsdata.ExecuteStatementOutput
	err = a.inSession(ctx, target{in.ResourceArn, in.SecretArn, in.Database, in.TransactionId}, in.ContinueAfterTimeout, func(ctx context.Context, s *session) error {
		got, err := s.execute(ctx, sql, how.maxBytes)
		if err != nil {
			return err
		}
		out, err = how.show(ctx, s, got)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// BatchExecuteStatement runs one SQL statement for each set of parameters: all of
// them, or none if one fails outside of a transaction that was begun.
func (a *api) BatchExecuteStatement(ctx context.Context, in *rdsdata.BatchExecuteStatementInput) (*rdsdata.BatchExecuteStatementOutput, error) {
	sets := in.ParameterSets
	if len(sets) == 0 {
		sets = [][]types.SqlParameter{nil}
	}
	statements := make([]statement, len(sets))
	for i, set := range sets {
		var err error
		if statements[i], err = bind(aws.ToString(in.Sql), set); err != nil {
			return nil, err
		}
	}
	out := &rdsdata.BatchExecuteStatementOutput{UpdateResults: []types.UpdateResult{}}
	err := a.inSession(ctx, target{in.ResourceArn, in.SecretArn, in.Database, in.TransactionId}, false, func(ctx context.Context, s *session) error {
		if in.TransactionId == nil {
			if err := s.control(ctx, "begin"); err != nil {
				return err
			}
		}
		for _, sql := range statements {
			if _, err := s.execute(ctx, sql, maxResult); err != nil {
				return err // the session is closed, or the caller's transaction has failed
			}
			out.UpdateResults = append(out.UpdateResults, types.UpdateResult{GeneratedFields: []types.Field{}})
		}
		if in.TransactionId == nil {
			return s.commit(ctx)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// BeginTransaction begins a transaction, which ends when it is idle for three
// minutes, or after a day.
func (a *api) BeginTransaction(ctx context.Context, in *rdsdata.BeginTransactionInput) (*rdsdata.BeginTransactionOutput, error) {
	to, err := a.resolve(ctx, target{in.ResourceArn, in.SecretArn, in.Database, nil})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, a.config.Limits.Statement)
	defer cancel()
	s, err := a.connect(ctx, to)
	if err != nil {
		return nil, err
	}
	if err := s.control(ctx, "begin"); err != nil {
		s.close()
		return nil, err
	}
	id, err := a.transactions.add(s)
	if err != nil {
		s.close()
		return nil, err
	}
	return &rdsdata.BeginTransactionOutput{TransactionId: &id}, nil
}

// CommitTransaction ends a transaction and keeps its changes.
func (a *api) CommitTransaction(ctx context.Context, in *rdsdata.CommitTransactionInput) (*rdsdata.CommitTransactionOutput, error) {
	err := a.end(ctx, target{in.ResourceArn, in.SecretArn, nil, in.TransactionId}, (*session).commit)
	if err != nil {
		return nil, err
	}
	return &rdsdata.CommitTransactionOutput{TransactionStatus: aws.String("Transaction Committed")}, nil
}

// RollbackTransaction ends a transaction and takes its changes back.
func (a *api) RollbackTransaction(ctx context.Context, in *rdsdata.RollbackTransactionInput) (*rdsdata.RollbackTransactionOutput, error) {
	err := a.end(ctx, target{in.ResourceArn, in.SecretArn, nil, in.TransactionId}, func(s *session, ctx context.Context) error { return s.control(ctx, "rollback") })
	if err != nil {
		return nil, err
	}
	return &rdsdata.RollbackTransactionOutput{TransactionStatus: aws.String("Rollback Complete")}, nil
}

// end takes a transaction away after its last command, however that goes.
func (a *api) end(ctx context.Context, t target, last func(*session, context.Context) error) error {
	return a.inSession(ctx, t, false, func(ctx context.Context, s *session) error {
		a.transactions.remove(aws.ToString(t.transaction))
		defer s.close()
		return last(s, ctx)
	})
}

func badRequest(format string, args ...any) *awswire.Error {
	return awswire.BadRequestf("BadRequestException", format, args...)
}
