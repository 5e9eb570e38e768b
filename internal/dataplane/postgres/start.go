package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// Start starts the configured server in its own session, where it outlives us,
// after clearing away what a killed one left. It returns when the process is
// there; Process.Ready waits until it answers. overrides go on the command line,
// which nobody can change before the next start. A server that runs already is
// adopted, whatever its overrides.
func (s Server) Start(ctx context.Context, overrides map[string]string) (*Process, error) {
	if err := s.needData(); err != nil {
		return nil, err
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	if p, err := s.Adopt(); !errors.Is(err, ErrNotRunning) {
		return p, err
	}
	if err := s.clear(ctx); err != nil {
		return nil, err
	}
	args, err := s.arguments(ctx, overrides)
	if err != nil {
		return nil, err
	}
	return s.spawn(args)
}

// clear removes what a killed server left: its children, and its lock files, whose
// pid may be somebody else's by now or a zombie's, over both of which PostgreSQL
// would refuse to start. Shared memory PostgreSQL clears itself.
func (s Server) clear(ctx context.Context) error {
	if err := s.killAll(ctx); err != nil {
		return err
	}
	for _, path := range []string{filepath.Join(s.dataDir(), "postmaster.pid"), s.Socket() + ".lock", s.Socket()} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (s Server) arguments(ctx context.Context, overrides map[string]string) ([]string, error) {
	all, err := s.floors(ctx)
	if err != nil {
		return nil, err
	}
	for name, value := range overrides {
		if !isParameterName(name) || hasControl(value) {
			return nil, &ParameterError{Name: name, Value: value, Reason: "it cannot stand on a command line"}
		}
		all[name] = value
	}
	args := []string{"-D", s.dataDir(), "-c", "config_file=" + s.configFile()}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		args = append(args, "-c", name+"="+all[name])
	}
	return args, nil
}

// floors are settings in which a standby must not be below its primary, or it
// refuses to serve; pg_control has the primary's.
func (s Server) floors(ctx context.Context) (map[string]string, error) {
	raised := map[string]string{}
	standby, err := s.IsStandby()
	if err != nil || !standby {
		return raised, err
	}
	control, err := s.ControlData(ctx)
	if err != nil {
		return nil, err
	}
	config, err := os.ReadFile(s.configFile())
	if err != nil {
		return nil, err
	}
	for name, floor := range control.floors {
		if configured(string(config), name) < floor {
			raised[name] = strconv.Itoa(floor)
		}
	}
	return raised, nil
}

// configured is the number that our configuration file sets, -1 when it doesn't.
func configured(config, name string) int {
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` = '(\d+)'$`).FindStringSubmatch(config)
	if m == nil {
		return -1
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return -1
	}
	return n
}

func (s Server) spawn(args []string) (*Process, error) {
	log, err := os.OpenFile(s.startLog(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(s.path("postgres"), args...)
	cmd.Env = s.environment()
	cmd.Dir = s.dataDir()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes(s.UID)
	box, err := s.box()
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	if err := box.Do(cmd.Start); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	pid := cmd.Process.Pid
	pidfd, err := openPidfd(pid)
	if err == nil {
		if err = s.limit(pid); err != nil {
			_ = pidfd.Close()
		}
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return newProcess(s, pid, pidfd, func() { _ = cmd.Wait() }), nil
}
