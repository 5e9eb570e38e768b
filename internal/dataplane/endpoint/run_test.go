package endpoint

import (
	"context"
	"log/slog"
	"testing"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/pki"
	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

func TestRunFollowsTheState(t *testing.T) {
	store := statetest.Start(t)
	w := newWorld(t, Limits{}) // for its nouns
	dir := t.TempDir()
	ca, err := pki.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	w.caFile = dir + "/" + pki.CAFile
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, Config{Store: store, PKI: ca, Logger: slog.New(slog.DiscardHandler)}) }()

	c := w.snapshot.Clusters[0]
	c.Status.WriterEndpoint, c.Status.ReaderEndpoint = freeAddress(t), aurora.Address{}
	in := w.snapshot.Instances[0]
	in.Status.Endpoint = aurora.Address{}
	for _, err := range []error{
		create(ctx, state.SecurityGroups(store), "sg-open", openGroup()),
		create(ctx, state.DBClusters(store), c.ResourceID, c),
		create(ctx, state.DBInstances(store), in.ResourceID, in),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	w.eventually("the writer endpoint answers", func() bool {
		conn, err := w.dial(c.Status.WriterEndpoint)
		if err == nil {
			_ = conn.Close(ctx)
		}
		return err == nil
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func create[T any](ctx context.Context, table state.Table[T], key string, value T) error {
	_, err := table.Create(ctx, key, value)
	return err
}
