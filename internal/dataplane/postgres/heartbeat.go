package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
)

// Heartbeat commits a write on the server's own disk and returns where the write
// ends. It waits for no standby; Connect made conn, which is used for nothing else.
func Heartbeat(ctx context.Context, conn *pgx.Conn) (LSN, error) {
	const sql = `SELECT pg_catalog.set_config('synchronous_commit', 'local', true), pg_catalog.pg_logical_emit_message(true, 'daybreak', '')::text`
	var setting, text string
	if err := conn.QueryRow(ctx, sql).Scan(&setting, &text); err != nil {
		return 0, fmt.Errorf("heartbeat: %w", err)
	}
	return ParseLSN(text)
}

// RedoBytes is how much WAL the server would replay if it crashed now.
func RedoBytes(ctx context.Context, conn *pgx.Conn) (bytes int64, err error) {
	const sql = `SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), redo_lsn)::bigint FROM pg_catalog.pg_control_checkpoint()`
	if err = conn.QueryRow(ctx, sql).Scan(&bytes); err != nil {
		return 0, fmt.Errorf("WAL since the last checkpoint: %w", err)
	}
	return bytes, nil
}

// Barrier commits a transaction, which waits for the synchronous standby.
func Barrier(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, `SELECT pg_catalog.pg_logical_emit_message(true, 'daybreak', 'barrier')`); err != nil {
		return fmt.Errorf("barrier commit: %w", err)
	}
	return nil
}

// Accepts asks whether the postmaster still takes connections and starts
// processes for them: it has one answer a request for encryption.
func (s Server) Accepts(ctx context.Context) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", s.Socket())
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	sslRequest := []byte{0, 0, 0, 8, 4, 210, 22, 47}
	if _, err := conn.Write(sslRequest); err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		return errors.Join(errors.New("PostgreSQL does not answer new connections"), err)
	}
	return nil
}

// DropSlots drops the physical replication slots that a former primary left:
// nobody uses them, and they would keep WAL for ever.
func (s Server) DropSlots(ctx context.Context) error {
	return s.withConn(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_type = 'physical' AND NOT active`)
		return err
	})
}

// OpenTransactions counts client sessions that are not idle between transactions.
func OpenTransactions(ctx context.Context, conn *pgx.Conn) (n int, err error) {
	err = conn.QueryRow(ctx, `SELECT count(*) FROM pg_catalog.pg_stat_activity
		WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid() AND state <> 'idle'`).Scan(&n)
	return n, err
}
