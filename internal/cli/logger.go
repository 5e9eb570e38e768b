package cli

import (
	"log/slog"
	"os"
)

// newLogger is for the supervisor, whose standard error is its log file.
func newLogger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("process", "supervisor")
}
