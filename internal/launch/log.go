package launch

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxLogBytes is the size above which a log file is set aside.
	maxLogBytes = 64 << 20
	// logInterval is how often a process looks at the size of its log.
	logInterval = 30 * time.Second
)

// KeepLog sets this process's log aside, as path with ".1", whenever it has grown
// too large, until ctx ends: a process of an installation writes its output to that
// file. One that writes elsewhere, as to a terminal, is left alone.
func KeepLog(ctx context.Context, path string) {
	go func() {
		tick := time.NewTicker(logInterval)
		defer tick.Stop()
		for {
			if err := turnLog(path, maxLogBytes, os.Stdout, os.Stderr); err != nil {
				slog.Error("log not set aside", "path", path, "error", err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
}

// turnLog gives a new file at path to those outputs that are the file there now, if
// it is larger than limit.
func turnLog(path string, limit int64, outputs ...*os.File) error {
	current, err := os.Stat(path)
	if err != nil || current.Size() <= limit {
		return nil // without a log file there is nothing to do
	}
	var ours []*os.File
	for _, f := range outputs {
		if info, err := f.Stat(); err == nil && os.SameFile(info, current) {
			ours = append(ours, f)
		}
	}
	if len(ours) == 0 {
		return nil
	}
	if err := os.Rename(path, path+".1"); err != nil {
		return err
	}
	log, err := openLog(path)
	if err != nil {
		return err
	}
	defer log.Close()
	for _, f := range ours {
		if err := unix.Dup3(int(log.Fd()), int(f.Fd()), 0); err != nil {
			return fmt.Errorf("write to %s: %w", path, err)
		}
	}
	return nil
}

func openLog(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}
