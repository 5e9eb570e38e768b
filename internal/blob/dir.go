package blob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/daybreakdb/daybreak/internal/layout"
)

// Dir is a store in a local directory, a file per object.
type Dir struct{ Root string }

var _ Store = Dir{}

// objectName keeps names inside the directory and away from temporary files,
// which begin with a dot.
var objectName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._:-]*(/[A-Za-z0-9_-][A-Za-z0-9._:-]*)*$`)

func (d Dir) path(name string) (string, error) {
	if !objectName.MatchString(name) {
		return "", fmt.Errorf("%q: %w", name, ErrName)
	}
	return filepath.Join(d.Root, filepath.FromSlash(name)), nil
}

// Put implements Store.
func (d Dir) Put(_ context.Context, name string, data []byte) error {
	path, err := d.path(name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return layout.WriteFile(path, data, 0o600)
}

// Create implements Store.
func (d Dir) Create(_ context.Context, name string, data []byte) error {
	path, err := d.path(name)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// A link fails where a rename would replace: the object appears whole, or not.
	tmp := filepath.Join(dir, ".new-"+rand.Text())
	defer os.Remove(tmp)
	if err := layout.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	if err := os.Link(tmp, path); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: %w", name, ErrExists)
	} else if err != nil {
		return err
	}
	return layout.SyncDir(dir)
}

// Get implements Store.
func (d Dir) Get(_ context.Context, name string) ([]byte, error) {
	path, err := d.path(name)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	return data, err
}

// List implements Store.
func (d Dir) List(_ context.Context, prefix string) ([]string, error) {
	var names []string
	// Whole folders that cannot match are not looked into.
	folder, _, _ := cutLast(prefix)
	if folder != "" && !objectName.MatchString(folder) {
		return nil, nil
	}
	err := filepath.WalkDir(filepath.Join(d.Root, filepath.FromSlash(folder)), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(d.Root, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if strings.HasPrefix(name, prefix) && objectName.MatchString(name) {
			names = append(names, name)
		}
		return nil
	})
	slices.Sort(names)
	return names, err
}

// cutLast cuts at the last slash.
func cutLast(name string) (folder, rest string, found bool) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return "", name, false
	}
	return name[:i], name[i+1:], true
}

// Delete implements Store.
func (d Dir) Delete(_ context.Context, name string) error {
	path, err := d.path(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
