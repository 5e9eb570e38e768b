package launch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	// pulseInterval is how often a process is asked whether it still works, and how
	// long it may take to answer.
	pulseInterval = time.Second
	// missedPulses in a row mean that it is frozen, or hangs.
	missedPulses = 3
)

// Beat answers those who take the process's pulse, until ctx ends.
func Beat(ctx context.Context, path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("pulse: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("pulse: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte{1})
			_ = conn.Close()
		}
	}()
	return nil
}

// frozen says whether the process takes connections and answers none. One that
// has not begun to listen, or has ended, is not.
func (p Process) frozen() bool {
	conn, err := net.DialTimeout("unix", p.Pulse, pulseInterval)
	if err != nil {
		return errors.Is(err, syscall.EAGAIN) || errors.Is(err, os.ErrDeadlineExceeded)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(pulseInterval)); err != nil {
		return false
	}
	_, err = conn.Read(make([]byte, 1))
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// watch waits for the end of a process and reports whether it came before the end
// of ctx. A process without pulse is killed.
func watch(ctx context.Context, p Process, pid int, logger *slog.Logger) bool {
	gone, err := Exited(pid)
	if err != nil {
		return pause(ctx, time.Second)
	}
	tick := time.NewTicker(pulseInterval)
	defer tick.Stop()
	for missed := 0; ; {
		select {
		case <-gone:
			return true
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		if !p.frozen() {
			missed = 0
		} else if missed++; missed >= missedPulses && Holder(p.Lock) == pid {
			logger.Error("kill a process that does not answer", "process", p.Name, "pid", pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
