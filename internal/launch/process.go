// Package launch starts Daybreak's own processes, keeps them running, and finds
// them again: each holds a lock file with its process id. It knows process names
// and arguments, not what the processes do.
package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is one of the installation's processes.
type Process struct {
	Name string   // as in the lock and log file names
	Args []string // of our own binary
	Lock string
	// Pulse is the socket at which the process shows that it works (Beat).
	Pulse string
	Log   string
	// StopAfter bounds an orderly stop; then the process is killed. 0: 15 s.
	StopAfter time.Duration
}

// Start runs the process in a session of its own, with its output in its log
// file, so that it outlives whoever started it.
func Start(binary string, p Process) (*os.Process, error) {
	log, err := openLog(p.Log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	defer log.Close()
	cmd := exec.Command(binary, p.Args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	return cmd.Process, nil
}

// Exited returns a channel that is closed when the process, a child or not, is
// gone.
func Exited(pid int) (<-chan struct{}, error) {
	gone := make(chan struct{})
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		close(gone)
		return gone, nil
	}
	if err != nil {
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	go func() {
		defer close(gone)
		defer unix.Close(fd)
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if !errors.Is(err, unix.EINTR) {
				return
			}
		}
	}()
	return gone, nil
}

// Stop asks the process that holds p's lock to end, waits, and kills it if it
// does not. A process that is not running is no error.
func Stop(ctx context.Context, p Process) error {
	pid := Holder(p.Lock)
	if pid == 0 {
		return nil
	}
	gone, err := Exited(pid)
	if err != nil {
		return err
	}
	if Holder(p.Lock) != pid {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop %s: %w", p.Name, err)
	}
	limit := p.StopAfter
	if limit == 0 {
		limit = 15 * time.Second
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-gone:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	<-gone
	return ctx.Err()
}

// Exec replaces this process by another program.
func Exec(name string, args, env []string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return err
	}
	return syscall.Exec(path, append([]string{name}, args...), env)
}

// Look finds a program on PATH; "" when there is none.
func Look(name string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}

// Output runs a program that only prints, such as one asked for its version.
func Output(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	return string(out), err
}
