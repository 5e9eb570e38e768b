package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pollInterval is how often a file of the server is looked at while we wait.
const pollInterval = 5 * time.Millisecond

// Process is a running postmaster, pinned by a pidfd: whatever happens to its
// pid, no other process is ever taken for it.
type Process struct {
	server Server
	pid    int
	pidfd  *os.File
	reap   func()
	exited chan struct{}
	free   sync.Once
}

func newProcess(s Server, pid int, pidfd *os.File, reap func()) *Process {
	p := &Process{server: s, pid: pid, pidfd: pidfd, reap: reap, exited: make(chan struct{})}
	go p.watch()
	return p
}

// watch closes exited when the process has ended, and reaps it. It ends with the
// process or with Release.
func (p *Process) watch() {
	if waitExit(p.pidfd) != nil {
		return
	}
	p.reap()
	close(p.exited)
	p.Release()
}

// PID is the postmaster's.
func (p *Process) PID() int { return p.pid }

// Exited is closed when the postmaster has ended. Its children may outlive it by
// a moment; Start clears them away.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Failure is why a server that has ended could not go on with its data directory: a
// *StartError, or nil if it ended for something else, as far as its log says.
func (p *Process) Failure() error {
	if e := p.server.startError(); e.Reason != "" {
		return e
	}
	return nil
}

// Release stops watching the process and leaves it running. Exited stays open.
func (p *Process) Release() { p.free.Do(func() { _ = p.pidfd.Close() }) }

// Reload has the server read its configuration again.
func (p *Process) Reload() error { return p.signal(unix.SIGHUP) }

func (p *Process) signal(sig unix.Signal) error {
	err := sendSignal(p.pidfd, sig)
	select {
	case <-p.exited:
		return ErrNotRunning
	default:
	}
	if errors.Is(err, unix.ESRCH) {
		return ErrNotRunning
	}
	return err
}

// Ready waits until the server accepts connections (a standby: read-only ones).
// A server that ended instead is a *StartError with the end of its log.
func (p *Process) Ready(ctx context.Context) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		lock, err := p.server.readLock()
		if err == nil && lock.pid == p.pid && lock.status == "ready" {
			return nil
		}
		select {
		case <-p.exited:
			return p.server.startError()
		case <-ctx.Done():
			return fmt.Errorf("wait for PostgreSQL to accept connections (it says %q): %w", lock.status, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// StopMode is PostgreSQL's shutdown mode.
type StopMode string

const (
	StopSmart     StopMode = "smart"     // waits for clients
	StopFast      StopMode = "fast"      // rolls back, disconnects, writes a checkpoint
	StopImmediate StopMode = "immediate" // as a crash: the next start recovers
	StopKill      StopMode = "kill"      // a server that does not react any more
)

// Stop ends the server and all its children. After grace it goes on to the next
// harder mode, at last to SIGKILL. Nil means that nothing is left.
func (p *Process) Stop(ctx context.Context, mode StopMode, grace time.Duration) error {
	steps := map[StopMode][]unix.Signal{
		StopSmart:     {unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGKILL},
		StopFast:      {unix.SIGINT, unix.SIGQUIT, unix.SIGKILL},
		StopImmediate: {unix.SIGQUIT, unix.SIGKILL},
		StopKill:      {unix.SIGKILL},
	}[mode]
	for _, sig := range steps {
		if err := p.signal(sig); errors.Is(err, ErrNotRunning) {
			break
		} else if err != nil {
			return fmt.Errorf("stop PostgreSQL: %w", err)
		}
		if done, err := p.gone(ctx, grace); err != nil {
			return fmt.Errorf("stop PostgreSQL: %w", err)
		} else if done {
			break
		}
	}
	return p.server.killAll(ctx)
}

func (p *Process) gone(ctx context.Context, grace time.Duration) (bool, error) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.exited:
		return true, nil
	case <-timer.C:
		return false, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// lock is what postmaster.pid says.
type lock struct {
	pid     int
	started time.Time
	shmKey  uint64 // of the System V shared memory
	shmID   int    // 0 when there is none
	status  string
}

func (s Server) readLock() (lock, error) {
	content, err := s.readData("postmaster.pid")
	if err != nil {
		return lock{}, err
	}
	return parseLock(content)
}

// parseLock reads postmaster.pid (miscadmin.h: pid, data directory, start time,
// port, socket directory, listen address, shared memory key and id, status).
// Early in a start the last lines are missing.
func parseLock(content string) (lock, error) {
	lines := strings.Split(content, "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid <= 0 {
		return lock{}, fmt.Errorf("postmaster.pid: no pid in %q", lines[0])
	}
	l := lock{pid: pid}
	if len(lines) > 2 {
		if seconds, err := strconv.ParseInt(strings.TrimSpace(lines[2]), 10, 64); err == nil {
			l.started = time.Unix(seconds, 0)
		}
	}
	if len(lines) > 6 {
		if fields := strings.Fields(lines[6]); len(fields) == 2 {
			l.shmKey, _ = strconv.ParseUint(fields[0], 10, 64)
			l.shmID, _ = strconv.Atoi(fields[1])
		}
	}
	if len(lines) > 7 {
		l.status = strings.TrimSpace(lines[7])
	}
	return l, nil
}

// waitExit waits until the process of a pidfd has ended, without holding a
// thread, or until the pidfd is closed.
func waitExit(pidfd *os.File) error {
	conn, err := pidfd.SyscallConn()
	if err != nil {
		return err
	}
	return conn.Read(func(fd uintptr) bool { return ended(int(fd)) })
}

func ended(pidfd int) bool {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

func sendSignal(pidfd *os.File, sig unix.Signal) error {
	conn, err := pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = conn.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
	return errors.Join(err, sent)
}

// openPidfd pins a process. The descriptor is made for Go's poller.
func openPidfd(pid int) (*os.File, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	return os.NewFile(uintptr(fd), "pidfd:"+strconv.Itoa(pid)), nil
}

// reapAdopted collects a process that became our child because the one that
// started it has ended; for any other it does nothing.
func reapAdopted(pid int) func() {
	return func() { _, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil) }
}
