package provider

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/daybreakdb/daybreak/internal/layout"
)

// registries are the hosts under which Terraform and OpenTofu look for hashicorp's providers.
var registries = [...]string{"registry.terraform.io", "registry.opentofu.org"}

// WriteMirror writes a file system mirror for the provider_installation block of Terraform's CLI configuration: in place
// of each provider stands a script that runs "daybreak provider NAME". What is right already stays untouched, and
// a file is replaced as a whole, so that it may be called at any time, also while Terraform runs.
func WriteMirror(dir, daybreakBinary string) error {
	binary, err := filepath.Abs(daybreakBinary)
	if err != nil {
		return fmt.Errorf("provider mirror: %w", err)
	}
	for _, host := range registries {
		for _, s := range sources() {
			folder := filepath.Join(dir, host, "hashicorp", s.name, s.version, runtime.GOOS+"_"+runtime.GOARCH)
			script := fmt.Sprintf("#!/bin/sh\nexec %s provider %s\n", quote(binary), s.name)
			if err := writeScript(folder, "terraform-provider-"+s.name+"_v"+s.version, script); err != nil {
				return fmt.Errorf("provider mirror: %w", err)
			}
		}
	}
	return nil
}

// quote makes one word of the shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func writeScript(folder, name, script string) error {
	path := filepath.Join(folder, name)
	if there, err := os.ReadFile(path); err == nil && string(there) == script {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o111 != 0 {
			return nil
		}
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return layout.WriteFile(path, []byte(script), 0o755)
}
