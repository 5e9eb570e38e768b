package disk

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	ServeIfAsked()
	os.Exit(m.Run())
}

// mounted is nil where nobody may mount.
func mounted(t *testing.T) *Disk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Log("only root can mount")
		return nil
	}
	d, err := Mount(t.TempDir(), t.TempDir())
	if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) {
		t.Logf("nothing can be mounted here: %v", err)
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Unmount(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestRulesMakeOperationsFail(t *testing.T) {
	d := mounted(t)
	if d == nil {
		return
	}
	name := filepath.Join(d.Dir, "wal", "1")
	if err := errors.Join(os.Mkdir(filepath.Dir(name), 0o755), os.WriteFile(name, []byte("old"), 0o644)); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write := func(at int64) func() error {
		return func() error { _, err := f.WriteAt([]byte("new"), at); return err }
	}
	for _, test := range []struct {
		name string
		rule Rule
		do   func() error
		want error
	}{
		{"sync", Rule{Op: Sync, Path: "^wal/", Errno: syscall.EIO}, f.Sync, syscall.EIO},
		{"sync of another file", Rule{Op: Sync, Path: "^data/", Errno: syscall.EIO}, f.Sync, nil},
		{"write", Rule{Op: Write, Errno: syscall.EROFS}, write(0), syscall.EROFS},
		{"write in place on a full disk", Rule{Op: Extend, Errno: syscall.ENOSPC}, write(0), nil},
		{"write beyond the end on a full disk", Rule{Op: Extend, Errno: syscall.ENOSPC}, write(1000), syscall.ENOSPC},
		{"no rule", Rule{Op: "none"}, write(2000), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := d.Set(test.rule); err != nil {
				t.Fatal(err)
			}
			if err := test.do(); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

func TestOperationsHangUntilTheRulesChange(t *testing.T) {
	d := mounted(t)
	if d == nil {
		return
	}
	f, err := os.Create(filepath.Join(d.Dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := d.Set(Rule{Op: Sync, Hang: true}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f.Sync() }()
	select {
	case err := <-done:
		t.Fatalf("it did not hang: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	if err := d.Set(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestACrashLosesOnlyWhatIsNotSynced(t *testing.T) {
	d := mounted(t)
	if d == nil {
		return
	}
	kept, lost := 0, 0
	for seed := range uint64(20) {
		name := filepath.Join(d.Dir, "f")
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Track(true); err != nil {
			t.Fatal(err)
		}
		synced := bytes.Repeat([]byte("s"), 4096)
		for _, data := range [][]byte{synced, bytes.Repeat([]byte("u"), 4096)} {
			if _, err := f.Write(data); err != nil {
				t.Fatal(err)
			}
			if data[0] == 's' {
				if err := f.Sync(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Crash(seed); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(d.Backing, "f"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(got, synced) {
			t.Fatalf("seed %d: what was synced is lost: %d bytes, %q…", seed, len(got), got[:min(len(got), 16)])
		}
		n := bytes.Count(got, []byte("u"))
		kept, lost = kept+n, lost+4096-n
	}
	if kept == 0 || lost == 0 {
		t.Errorf("%d bytes that were not synced were kept, %d lost: want some of both", kept, lost)
	}
}
