package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/daybreakdb/daybreak/internal/dataplane/contain"
)

// box is what the server may see and use: PostgreSQL, its own directories, and the
// sockets of whom it follows. The only program is postgres itself: no shell.
func (s Server) box() (contain.Box, error) {
	run, err := contain.Program(s.path("postgres"))
	if err != nil {
		return contain.Box{}, err
	}
	return contain.Box{
		Run:   run,
		Read:  append(s.Installation.files(), s.Dir),
		Write: []string{s.dataDir(), s.LogDir(), s.SocketDir, s.injectDir()},
		Reach: s.Reach,
	}, nil
}

// files are those of the installation, wherever it is.
func (i Installation) files() []string {
	return []string{i.BinDir, i.LibDir, i.ShareDir, filepath.Join(filepath.Dir(i.BinDir), "lib")}
}

// runContained runs a program to its end. postgres, which loads the libraries that a
// tenant has chosen, sees the directory that it works in; PostgreSQL's other
// programs, and the shell that initdb runs, do as they are told by us.
func (s Server) runContained(cmd *exec.Cmd) error {
	box := contain.Box{Run: []string{"/"}, Write: []string{"/"}, SameFiles: true}
	if cmd.Path == s.path("postgres") {
		run, err := contain.Program(cmd.Path)
		if err != nil {
			return err
		}
		if slices.Contains(cmd.Args, noArchive) { // PostgreSQL asks the shell to run that
			shell, err := contain.Program("/bin/sh")
			if err != nil {
				return err
			}
			run = append(run, shell...)
		}
		box = contain.Box{Run: run, Read: append(s.Installation.files(), s.Dir), Write: []string{cmd.Dir}, SameFiles: true}
	}
	return box.Do(cmd.Run)
}

// limit bounds what a server that was just started may use.
func (s Server) limit(pid int) error {
	if s.Limits == (contain.Limits{}) {
		return nil
	}
	return contain.Limit(s.controlGroup(), pid, s.Limits)
}

// controlGroup is a name that no other server has.
func (s Server) controlGroup() string {
	sum := sha256.Sum256([]byte(s.Dir))
	return s.Name + "-" + hex.EncodeToString(sum[:4])
}
