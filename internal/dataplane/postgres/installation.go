package postgres

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Major is the PostgreSQL that we run.
const Major = "15"

// Installation is the PostgreSQL that this host has.
type Installation struct {
	BinDir   string
	LibDir   string // of loadable modules
	ShareDir string // of extensions
	Version  string // 15.18
}

// Find looks in DAYBREAK_PG_BINDIR and nowhere else when that is set, then in
// PATH, then where Debian puts it. Without a PostgreSQL 15 the error is
// ErrNotInstalled.
func Find(ctx context.Context) (Installation, error) {
	var seen []string
	for _, dir := range binDirs() {
		version, err := versionIn(ctx, dir)
		if err != nil {
			continue
		}
		if !strings.HasPrefix(version, Major+".") {
			seen = append(seen, fmt.Sprintf("%s has %s", dir, version))
			continue
		}
		prefix := filepath.Dir(dir)
		return Installation{
			BinDir:   dir,
			LibDir:   builtInto(ctx, dir, "--pkglibdir", filepath.Join(prefix, "lib")),
			ShareDir: builtInto(ctx, dir, "--sharedir", filepath.Join(prefix, "share")),
			Version:  version,
		}, nil
	}
	if len(seen) > 0 {
		return Installation{}, fmt.Errorf("%w (%s)", ErrNotInstalled, strings.Join(seen, ", "))
	}
	return Installation{}, ErrNotInstalled
}

func binDirs() []string {
	if dir := os.Getenv("DAYBREAK_PG_BINDIR"); dir != "" {
		return []string{dir}
	}
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	return append(dirs, filepath.Join("/usr/lib/postgresql", Major, "bin"))
}

func versionIn(ctx context.Context, dir string) (string, error) {
	for _, program := range []string{"initdb", "pg_basebackup", "pg_controldata"} {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			return "", err
		}
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return "", err
	}
	return parseVersion(string(out))
}

func parseVersion(out string) (string, error) {
	m := regexp.MustCompile(`^postgres \(PostgreSQL\) (\d+(?:\.\d+)*)`).FindStringSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("postgres --version says %q", out)
	}
	return m[1], nil
}

// builtInto asks PostgreSQL for a directory. Where pg_config is a package of its
// own, and missing, it is fallback.
func builtInto(ctx context.Context, binDir, which, fallback string) string {
	out, err := exec.CommandContext(ctx, filepath.Join(binDir, "pg_config"), which).Output()
	if err != nil {
		return fallback
	}
	return strings.TrimSpace(string(out))
}
