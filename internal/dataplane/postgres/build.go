package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/daybreakdb/daybreak/internal/layout"
)

const (
	standbySignal = "standby.signal"
	tmpPrefix     = "data.tmp-"
)

// Upstream is the running server that a standby follows or is copied from.
type Upstream struct {
	SocketDir string
	Slot      string // physical replication slot on the upstream; may be empty
}

func (u Upstream) check() error {
	if u.Slot != "" && !regexp.MustCompile(`^[a-z0-9_]{1,63}$`).MatchString(u.Slot) {
		return fmt.Errorf("replication slot %q: 1 to 63 lower-case letters, digits and _ are allowed", u.Slot)
	}
	return checkSocketDir(u.SocketDir)
}

// Copy builds a standby's data directory from a running server, without the WAL
// that belongs to it: whoever feeds the standby decides how much of that it may
// have. It does nothing when a complete data directory is there, and starts again
// from nothing when a half-built one is.
func (s Server) Copy(ctx context.Context, from Upstream) error {
	if err := from.check(); err != nil {
		return err
	}
	return s.build(s.UID, func(dir string) error {
		args := []string{
			"--pgdata=" + dir, "--host=" + from.SocketDir, fmt.Sprintf("--port=%d", Port),
			"--username=" + ReplicationRole, "--no-password",
			"--checkpoint=fast", "--wal-method=none", "--no-sync",
		}
		if from.Slot != "" {
			args = append(args, "--slot="+from.Slot)
		}
		if _, err := s.run(ctx, s.UID, s.Dir, nil, "pg_basebackup", args...); err != nil {
			return err
		}
		return s.markStandby(dir)
	})
}

// MakeStandby turns the data directory of a cleanly stopped primary into a
// standby's. Without a clean stop it is ErrNotClean: what that server wrote last
// may be what no other server has.
func (s Server) MakeStandby(ctx context.Context) error {
	if is, err := s.IsStandby(); is || err != nil {
		return err
	}
	control, err := s.ControlData(ctx)
	if err != nil {
		return err
	}
	if control.State != StateShutDown {
		return fmt.Errorf("%w: it is %q", ErrNotClean, control.State)
	}
	if err := s.markStandby(s.dataDir()); err != nil {
		return err
	}
	return layout.SyncDir(s.dataDir())
}

func (s Server) markStandby(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	f, err := root.OpenFile(standbySignal, os.O_CREATE|os.O_WRONLY, 0o600) // it may be there from an attempt before
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Chown(s.owner(), s.group()); err != nil {
		return err
	}
	return f.Sync()
}

// build makes data/ appear complete or not at all: fill makes it in a directory
// of another name, as uid; then it gets its owner, is synced and renamed.
func (s Server) build(uid int, fill func(dir string) error) (err error) {
	if err := s.prepare(); err != nil {
		return err
	}
	if err := s.removeBuilds(); err != nil {
		return err
	}
	if ok, err := s.HasData(); ok || err != nil {
		return err
	}
	dir, err := os.MkdirTemp(s.Dir, tmpPrefix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	if uid != 0 {
		if err := os.Lchown(dir, uid, uid); err != nil {
			return err
		}
	}
	if err := fill(dir); err != nil {
		return err
	}
	if err := s.seal(dir); err != nil {
		return err
	}
	// What somebody left of a data directory cannot be started, and is in the way.
	if err := s.hide(); err != nil {
		return err
	}
	if err := os.Rename(dir, s.dataDir()); err != nil {
		return err
	}
	if err := layout.SyncDir(s.Dir); err != nil {
		return err
	}
	return s.removeBuilds()
}

// removeBuilds removes what interrupted builds and removals left.
func (s Server) removeBuilds() error {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), tmpPrefix) {
			if err := os.RemoveAll(filepath.Join(s.Dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// sealers is how many files are synced at a time: the file system then commits
// many of them together.
const sealers = 16

// seal gives everything below dir to the server's user and makes it durable. It
// goes through an os.Root, so that a link below dir leads nowhere else.
func (s Server) seal(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	var group errgroup.Group
	group.SetLimit(sealers)
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() && !entry.Type().IsRegular() {
			return fmt.Errorf("%s: a data directory holds files and directories only", path)
		}
		group.Go(func() error { return s.sealFile(root, path) })
		return nil
	})
	return errors.Join(err, group.Wait())
}

func (s Server) sealFile(root *os.Root, path string) error {
	f, err := root.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if s.UID != 0 {
		if err := f.Chown(s.UID, s.UID); err != nil {
			return err
		}
	}
	return f.Sync()
}
