package wal

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/internal/layout"
)

// serveLog serves the log of a new data directory until the end of the test.
func serveLog(t *testing.T, zones ...string) (layout.Layout, *Client) {
	t.Helper()
	l := newLayout(t, zones...)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, HostConfig{Layout: l, HostID: "here"}) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	client := NewClient(l.LogSocket())
	eventually(t, "the log answers", func() bool { _, err := client.Heard(t.Context()); return err == nil })
	return l, client
}

func TestBaseCopyIsStoredAsAWholeOrNotAtAll(t *testing.T) {
	l, client := serveLog(t, "xa", "xb")
	ctx := t.Context()
	read := func() string {
		t.Helper()
		r, err := client.GetBase(ctx, "cluster-B", "xb")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	if _, err := client.GetBase(ctx, "cluster-B", "xb"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a base copy that nobody stored: %v", err)
	}
	first := strings.Repeat("one", 9<<20)
	for _, content := range []string{first, "two"} {
		if err := client.PutBase(ctx, "cluster-B", "xb", strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		if read() != content {
			t.Error("another base copy is read than was stored")
		}
	}
	broken := io.MultiReader(strings.NewReader(first), errReader{})
	if err := client.PutBase(ctx, "cluster-B", "xb", broken); err == nil {
		t.Error("half a base copy was stored")
	}
	if read() != "two" {
		t.Error("half a base copy took the place of the one before")
	}
	if size, err := client.StatBase(ctx, "cluster-B", "xb"); size != 3 || err != nil {
		t.Errorf("%d, %v", size, err)
	}
	eventually(t, "nothing is left of the half", func() bool {
		files, err := filepath.Glob(l.Base("xb", "cluster-B") + "*")
		return err == nil && len(files) == 1
	})
	if err := client.PutBase(ctx, "..", "xb", strings.NewReader("x")); err == nil {
		t.Error("a base copy was stored outside")
	}
	for range 2 {
		if err := client.DropBase(ctx, "cluster-B", "xb"); err != nil {
			t.Error(err)
		}
	}
	if _, err := client.StatBase(ctx, "cluster-B", "xb"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a base copy that was deleted: %v", err)
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("the reader breaks") }

func TestDropDeletesBaseCopiesToo(t *testing.T) {
	l, client := serveLog(t, "xa")
	ctx := t.Context()
	for _, cluster := range []string{"cluster-A", "cluster-B"} {
		if err := client.PutBase(ctx, cluster, "xa", strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Open(ctx, Cluster{ID: cluster, Zones: []string{"xa"}}, 1, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Drop(ctx, Cluster{ID: "cluster-A"}); err != nil {
		t.Fatal(err)
	}
	for cluster, want := range map[string]bool{"cluster-A": false, "cluster-B": true} {
		for _, path := range []string{l.Base("xa", cluster), l.LogCopy("xa", cluster, 0)} {
			if _, err := os.Stat(path); (err == nil) != want {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}
