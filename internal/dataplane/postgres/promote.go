package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Promote makes a standby a primary, on the timeline of that number, and waits
// until it takes writes. There is nothing to do on a primary. PostgreSQL takes the
// number after the newest it knows, so those between are made known to it: they
// become timelines of no length. 0 leaves the choice to PostgreSQL.
func (s Server) Promote(ctx context.Context, timeline int) error {
	return s.withConn(ctx, func(conn *pgx.Conn) error {
		asked := false
		for {
			var standby bool
			if err := conn.QueryRow(ctx, `SELECT pg_catalog.pg_is_in_recovery()`).Scan(&standby); err != nil {
				return fmt.Errorf("promote: %w", err)
			}
			if !standby {
				return nil
			}
			if !asked {
				if err := s.reserveTimelines(ctx, conn, timeline); err != nil {
					return fmt.Errorf("promote: %w", err)
				}
				if _, err := conn.Exec(ctx, `SELECT pg_catalog.pg_promote(false)`); err != nil {
					return fmt.Errorf("promote: %w", err)
				}
				asked = true
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("promote: %w", context.Cause(ctx))
			case <-time.After(pollInterval):
			}
		}
	})
}

// reserveTimelines writes history files for the numbers between the standby's
// timeline and the one that it is to make. Each forks off where the standby is.
func (s Server) reserveTimelines(ctx context.Context, conn *pgx.Conn, timeline int) error {
	st, err := QueryStatus(ctx, conn)
	if err != nil || timeline == 0 {
		return err
	}
	if timeline <= st.Timeline {
		return fmt.Errorf("timeline %d was to be made, the standby is on %d", timeline, st.Timeline)
	}
	root, err := os.OpenRoot(s.dataDir())
	if err != nil {
		return err
	}
	defer root.Close()
	line := fmt.Sprintf("%d\t%s\treserved\n", st.Timeline, st.ReplayLSN)
	past, err := root.ReadFile(historyFile(st.Timeline))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	content := strings.TrimRight(string(past), "\n") + "\n" + line
	for n := st.Timeline + 1; n < timeline; n++ {
		if err := s.writeHistory(root, n, strings.TrimLeft(content, "\n")); err != nil {
			return err
		}
	}
	return nil
}

func historyFile(timeline int) string {
	return filepath.Join("pg_wal", fmt.Sprintf("%08X.history", timeline))
}

func (s Server) writeHistory(root *os.Root, timeline int, content string) error {
	f, err := root.OpenFile(historyFile(timeline), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Chown(s.owner(), s.group()); err != nil {
		return err
	}
	if _, err := f.WriteString(content); err != nil {
		return err
	}
	return f.Sync()
}
