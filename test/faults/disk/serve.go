package disk

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// ServeIfAsked serves a disk and does not return, in a process that Mount made.
// The main of a test that uses disks begins with it.
func ServeIfAsked() {
	what := os.Getenv(serveVariable)
	if what == "" {
		return
	}
	backing, dir, _ := strings.Cut(what, "\n")
	if err := serve(backing, dir, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "disk:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve answers requests until there are no more, and unmounts then.
func serve(backing, dir string, in io.Reader, out io.Writer) error {
	t := &table{changed: make(chan struct{}), files: map[uint64]*unsynced{}}
	server, err := mount(t, backing, dir)
	answers := json.NewEncoder(out)
	if err != nil {
		return errors.Join(err, answers.Encode(answer{Error: err.Error()}))
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		<-ended
		_, _ = t.take(request{})
		_ = syscall.Unmount(dir, syscall.MNT_DETACH)
		os.Exit(1)
	}()
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var r request
		var a answer
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			a.Error = err.Error()
		} else if a.Lost, err = t.take(r); err != nil {
			a.Error = err.Error()
		}
		if err := answers.Encode(a); err != nil {
			break
		}
	}
	_, _ = t.take(request{}) // nothing hangs any more
	// Whoever still has a file open must not keep us.
	if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() { server.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
	}
	return nil
}

func mount(t *table, backing, dir string) (*fuse.Server, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(backing, &st); err != nil {
		return nil, err
	}
	root := &fs.LoopbackRoot{Path: backing, Dev: st.Dev}
	var none time.Duration // what is cached could be of another file by now
	top := &node{LoopbackNode: fs.LoopbackNode{RootData: root}, table: t}
	root.RootNode = top
	return fs.Mount(dir, top, &fs.Options{
		AttrTimeout: &none, EntryTimeout: &none,
		MountOptions: fuse.MountOptions{
			AllowOther: true, DirectMountStrict: true, DirectMountFlags: syscall.MS_NOSUID | syscall.MS_NODEV,
			FsName: "faulty", Name: "faulty", Options: []string{"default_permissions"}, MaxWrite: 1 << 20,
		},
	})
}
