package postgres

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/daybreakdb/daybreak/internal/dataplane/contain"
)

// removeGrace is how long a server to be removed may take to stop by itself.
const removeGrace = 2 * time.Second

// Remove stops the server and deletes its directory and socket directory. Nothing
// to do when they are gone; an interrupted removal is finished by the next.
func (s Server) Remove(ctx context.Context) error {
	if p, err := s.Adopt(); err == nil {
		if err := p.Stop(ctx, StopImmediate, removeGrace); err != nil {
			return err
		}
	} else if !errors.Is(err, ErrNotRunning) {
		return err
	}
	if err := s.killAll(ctx); err != nil {
		return err
	}
	contain.Unlimit(s.controlGroup())
	s.removeSharedMemory()
	if err := s.hide(); err != nil {
		return err
	}
	if err := os.RemoveAll(s.Dir); err != nil {
		return err
	}
	return os.RemoveAll(s.SocketDir)
}

// hide takes the data directory away as a whole, so that no half of one is ever
// taken for a server.
func (s Server) hide() error {
	if _, err := os.Lstat(s.dataDir()); errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	} else if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(s.Dir, tmpPrefix)
	if err != nil {
		return err
	}
	return os.Rename(s.dataDir(), filepath.Join(dir, "data"))
}
