// Package statetest gives tests a state store on a real etcd.
package statetest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/etcd"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Start runs etcd for the length of the test and returns a store on it.
func Start(t testing.TB) *state.Store {
	t.Helper()
	store, _ := StartAt(t)
	return store
}

// StartAt is Start, and says where etcd's socket is.
func StartAt(t testing.TB) (*state.Store, string) {
	t.Helper()
	// Not t.TempDir: its path can be too long for a unix socket.
	dir, err := os.MkdirTemp("", "etcd")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() {
		stopped <- etcd.Run(ctx, etcd.Config{Dir: filepath.Join(dir, "data"), Socket: socket, Quiet: true})
	}()
	store, err := state.Open(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = store.Close()
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("etcd: %v", err)
		}
		_ = os.RemoveAll(dir)
	})
	ready, cancelReady := context.WithTimeout(ctx, 30*time.Second)
	defer cancelReady()
	if err := store.Ready(ready); err != nil {
		t.Fatal(err)
	}
	return store, socket
}
