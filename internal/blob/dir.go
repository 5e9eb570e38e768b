package blob

import (
	"context"
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
	err := filepath.WalkDir(d.Root, func(path string, entry fs.DirEntry, err error) error {
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
