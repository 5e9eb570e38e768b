package launch

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestMain is also the process that is watched.
func TestMain(m *testing.M) {
	if dir := os.Getenv("PULSE_TEST_DIR"); dir != "" {
		if _, err := Acquire(filepath.Join(dir, "lock")); err != nil {
			panic(err)
		}
		if err := Beat(context.Background(), filepath.Join(dir, "pulse")); err != nil {
			panic(err)
		}
		select {}
	}
	os.Exit(m.Run())
}

func TestFrozenProcessIsKilledAndAWorkingOneIsNot(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PULSE_TEST_DIR="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill(); <-ended }()
	p := Process{Name: "test", Lock: filepath.Join(dir, "lock"), Pulse: filepath.Join(dir, "pulse")}
	for deadline := time.Now().Add(10 * time.Second); Holder(p.Lock) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the process does not start")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), (missedPulses+2)*pulseInterval)
	defer cancel()
	if watch(ctx, p, cmd.Process.Pid, slog.Default()) {
		t.Fatal("a process that works was killed")
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if !watch(ctx, p, cmd.Process.Pid, slog.Default()) {
		t.Fatal("a frozen process was left as it was")
	}
}
