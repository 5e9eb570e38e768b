package postgres

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// interruptGrace is how long a program may take to clean up after SIGTERM.
const interruptGrace = 5 * time.Second

// environment of everything we run: nothing of ours is inherited.
func (s Server) environment() []string {
	return []string{
		"LC_ALL=C.UTF-8",
		"PATH=/usr/local/bin:/usr/bin:/bin",
		"HOME=" + s.Dir,
		"PGPASSFILE=" + s.passfile(),
	}
}

func (s Server) path(program string) string {
	return filepath.Join(s.Installation.BinDir, program)
}

// attributes run a program as uid, 0 being the calling user, without any
// supplementary group.
func attributes(uid int) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if uid != 0 {
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	}
	return attr
}

// run runs a program to its end, in dir, as uid, and returns what it printed.
// The program ends with us: nobody would know of it.
func (s Server) run(ctx context.Context, uid int, dir string, stdin io.Reader, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.path(program), args...)
	cmd.Env = s.environment()
	cmd.Dir = dir
	cmd.Stdin = stdin
	cmd.SysProcAttr = attributes(uid)
	cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = interruptGrace
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := s.runContained(cmd); err != nil {
		return "", &commandError{program: program, stderr: lastBytes(stderr.Bytes(), logTail), err: err}
	}
	return stdout.String(), nil
}

func lastBytes(b []byte, n int) string {
	if len(b) > n {
		b = b[len(b)-n:]
	}
	return string(b)
}

// initdbUID is the user id that initdb runs as: it refuses to run for a user id
// that has no name, as ours usually have none. The server itself does not mind.
func (s Server) initdbUID() (int, error) {
	if s.UID == 0 {
		return 0, nil
	}
	if _, err := user.LookupId(strconv.Itoa(s.UID)); err == nil {
		return s.UID, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		if uid, err := strconv.Atoi(u.Uid); err == nil && uid != 0 {
			return uid, nil
		}
	}
	return 0, fmt.Errorf("initdb needs a user with a name: neither %q nor %q exists on this host", "postgres", "nobody")
}
