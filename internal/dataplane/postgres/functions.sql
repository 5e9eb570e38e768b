-- Aurora's SQL functions, for pg_catalog of every database. What they say that
-- PostgreSQL does not know is in topology.json, beside the data directory.
--
-- They run as the superuser, so nothing of the caller's may decide what they do:
-- names are looked up in pg_catalog first, and the caller's temporary types, which
-- would else come before it, last; paths start from where the server works, which
-- no session can change.

CREATE FUNCTION pg_catalog.aurora_version() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT file.version FROM jsonb_to_record(pg_read_file('../topology.json')::jsonb) AS file (version text);
END;

CREATE FUNCTION pg_catalog.aurora_db_instance_identifier() RETURNS varchar
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT file.server_id FROM jsonb_to_record(pg_read_file('../topology.json')::jsonb) AS file (server_id varchar);
END;

CREATE FUNCTION pg_catalog.aurora_show_volume_status(OUT disks integer, OUT nodes integer) RETURNS record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT file.disks, file.nodes FROM jsonb_to_record(pg_read_file('../topology.json')::jsonb) AS file (disks integer, nodes integer);
END;

-- A row says the best that is known here: of the server itself what it sees now, of
-- a standby that is connected to it what that one told last, of others the file's.
-- Which server writes follows from recovery, so that it is right from the moment of
-- a promotion: who is a primary is the writer and sees no other.
-- In PL/pgSQL, whose sessions plan the query once: drivers ask often.
CREATE FUNCTION pg_catalog.aurora_replica_status(
	OUT server_id text,
	OUT session_id text,
	OUT durable_lsn bigint,
	OUT highest_lsn_rcvd bigint,
	OUT current_read_lsn bigint,
	OUT cur_replay_latency_in_usec bigint,
	OUT active_txns integer,
	OUT is_current boolean,
	OUT last_transport_error integer,
	OUT last_error_timestamp timestamptz,
	OUT last_update_timestamp timestamptz,
	OUT feedback_xmin bigint,
	OUT feedback_epoch integer,
	OUT replica_lag_in_msec double precision,
	OUT log_stream_speed_in_kib_per_second double precision,
	OUT log_buffer_sequence_number bigint,
	OUT oldest_read_view_trx_id bigint,
	OUT oldest_read_view_lsn bigint,
	OUT pending_read_ios bigint,
	OUT read_ios bigint,
	OUT iops integer,
	OUT cpu double precision)
RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 16 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH me AS MATERIALIZED (
		SELECT file.server_id, file.members, state.standby,
			CASE WHEN standby THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_flush_lsn() END AS durable,
			CASE WHEN standby THEN pg_last_wal_replay_lsn() END AS replayed,
			CASE WHEN standby THEN pg_last_xact_replay_timestamp() END AS replayed_at,
			EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') AS streaming
		FROM jsonb_to_record(pg_read_file('../topology.json')::jsonb) AS file (server_id text, members jsonb),
			(SELECT pg_is_in_recovery()) AS state (standby)
	)
	SELECT
		m.server_id,
		CASE WHEN role.writer THEN 'MASTER_SESSION_ID' ELSE md5(m.name)::uuid::text END,
		(s.durable - '0/0')::bigint,
		CASE WHEN NOT role.writer THEN (s.durable - '0/0')::bigint END,
		CASE WHEN NOT role.writer THEN (s.replayed - '0/0')::bigint END,
		NULL::bigint,
		s.active_txns,
		true,
		NULL::integer,
		NULL::timestamptz,
		s.at,
		s.xmin::text::bigint,
		NULL::integer,
		CASE WHEN NOT role.writer THEN s.lag END,
		NULL::double precision,
		NULL::bigint,
		NULL::bigint,
		NULL::bigint,
		NULL::bigint,
		s.read_ios,
		NULL::integer,
		m.cpu
	FROM me
	CROSS JOIN jsonb_to_recordset(me.members) AS m (server_id text, name text, writer boolean, durable_lsn pg_lsn,
		replay_lsn pg_lsn, lag_in_msec double precision, at timestamptz, cpu double precision)
	CROSS JOIN LATERAL (
		SELECT CASE WHEN m.server_id = me.server_id THEN NOT me.standby ELSE me.standby AND coalesce(m.writer, false) END
	) AS role (writer)
	CROSS JOIN LATERAL (
		SELECT 1 AS rank, me.durable, me.replayed, clock_timestamp() AS at, NULL::xid AS xmin,
			CASE WHEN me.streaming AND me.durable <= me.replayed THEN 0
				WHEN me.replayed_at IS NOT NULL THEN greatest(0, 1000 * extract(epoch FROM clock_timestamp() - me.replayed_at))
				END::double precision AS lag,
			(SELECT count(*) FROM pg_stat_get_activity(NULL) AS a WHERE a.xact_start IS NOT NULL AND a.backend_type = 'client backend')::integer AS active_txns,
			(SELECT sum(blks_read) FROM pg_stat_database)::bigint AS read_ios
		WHERE m.server_id = me.server_id
		UNION ALL
		SELECT 2, r.flush_lsn, r.replay_lsn, r.reply_time, r.backend_xmin,
			CASE WHEN r.replay_lsn >= me.durable THEN 0 ELSE 1000 * extract(epoch FROM r.replay_lag) END::double precision, NULL, NULL
		FROM pg_stat_replication AS r
		WHERE r.application_name = m.name AND r.reply_time IS NOT NULL
		UNION ALL
		SELECT 3, m.durable_lsn, m.replay_lsn, m.at, NULL, m.lag_in_msec, NULL, NULL
		ORDER BY rank, at DESC
		LIMIT 1
	) AS s;
END $$;

-- Requests for faults are left for the node, in inject/ beside the data directory;
-- the last one of a kind counts. The functions named daybreak_ are for nobody but
-- those below.
CREATE FUNCTION pg_catalog.daybreak_request_fault(kind text, request jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('COPY (SELECT %L) TO %L', request, current_setting('data_directory') || '/../inject/' || kind);
END $$;

CREATE FUNCTION pg_catalog.daybreak_check_fault(percentage_of_failure double precision, time_interval integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF (percentage_of_failure BETWEEN 0 AND 100) IS NOT TRUE THEN
		RAISE invalid_parameter_value USING MESSAGE = 'percentage_of_failure must be between 0 and 100';
	END IF;
	IF (time_interval > 0) IS NOT TRUE THEN
		RAISE invalid_parameter_value USING MESSAGE = 'time_interval must be a positive number of seconds';
	END IF;
END $$;

CREATE FUNCTION pg_catalog.daybreak_check_disk(index integer, is_disk boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	things text := CASE WHEN is_disk THEN 'logical blocks' ELSE 'storage nodes' END;
	number integer := (SELECT coalesce(CASE WHEN is_disk THEN disks ELSE nodes END, 0) FROM aurora_show_volume_status());
BEGIN
	IF is_disk IS NULL THEN
		RAISE invalid_parameter_value USING MESSAGE = 'is_disk must be true for a logical block or false for a storage node';
	END IF;
	IF number = 0 THEN
		RAISE object_not_in_prerequisite_state USING MESSAGE = format('the volume of this DB cluster has no %s', things);
	END IF;
	IF (index BETWEEN 0 AND number - 1) IS NOT TRUE THEN
		RAISE invalid_parameter_value USING MESSAGE = format('index of %s must be between 0 and %s', things, number - 1);
	END IF;
END $$;

CREATE FUNCTION pg_catalog.aurora_inject_crash(crash_type text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF (lower(crash_type) IN ('instance', 'dispatcher', 'node')) IS NOT TRUE THEN
		RAISE invalid_parameter_value USING MESSAGE = 'crash type must be ''instance'', ''dispatcher'' or ''node''';
	END IF;
	PERFORM daybreak_request_fault('crash', jsonb_build_object('crash_type', lower(crash_type)));
END $$;

CREATE FUNCTION pg_catalog.aurora_inject_replica_failure(percentage_of_failure double precision, time_interval integer, replica_name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	replicas text[] := ARRAY(SELECT server_id FROM aurora_replica_status() WHERE session_id <> 'MASTER_SESSION_ID' ORDER BY server_id);
BEGIN
	PERFORM daybreak_check_fault(percentage_of_failure, time_interval);
	IF cardinality(replicas) = 0 THEN
		RAISE object_not_in_prerequisite_state USING MESSAGE = 'this DB cluster has no Aurora Replica';
	END IF;
	IF (replica_name = '' OR replica_name = ANY (replicas)) IS NOT TRUE THEN
		RAISE invalid_parameter_value USING
			MESSAGE = format('there is no Aurora Replica %L', replica_name),
			HINT = 'Aurora Replicas are ' || array_to_string(replicas, ', ') || '; an empty string means all of them.';
	END IF;
	PERFORM daybreak_request_fault('replica_failure', jsonb_build_object('percentage_of_failure', percentage_of_failure,
		'time_interval', time_interval, 'replica_name', replica_name));
END $$;

CREATE FUNCTION pg_catalog.aurora_inject_disk_failure(percentage_of_failure double precision, index integer, is_disk boolean, time_interval integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM daybreak_check_fault(percentage_of_failure, time_interval);
	PERFORM daybreak_check_disk(index, is_disk);
	PERFORM daybreak_request_fault('disk_failure', jsonb_build_object('percentage_of_failure', percentage_of_failure,
		'index', index, 'is_disk', is_disk, 'time_interval', time_interval));
END $$;

CREATE FUNCTION pg_catalog.aurora_inject_disk_congestion(percentage_of_failure double precision, index integer, is_disk boolean, time_interval integer,
	minimum double precision, maximum double precision) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM daybreak_check_fault(percentage_of_failure, time_interval);
	PERFORM daybreak_check_disk(index, is_disk);
	IF (minimum >= 0 AND maximum <= 100 AND maximum > minimum) IS NOT TRUE THEN
		RAISE invalid_parameter_value USING MESSAGE = 'minimum and maximum must be between 0.0 and 100.0 milliseconds, and maximum above minimum';
	END IF;
	PERFORM daybreak_request_fault('disk_congestion', jsonb_build_object('percentage_of_failure', percentage_of_failure,
		'index', index, 'is_disk', is_disk, 'time_interval', time_interval, 'minimum', minimum, 'maximum', maximum));
END $$;

-- What is said here belongs to the system, so that pg_dump leaves it out.
REVOKE EXECUTE ON FUNCTION
	pg_catalog.daybreak_request_fault, pg_catalog.daybreak_check_fault, pg_catalog.daybreak_check_disk, pg_catalog.aurora_inject_crash,
	pg_catalog.aurora_inject_replica_failure, pg_catalog.aurora_inject_disk_failure, pg_catalog.aurora_inject_disk_congestion
FROM PUBLIC;

GRANT EXECUTE ON FUNCTION pg_catalog.aurora_inject_crash, pg_catalog.aurora_inject_replica_failure,
	pg_catalog.aurora_inject_disk_failure, pg_catalog.aurora_inject_disk_congestion
TO rds_superuser;

INSERT INTO pg_catalog.pg_init_privs (objoid, classoid, objsubid, privtype, initprivs)
SELECT oid, 'pg_catalog.pg_proc'::pg_catalog.regclass, 0, 'i', proacl
FROM pg_catalog.pg_proc
WHERE pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND proname IN (
	'daybreak_request_fault', 'daybreak_check_fault', 'daybreak_check_disk', 'aurora_inject_crash',
	'aurora_inject_replica_failure', 'aurora_inject_disk_failure', 'aurora_inject_disk_congestion');
