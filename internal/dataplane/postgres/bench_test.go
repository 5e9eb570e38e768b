package postgres

import (
	"path/filepath"
	"testing"
)

// BenchmarkServer measures what a new DB cluster waits for: its first server, and
// a reader.
func BenchmarkServer(b *testing.B) {
	b.Run("init and start", func(b *testing.B) {
		for b.Loop() {
			newPrimary(b, workDir(b))
		}
	})
	b.Run("copy and start", func(b *testing.B) {
		dir := workDir(b)
		primary, _ := newPrimary(b, dir)
		for b.Loop() {
			newStandby(b, dir, filepath.Base(workDir(b)), primary)
		}
	})
}
