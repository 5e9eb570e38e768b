package launch

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Supervisor keeps processes running. Processes that run already, started by a
// supervisor that is gone, are adopted.
type Supervisor struct {
	Binary    string
	Processes []Process // in the order of their start; they stop in reverse
	Logger    *slog.Logger
	// BeforeStop runs when the processes from index KeepUntil on have stopped and
	// those before it still run: there the databases are stopped.
	BeforeStop func(context.Context) error
	KeepUntil  int
}

const (
	restartDelay    = 100 * time.Millisecond
	maxRestartDelay = time.Second
	longLived       = 10 * time.Second // a process that lived so long is restarted at once
	stopLimit       = 2 * time.Minute
)

// Run keeps the processes running until ctx ends and then stops them in order.
func (s *Supervisor) Run(ctx context.Context) error {
	// Orphans of our processes come to us to be reaped; a zombie would keep its
	// process id, and a dead server would look alive.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		s.Logger.Warn("cannot adopt orphans", "error", err)
	}
	reaped := make(chan struct{})
	reapCtx, stopReaping := context.WithCancel(context.Background())
	go func() { defer close(reaped); reap(reapCtx) }()

	keeping := make([]context.CancelFunc, len(s.Processes))
	var wg sync.WaitGroup
	for i, p := range s.Processes {
		var keepCtx context.Context
		keepCtx, keeping[i] = context.WithCancel(context.Background())
		wg.Go(func() { s.keep(keepCtx, p) })
	}
	<-ctx.Done()
	err := s.stop(keeping)
	wg.Wait()
	stopReaping()
	<-reaped
	return err
}

func (s *Supervisor) stop(keeping []context.CancelFunc) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	var first error
	note := func(err error) {
		if err != nil && first == nil {
			first = err
		}
	}
	for i := len(s.Processes) - 1; i >= 0; i-- {
		if i == s.KeepUntil-1 && s.BeforeStop != nil {
			note(bounded(ctx, s.BeforeStop))
		}
		keeping[i]()
		note(Stop(ctx, s.Processes[i]))
		s.Logger.Info("stopped", "process", s.Processes[i].Name)
	}
	return first
}

// bounded gives up on f when ctx ends: a database on a disk that hangs cannot even
// be killed, and the rest must stop all the same.
func bounded(ctx context.Context, f func(context.Context) error) error {
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("stop the databases: %w: they may still run", context.Cause(ctx))
	}
}

// keep starts the process whenever it does not run, until ctx ends.
func (s *Supervisor) keep(ctx context.Context, p Process) {
	delay := restartDelay
	for ctx.Err() == nil {
		started := time.Now()
		pid := Holder(p.Lock)
		if pid != 0 {
			s.Logger.Info("adopted", "process", p.Name, "pid", pid)
		} else if process, err := Start(s.Binary, p); err != nil {
			s.Logger.Error("start failed", "process", p.Name, "error", err)
		} else {
			pid = process.Pid
			s.Logger.Info("started", "process", p.Name, "pid", pid)
		}
		if pid != 0 && !watch(ctx, p, pid, s.Logger) {
			return
		}
		if ctx.Err() == nil {
			s.Logger.Warn("process ended", "process", p.Name, "pid", pid, "lived", time.Since(started).Round(time.Millisecond))
		}
		if time.Since(started) > longLived {
			delay = restartDelay
		}
		if !pause(ctx, delay) {
			return
		}
		delay = min(2*delay, maxRestartDelay)
	}
}

// reap collects every child that ends. Nothing in a supervisor waits for a
// child in another way.
func reap(ctx context.Context) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	for {
		var status syscall.WaitStatus
		if pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil); err == nil && pid > 0 {
			continue
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// KeepSupervised starts a supervisor again whenever there is none, until ctx
// ends. A supervised process runs it, so that the two watch each other.
func KeepSupervised(ctx context.Context, binary string, supervisor Process, logger *slog.Logger) {
	for pause(ctx, restartDelay) {
		pid := Holder(supervisor.Lock)
		if pid != 0 {
			if !watch(ctx, supervisor, pid, logger) {
				return
			}
			logger.Warn("supervisor ended", "pid", pid)
		}
		// A supervisor in an orderly stop stops this process too; leave it the time.
		if !pause(ctx, time.Second) || Holder(supervisor.Lock) != 0 {
			continue
		}
		process, err := Start(binary, supervisor)
		if err != nil {
			logger.Error("supervisor not started", "error", err)
			continue
		}
		go func() { _, _ = process.Wait() }()
		pause(ctx, time.Second)
	}
}
