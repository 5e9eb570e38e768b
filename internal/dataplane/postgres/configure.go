package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Configure writes the configuration, or leaves the old one as it was and says
// what is wrong. A running server takes it with Process.Reload, and the settings
// in Status.PendingRestart with its next start; a standby follows another
// Upstream after a reload too. changed is false when the files were so already.
// It needs a data directory.
func (s Server) Configure(ctx context.Context, c Config) (changed bool, err error) {
	settings, err := s.settings(c)
	if err != nil {
		return false, err
	}
	if err := s.needData(); err != nil {
		return false, err
	}
	if err := s.prepare(); err != nil {
		return false, err
	}
	content := renderSettings(settings)
	if old, err := os.ReadFile(s.configFile()); err != nil || string(old) != content {
		if err := s.rehearse(ctx, c, content); err != nil {
			return false, err
		}
	}
	hbaChanged, err := writeChanged(s.hbaFile(), hba, 0o644)
	if err != nil {
		return false, err
	}
	configChanged, err := writeChanged(s.configFile(), content, 0o644)
	return hbaChanged || configChanged, err
}

func renderSettings(settings map[string]string) string {
	var b strings.Builder
	b.WriteString("# Written by daybreak. Changes are overwritten.\n")
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s = %s\n", name, quoteSetting(settings[name]))
	}
	return b.String()
}

// rehearse has PostgreSQL take the configuration as far as to the size of its
// shared memory, libraries loaded, in a directory that holds nothing else than
// the server's pg_control. What would keep the server from starting is found here.
func (s Server) rehearse(ctx context.Context, c Config, content string) error {
	dir, err := s.stage(content)
	if dir != "" {
		defer os.RemoveAll(dir)
	}
	if err != nil {
		return fmt.Errorf("check configuration: %w", err)
	}
	config := filepath.Join(dir, "postgresql.conf")
	out, err := s.run(ctx, s.UID, dir, nil, "postgres", "-C", "shared_memory_size", "-D", dir, "-c", "config_file="+config)
	var failed *commandError
	if errors.As(err, &failed) {
		return s.blame(ctx, c, dir, failed)
	}
	if err != nil {
		return err
	}
	needed, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	if err != nil {
		return fmt.Errorf("check configuration: shared_memory_size is %q", out)
	}
	if limit := max(c.Memory/4*3, 256*mB); needed*mB > limit {
		return &ParameterError{Reason: fmt.Sprintf("together they need %d MB of shared memory, %d MB are allowed", needed, limit/mB)}
	}
	return nil
}

// stage makes the directory of a rehearsal.
func (s Server) stage(config string) (dir string, err error) {
	if dir, err = os.MkdirTemp(s.Dir, tmpPrefix); err != nil {
		return "", err
	}
	if err := os.Mkdir(filepath.Join(dir, "global"), 0o700); err != nil {
		return dir, err
	}
	files := map[string]string{"postgresql.conf": config, "postgresql.auto.conf": ""}
	for _, name := range []string{"PG_VERSION", "global/pg_control"} {
		if files[name], err = s.readData(name); err != nil {
			return dir, err
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return dir, err
		}
	}
	if s.UID == 0 {
		return dir, nil
	}
	return dir, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, s.UID, s.UID)
	})
}

// blame finds the parameter that PostgreSQL refuses, by asking for each alone.
func (s Server) blame(ctx context.Context, c Config, dir string, failed *commandError) error {
	for _, name := range slices.Sorted(maps.Keys(c.Parameters)) {
		value := c.Parameters[name]
		_, err := s.run(ctx, s.UID, dir, nil, "postgres", "-C", "port", "-D", dir,
			"-c", "config_file="+os.DevNull, "-c", name+"="+value)
		var refused *commandError
		if errors.As(err, &refused) {
			return &ParameterError{Name: name, Value: value, Reason: complaint(refused.stderr)}
		}
	}
	return &ParameterError{Reason: complaint(failed.stderr)}
}

// complaint is the text of the last errors in PostgreSQL's messages.
func complaint(stderr string) string {
	var said []string
	for line := range strings.Lines(stderr) {
		for _, level := range []string{"FATAL:  ", "HINT:  ", "DETAIL:  "} {
			if _, text, ok := strings.Cut(line, level); ok {
				said = append(said, strings.TrimSpace(text))
			}
		}
	}
	if len(said) == 0 {
		return strings.TrimSpace(stderr)
	}
	return strings.Join(said, " ")
}

// readData reads a small file of the data directory. That directory is the
// server's, so the name may have become anything: links out of it are not
// followed, and nothing can make the read wait.
func (s Server) readData(name string) (string, error) {
	root, err := os.OpenRoot(s.dataDir())
	if err != nil {
		return "", err
	}
	defer root.Close()
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	const limit = 64 * kB
	content, err := io.ReadAll(io.LimitReader(f, limit))
	return string(content), err
}
