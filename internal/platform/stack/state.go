package stack

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/daybreakdb/daybreak/internal/layout"
)

// PutState puts a state where Terraform finds it. Nil means: none yet.
func (r *Run) PutState(state []byte) error {
	if state == nil {
		return nil
	}
	return layout.WriteFile(r.path(stateFile), state, 0o600)
}

// State returns the state as the last command left it, or nil.
func (r *Run) State() ([]byte, error) { return readState(r.path(stateFile)) }

// LeftState returns the state that an interrupted run in dir left behind, or
// nil. A file that was cut off while it was written counts as none.
func LeftState(dir, path string) ([]byte, error) {
	return readState(filepath.Join(Files(dir), path, stateFile))
}

func readState(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && !json.Valid(data)) {
		return nil, nil
	}
	return data, err
}

// serial is a state's count of changes.
func serial(state []byte) (lineage string, n int64) {
	var s struct {
		Lineage string
		Serial  int64
	}
	_ = json.Unmarshal(state, &s)
	return s.Lineage, s.Serial
}

// Newer returns the later of two states of one deployment.
func Newer(kept, left []byte) []byte {
	if left == nil {
		return kept
	}
	if kept == nil {
		return left
	}
	keptLineage, keptSerial := serial(kept)
	leftLineage, leftSerial := serial(left)
	if keptLineage == leftLineage && leftSerial > keptSerial {
		return left
	}
	return kept
}
