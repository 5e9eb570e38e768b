package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Adopt finds the running server again, whoever started it; else ErrNotRunning.
func (s Server) Adopt() (*Process, error) {
	l, err := s.readLock()
	if err != nil {
		return nil, ErrNotRunning
	}
	pidfd, err := s.pin(l.pid)
	if err != nil {
		return nil, err
	}
	return newProcess(s, l.pid, pidfd, reapAdopted(l.pid)), nil
}

// pin returns a pidfd of a live process of this server; ErrNotRunning when the
// pid is of no process, of a dead one, or of one that has nothing to do with us.
func (s Server) pin(pid int) (*os.File, error) {
	pidfd, err := openPidfd(pid)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, err
	}
	// The pid was of our process after the pidfd was opened, and the process of
	// the pidfd still lives: so they are the same.
	ours, err := s.owns(pid)
	if err != nil || !ours || pidfdEnded(pidfd) {
		_ = pidfd.Close()
		if err == nil {
			err = ErrNotRunning
		}
		return nil, err
	}
	return pidfd, nil
}

func pidfdEnded(pidfd *os.File) bool {
	conn, err := pidfd.SyscallConn()
	if err != nil {
		return true
	}
	var is bool
	err = conn.Control(func(fd uintptr) { is = ended(int(fd)) })
	return err != nil || is
}

// owns says whether a process is a postgres, of the server's user, that works in
// the data directory. Every process of a server does.
func (s Server) owns(pid int) (bool, error) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	info, err := os.Stat(proc)
	if err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != s.owner() {
		return false, nil
	}
	data, err := os.Stat(s.dataDir())
	if err != nil {
		return false, nil
	}
	var ours bool
	look := func() error {
		cwd, err := os.Stat(filepath.Join(proc, "cwd"))
		if err != nil {
			return err
		}
		exe, err := os.Readlink(filepath.Join(proc, "exe"))
		if err != nil {
			return err
		}
		name, _, _ := strings.Cut(filepath.Base(exe), " ")
		ours = os.SameFile(cwd, data) && (name == "postgres" || name == "postmaster")
		return nil
	}
	err = look()
	if errors.Is(err, fs.ErrPermission) && s.UID != 0 {
		// Root without CAP_SYS_PTRACE, as in most containers.
		err = s.asOwner(look)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return false, nil // it ended, or is a zombie
	}
	return ours, err
}

// asOwner runs f with the server's user as its identity before the file system.
func (s Server) asOwner(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setfsgid(s.UID); err != nil {
		return err
	}
	defer func() { _ = unix.Setfsgid(os.Getegid()) }()
	if err := unix.Setfsuid(s.UID); err != nil {
		return err
	}
	defer func() { _ = unix.Setfsuid(os.Geteuid()) }()
	return f()
}

// processes are all live processes of the server, the postmaster and what a
// killed one left, pinned. The caller closes them.
func (s Server) processes() ([]*os.File, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []*os.File
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if ours, err := s.owns(pid); err != nil || !ours {
			continue
		}
		if pidfd, err := s.pin(pid); err == nil {
			found = append(found, pidfd)
		}
	}
	return found, nil
}

// killAll kills whatever still runs in the data directory and waits until it is
// gone. Children can fork no others without a postmaster, so one round is enough
// after its end; a second one sees that it was.
func (s Server) killAll(ctx context.Context) error {
	for {
		found, err := s.processes()
		if err != nil || len(found) == 0 {
			return err
		}
		for _, pidfd := range found {
			err = errors.Join(err, kill(ctx, pidfd))
		}
		if err != nil {
			return fmt.Errorf("clear away processes of a dead server: %w", err)
		}
	}
}

func kill(ctx context.Context, pidfd *os.File) error {
	defer pidfd.Close()
	if err := sendSignal(pidfd, unix.SIGKILL); errors.Is(err, unix.ESRCH) {
		return nil
	} else if err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := pidfd.SetReadDeadline(deadline); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = pidfd.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	return waitExit(pidfd)
}
