package postgres

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	logFiles = "postgresql.log.*"
	// logTail is how much of a log goes into an error.
	logTail = 2000
)

// RemoveLogs deletes the log files that were last written before a time, but
// never the newest. The directory is the server's, so no link in it is followed.
func (s Server) RemoveLogs(before time.Time) error {
	root, err := os.OpenRoot(s.LogDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	names, err := fs.Glob(root.FS(), logFiles)
	if err != nil || len(names) == 0 {
		return err
	}
	newest := slices.Max(names)
	for _, name := range names {
		info, err := root.Lstat(name)
		if err != nil || name == newest || !info.ModTime().Before(before) {
			continue
		}
		if err := root.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// lastLog is the end of what the server wrote: before its log collector started,
// and after.
func (s Server) lastLog() string {
	early, _ := os.ReadFile(s.startLog())
	text := lastBytes(early, logTail)
	root, err := os.OpenRoot(s.LogDir())
	if err != nil {
		return text
	}
	defer root.Close()
	names, err := fs.Glob(root.FS(), logFiles)
	if err != nil || len(names) == 0 {
		return text
	}
	f, err := root.Open(slices.Max(names))
	if err != nil {
		return text
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > logTail {
		_, _ = f.Seek(-logTail, io.SeekEnd)
	}
	late, _ := io.ReadAll(io.LimitReader(f, logTail))
	return strings.TrimSpace(text + string(late))
}
