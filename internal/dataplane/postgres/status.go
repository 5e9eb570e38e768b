package postgres

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// Status is what a running server says of itself.
type Status struct {
	Standby          bool
	SystemIdentifier string
	Timeline         int
	Version          string // 15.18
	StartTime        time.Time
	SharedBuffers    int64 // bytes
	MaxConnections   int
	PendingRestart   []string // settings that wait for a restart

	// StandbyName is whom commits wait for (synchronous_standby_names).
	StandbyName string

	CurrentLSN LSN // a primary's: written and synced
	ReceiveLSN LSN // a standby's: received and synced since it last started
	ReplayLSN  LSN // a standby's
	// Streaming says whether a standby's WAL receiver is connected.
	Streaming bool
	// ReplayLag is the age of the last transaction that a standby has replayed,
	// while it has WAL left to replay; else 0.
	ReplayLag time.Duration
}

// Status asks the running server.
func (s Server) Status(ctx context.Context) (Status, error) {
	var st Status
	err := s.withConn(ctx, func(conn *pgx.Conn) (err error) {
		st, err = QueryStatus(ctx, conn)
		return err
	})
	return st, err
}

// QueryStatus is Status on a connection that Connect made, for those who ask often.
func QueryStatus(ctx context.Context, conn *pgx.Conn) (Status, error) {
	var (
		st                       Status
		current, receive, replay string
		timeline                 string
		lag                      float64
	)
	err := conn.QueryRow(ctx, statusSQL).Scan(&st.Standby, &st.SystemIdentifier, &timeline, &st.Version, &st.StartTime,
		&st.SharedBuffers, &st.MaxConnections, &st.PendingRestart, &st.StandbyName, &current, &receive, &replay, &st.Streaming, &lag)
	if err != nil {
		return Status{}, fmt.Errorf("ask PostgreSQL for its status: %w", err)
	}
	tli, err := strconv.ParseInt(timeline, 16, 64)
	if err != nil {
		return Status{}, fmt.Errorf("timeline %q: %w", timeline, err)
	}
	st.Timeline = int(tli)
	for _, position := range []struct {
		text string
		lsn  *LSN
	}{{current, &st.CurrentLSN}, {receive, &st.ReceiveLSN}, {replay, &st.ReplayLSN}} {
		if position.text == "" {
			continue
		}
		if *position.lsn, err = ParseLSN(position.text); err != nil {
			return Status{}, err
		}
	}
	st.ReplayLag = time.Duration(lag * float64(time.Second))
	return st, nil
}

// A primary's timeline is in the names of its WAL files; pg_control learns of it
// a checkpoint later. Settings come from the function below pg_settings: the view is
// made for clients, and looking at it costs more than what is asked here.
const statusSQL = `
SELECT standby,
	(SELECT system_identifier::text FROM pg_catalog.pg_control_system()),
	CASE WHEN standby
		THEN pg_catalog.to_hex(coalesce((SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver), (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())))
		ELSE pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) END,
	(pg_catalog.current_setting('server_version_num')::int / 10000) || '.' || (pg_catalog.current_setting('server_version_num')::int % 10000),
	pg_catalog.pg_postmaster_start_time(),
	pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers')),
	pg_catalog.current_setting('max_connections')::int,
	ARRAY(SELECT name FROM pg_catalog.pg_show_all_settings() WHERE pending_restart ORDER BY name),
	pg_catalog.current_setting('synchronous_standby_names'),
	CASE WHEN standby THEN '' ELSE pg_catalog.pg_current_wal_flush_lsn()::text END,
	coalesce(receive::text, ''),
	coalesce(replay::text, ''),
	EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver WHERE status = 'streaming'),
	CASE WHEN standby AND receive > replay
		THEN coalesce(greatest(0, extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())), 0)
		ELSE 0 END::float8
FROM (SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn()) AS s (standby, receive, replay)`
