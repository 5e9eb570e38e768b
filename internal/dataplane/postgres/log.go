package postgres

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	logFiles = "postgresql.log.*"
	// logTail is how much of a log goes into an error, and runTail how much is
	// looked at to find why a server ended.
	logTail = 2000
	runTail = 256 << 10
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

// LogFile is a file of the server's log.
type LogFile struct {
	Name        string
	Size        int64
	LastWritten time.Time
}

// LogFiles are the files of the server's log, the oldest first.
func (s Server) LogFiles() ([]LogFile, error) {
	root, err := os.OpenRoot(s.LogDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	names, err := fs.Glob(root.FS(), logFiles)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var files []LogFile
	for _, name := range names {
		if info, err := root.Lstat(name); err == nil && info.Mode().IsRegular() {
			files = append(files, LogFile{name, info.Size(), info.ModTime()})
		}
	}
	return files, nil
}

// ReadLog reads up to limit bytes of a file of the log from an offset on. A name that
// is none of LogFiles is fs.ErrNotExist. The directory is the server's: no link in it
// is followed, and nothing can make the read wait.
func (s Server) ReadLog(name string, offset int64, limit int) ([]byte, error) {
	if ok, err := path.Match(logFiles, name); !ok || err != nil {
		return nil, fs.ErrNotExist
	}
	root, err := os.OpenRoot(s.LogDir())
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, errors.Join(fs.ErrNotExist, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fs.ErrNotExist, err)
	}
	data := make([]byte, limit)
	n, err := f.ReadAt(data, offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return data[:n], err
}

// startLine begins what a server logs of one run.
const startLine = "starting PostgreSQL"

// lastRun is what the server wrote in its last run, or the end of it: before its log
// collector started, and after.
func (s Server) lastRun() (early, late string) {
	content, _ := os.ReadFile(s.startLog())
	early = lastBytes(content, runTail)
	if fatal(early) { // what is in the log's files is of another run
		return early, ""
	}
	late = s.logEnd()
	return early, late[max(0, strings.LastIndex(late, startLine)):]
}

// logEnd is the end of the newest file of the log.
func (s Server) logEnd() string {
	root, err := os.OpenRoot(s.LogDir())
	if err != nil {
		return ""
	}
	defer root.Close()
	names, err := fs.Glob(root.FS(), logFiles)
	if err != nil || len(names) == 0 {
		return ""
	}
	f, err := root.OpenFile(slices.Max(names), os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > runTail {
		_, _ = f.Seek(-runTail, io.SeekEnd)
	}
	end, _ := io.ReadAll(io.LimitReader(f, runTail))
	return string(end)
}
