package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// QuerySight looks at a running standby, and says whether it is being fed.
func QuerySight(ctx context.Context, conn *pgx.Conn) (seen Sight, streaming bool, err error) {
	var receive, replay string
	var lag float64
	err = conn.QueryRow(ctx, `
SELECT coalesce(receive::text, '0/0'), coalesce(replay::text, '0/0'),
	EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver WHERE status = 'streaming'),
	CASE WHEN receive > replay
		THEN coalesce(greatest(0, extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())), 0)
		ELSE 0 END::float8
FROM (SELECT pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn()) AS s (receive, replay)`).
		Scan(&receive, &replay, &streaming, &lag)
	if err != nil {
		return seen, false, fmt.Errorf("look at the standby: %w", err)
	}
	if seen.DurableLSN, err = ParseLSN(receive); err != nil {
		return seen, false, err
	}
	if seen.ReplayLSN, err = ParseLSN(replay); err != nil {
		return seen, false, err
	}
	seen.At, seen.Lag = time.Now(), time.Duration(lag*float64(time.Second))
	return seen, streaming, nil
}

// Damaged names the databases in which pages that were read failed their checksums
// since PostgreSQL's statistics began; empty: there are none. They end in a crash.
func Damaged(ctx context.Context, conn *pgx.Conn) (databases string, err error) {
	err = conn.QueryRow(ctx, `
SELECT coalesce(pg_catalog.string_agg(coalesce(datname::text, 'the shared catalogs'), ', ' ORDER BY datname), '')
FROM pg_catalog.pg_stat_database WHERE checksum_failures > 0`).Scan(&databases)
	if err != nil {
		return "", fmt.Errorf("pages that fail their checksums: %w", err)
	}
	return databases, nil
}
