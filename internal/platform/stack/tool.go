// Package stack runs one Terraform stack in a working directory of its own:
// init, validate, plan, apply of the saved plan, outputs, destroy. It knows
// Terraform, the files of a run and how a resource is found again in AWS; it
// must not know deployments, tenants or where states are kept.
package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrNoTool says that there is no Terraform and no OpenTofu of 1.5 or newer.
var ErrNoTool = errors.New("neither Terraform nor OpenTofu 1.5 or newer is installed")

// Tool is a Terraform or an OpenTofu.
type Tool struct {
	Name    string // Terraform or OpenTofu
	Path    string
	Version string // 1.11.4
}

func (t Tool) String() string { return t.Name + " " + t.Version }

// FindTool looks for terraform and tofu: DAYBREAK_TERRAFORM, PATH, and where
// OpenTofu is built.
func FindTool(ctx context.Context) (Tool, error) {
	var tooOld []string
	for _, candidate := range candidates() {
		path, err := exec.LookPath(candidate)
		if err != nil {
			continue
		}
		tool, err := identify(ctx, path)
		if err != nil {
			continue
		}
		if !tool.newEnough() {
			tooOld = append(tooOld, tool.String()+" in "+path)
			continue
		}
		return tool, nil
	}
	if len(tooOld) > 0 {
		return Tool{}, fmt.Errorf("%w (found: %s)", ErrNoTool, strings.Join(tooOld, ", "))
	}
	return Tool{}, ErrNoTool
}

func candidates() []string {
	if path := os.Getenv("DAYBREAK_TERRAFORM"); path != "" {
		return []string{path}
	}
	list := []string{"terraform", "tofu"}
	if dir, err := ToolsDir(); err == nil {
		list = append(list, filepath.Join(dir, "bin", "tofu"))
	}
	return list
}

// ToolsDir is where tools are built: DAYBREAK_TOOLS, else in the user's cache.
func ToolsDir() (string, error) {
	if dir := os.Getenv("DAYBREAK_TOOLS"); dir != "" {
		return dir, nil
	}
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "daybreak-tools"), err
}

func identify(ctx context.Context, path string) (Tool, error) {
	cmd := exec.CommandContext(ctx, path, "version")
	cmd.Env = []string{"CHECKPOINT_DISABLE=1", "HOME=" + os.TempDir(), "PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if err != nil {
		return Tool{}, fmt.Errorf("%s version: %w", path, err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	name, version, ok := strings.Cut(strings.TrimSpace(first), " v")
	if !ok {
		return Tool{}, fmt.Errorf("%s version: cannot read %q", path, first)
	}
	return Tool{Name: name, Path: path, Version: version}, nil
}

// newEnough: import by configuration and check blocks came with 1.5.
func (t Tool) newEnough() bool {
	parts := strings.SplitN(t.Version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (major > 1 || (major == 1 && minor >= 5))
}
