package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// openTofu is the version that is built; scripts/setup.sh builds the same.
const openTofu = "v1.12.6"

// errNoGo says that OpenTofu cannot be built here.
var errNoGo = errors.New("OpenTofu cannot be built: there is no go command")

// BuildOpenTofu builds OpenTofu from its Go module into dir, as bin/tofu, which
// takes some minutes, and says to log what it does. Not by "go install": that
// refuses modules with replacements, and OpenTofu has one.
func BuildOpenTofu(ctx context.Context, dir string, log io.Writer) (Tool, error) {
	goCommand, err := findGo()
	if err != nil {
		return Tool{}, err
	}
	fmt.Fprintf(log, "Building OpenTofu %s from its Go module. This takes some minutes, once.\n", openTofu)
	var out bytes.Buffer
	if err := runGo(ctx, goCommand, os.TempDir(), &out, log, "mod", "download", "-json", "github.com/opentofu/opentofu@"+openTofu); err != nil {
		return Tool{}, fmt.Errorf("fetch OpenTofu: %w", err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out.Bytes(), &module); err != nil {
		return Tool{}, fmt.Errorf("fetch OpenTofu: %w", err)
	}
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return Tool{}, err
	}
	made := filepath.Join(bin, ".tofu.new")
	if err := runGo(ctx, goCommand, module.Dir, log, log, "build", "-o", made, "./cmd/tofu"); err != nil {
		return Tool{}, fmt.Errorf("build OpenTofu: %w", err)
	}
	tofu := filepath.Join(bin, "tofu")
	if err := os.Rename(made, tofu); err != nil {
		return Tool{}, err
	}
	return identify(ctx, tofu)
}

func findGo() (string, error) {
	for _, candidate := range []string{"go", "/usr/local/go/bin/go"} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, nil
		}
	}
	return "", errNoGo
}

// runGo runs go with what it needs of our environment, and ends the compilers
// that it started with it.
func runGo(ctx context.Context, goCommand, dir string, stdout, stderr io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, goCommand, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, stdout, stderr
	cmd.Env = []string{"GOWORK=off"}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "GO") || name == "PATH" || name == "HOME" || name == "XDG_CACHE_HOME" || passes(name, true) {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd.Run()
}
