package postgres

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/daybreakdb/daybreak/internal/layout"
)

// asideDir is where a data directory is kept that cannot be started, until the server
// that is built in its place serves.
func (s Server) asideDir() string { return filepath.Join(s.Dir, "data.aside") }

// SetAside takes a data directory out of the way that cannot be started, and keeps it.
// If one is kept already, then the data directory was built in its place and has never
// served: that goes. The server must not run.
func (s Server) SetAside(ctx context.Context) error {
	if err := s.killAll(ctx); err != nil {
		return err
	}
	if kept, err := exists(s.asideDir()); err != nil {
		return err
	} else if kept {
		return s.Discard()
	}
	if there, err := exists(s.dataDir()); !there || err != nil {
		return err
	}
	if err := os.Rename(s.dataDir(), s.asideDir()); err != nil {
		return err
	}
	return layout.SyncDir(s.Dir)
}

// ForgetAside gives up what was set aside, for the server serves. What is left to be
// deleted then is rest, which may take long; empty if there is none.
func (s Server) ForgetAside() (rest string, err error) {
	if kept, err := exists(s.asideDir()); !kept || err != nil {
		return "", err
	}
	rest, err = os.MkdirTemp(s.Dir, tmpPrefix)
	if err != nil {
		return "", err
	}
	if err := os.Rename(s.asideDir(), filepath.Join(rest, "data")); err != nil {
		return "", err
	}
	return rest, layout.SyncDir(s.Dir)
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
