package layout

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSocketsFitWhereverTheDataDirectoryIs(t *testing.T) {
	for _, root := range []string{"/var/lib/daybreak", "/" + strings.Repeat("long/", 40)} {
		l, err := New(root)
		if err != nil {
			t.Fatal(err)
		}
		for _, socket := range []string{l.EtcdSocket() + ".peer", filepath.Join(l.Via("01234567").InstanceSocketDir("db-01234567890123456789012345"), ".s.PGSQL.5432"), filepath.Join(l.InstanceSocketDir("db-01234567890123456789012345"), ".s.PGSQL.5432")} {
			if len(socket) > maxSocketPath {
				t.Errorf("%s: %d bytes, more than %d", socket, len(socket), maxSocketPath)
			}
		}
	}
}

func TestDirectoryThatSomebodyElseMadeIsRefused(t *testing.T) {
	root := t.TempDir()
	l, err := New(filepath.Join(root, "data"))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	if err := os.MkdirAll(l.Root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, l.Keys()); err != nil {
		t.Fatal(err)
	}
	if err := l.Create(); err == nil {
		t.Fatal("keys would have been written through somebody's link")
	}
}

func TestWriteFileReplacesAsAWholeAndLeavesNothingBeside(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, text := range []string{"one", "two"} {
		if err := WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Fatalf("%q, %v", got, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if err := WriteFile(filepath.Join(dir, "no", "f"), nil, 0o600); err == nil {
		t.Error("a file was written into a directory that is not there")
	}
}
