package aurora

import "time"

// LogFile is a file of a server's log.
type LogFile struct {
	Name        string    `json:"name"` // postgresql.log.2026-01-31-1500
	Size        int64     `json:"size"` // bytes
	LastWritten time.Time `json:"lastWritten"`
}
