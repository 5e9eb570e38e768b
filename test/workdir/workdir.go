// Package workdir makes the directories that tests run servers in. PostgreSQL and our
// own processes have sessions of their own and outlive who started them, so a test that
// is killed would leave them behind: each directory has a guardian process, which ends
// all that works in it, and deletes it, when the test's process is gone.
package workdir

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

//go:embed guardian.sh
var guardian string

// Dir is a directory that every user id can pass through, with a path short enough for
// sockets.
type Dir struct {
	Path   string
	test   io.WriteCloser // its end is the test's
	script *exec.Cmd
}

// Make makes a directory, with a guardian.
func Make(prefix string) (*Dir, error) {
	path, err := os.MkdirTemp("", prefix)
	if err != nil {
		return nil, err
	}
	d := &Dir{Path: path, script: exec.Command("/bin/sh", "-c", guardian)}
	d.script.Env = []string{"PATH=/usr/bin:/bin", "WORKDIR=" + path}
	d.script.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	d.test, err = d.script.StdinPipe()
	if err == nil {
		err = errors.Join(os.Chmod(path, 0o711), d.script.Start())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("guard %s: %w", path, err), os.RemoveAll(path))
	}
	return d, nil
}

// Remove deletes the directory. The test has ended what worked in it.
func (d *Dir) Remove() error {
	_, err := io.WriteString(d.test, "done\n")
	return errors.Join(err, d.test.Close(), d.script.Wait(), os.RemoveAll(d.Path))
}

// New makes a directory that is removed at the end of the test.
func New(t testing.TB, prefix string) string {
	t.Helper()
	d, err := Make(prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Remove(); err != nil {
			t.Log(err) // as of a file system that is still mounted in it
		}
	})
	return d.Path
}
