package etcd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// A member that has used up its quota for old revisions makes room by itself, and
// takes writes again; what is stored stays.
func TestQuotaThatIsUsedUp(t *testing.T) {
	dir, err := os.MkdirTemp("", "etcd") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "sock")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Config{Dir: filepath.Join(dir, "data"), Socket: socket, Quiet: true, Quota: 8 << 20})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + socket}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	limited, stop := context.WithTimeout(ctx, 90*time.Second)
	defer stop()
	put := func(key, value string) error {
		one, cancel := context.WithTimeout(limited, 10*time.Second)
		defer cancel()
		_, err := client.Put(one, key, value)
		return err
	}
	for put("kept", "value") != nil && limited.Err() == nil { // it starts
	}
	alarmed := false
	for n := 0; n < 200 && !alarmed; n++ {
		err := put("filling", strings.Repeat("x", 100<<10))
		alarmed = errors.Is(err, rpctypes.ErrNoSpace)
		if err != nil && !alarmed {
			t.Fatal(err)
		}
	}
	if !alarmed {
		t.Fatal("no alarm was raised")
	}
	for limited.Err() == nil {
		if put("after", "value") == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	alarms, err := client.Maintenance.AlarmList(limited)
	if err != nil || len(alarms.Alarms) > 0 {
		t.Fatalf("alarms %v, %v", alarms, err)
	}
	for _, key := range []string{"kept", "after", "filling"} {
		if got, err := client.Get(limited, key); err != nil || len(got.Kvs) != 1 {
			t.Errorf("%s: %v, %v", key, got, err)
		}
	}
	if members, err := client.Status(limited, client.Endpoints()[0]); err != nil || members.DbSize > 4<<20 {
		t.Errorf("the file was not made smaller: %v, %v", members, err)
	}
}
