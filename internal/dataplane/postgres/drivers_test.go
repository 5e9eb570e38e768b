package postgres

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// What AWS's drivers ask, in their words: what they are connected to, which
// instances there are, and which of them writes.
const (
	driverPostgres = `SELECT 1 FROM pg_catalog.pg_proc LIMIT 1`
	driverRDS      = `SELECT (setting OPERATOR(pg_catalog.~~) '%rds_tools%') AS rds_tools, ` +
		`(setting OPERATOR(pg_catalog.~~) '%aurora_stat_utils%') AS aurora_stat_utils ` +
		`FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'rds.extensions'`
	driverAurora = `SELECT (setting OPERATOR(pg_catalog.~~) '%aurora_stat_utils%') AS aurora_stat_utils ` +
		`FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'rds.extensions'`
	driverHasTopology = `SELECT 1 FROM pg_catalog.aurora_replica_status() LIMIT 1`
	driverTopology    = `SELECT SERVER_ID, CASE WHEN SESSION_ID OPERATOR(pg_catalog.=) 'MASTER_SESSION_ID' THEN TRUE ELSE FALSE END, ` +
		`CPU, COALESCE(REPLICA_LAG_IN_MSEC, 0), LAST_UPDATE_TIMESTAMP ` +
		`FROM pg_catalog.aurora_replica_status() ` +
		`WHERE EXTRACT(EPOCH FROM(pg_catalog.NOW() OPERATOR(pg_catalog.-) LAST_UPDATE_TIMESTAMP)) OPERATOR(pg_catalog.<=) 300 ` +
		`OR SESSION_ID OPERATOR(pg_catalog.=) 'MASTER_SESSION_ID' OR LAST_UPDATE_TIMESTAMP IS NULL`
	driverIdentity = `SELECT pg_catalog.aurora_db_instance_identifier(), pg_catalog.aurora_db_instance_identifier()`
	driverWriter   = `SELECT SERVER_ID FROM pg_catalog.aurora_replica_status() ` +
		`WHERE SESSION_ID OPERATOR(pg_catalog.=) 'MASTER_SESSION_ID' ` +
		`AND SERVER_ID OPERATOR(pg_catalog.=) pg_catalog.aurora_db_instance_identifier()`
	driverReader  = `SELECT pg_catalog.pg_is_in_recovery()`
	driverMultiAZ = `SELECT 1 AS tmp FROM information_schema.routines WHERE routine_schema OPERATOR(pg_catalog.=) 'rds_tools' ` +
		`AND routine_name OPERATOR(pg_catalog.=) 'multi_az_db_cluster_source_dbi_resource_id'`
)

// Functions whose absence tells the drivers that the cluster is not global and in
// no blue/green deployment.
var driverAbsent = []string{
	`SELECT 'pg_catalog.aurora_global_db_status'::pg_catalog.regproc`,
	`select 'pg_catalog.aurora_global_db_instance_status'::pg_catalog.regproc`,
	`SELECT 'pg_catalog.get_blue_green_fast_switchover_metadata'::regproc`,
}

// topologyLine is driverTopology in one line: id=writer of every instance.
const topologyLine = `SELECT string_agg(id || '=' || writer, ' ' ORDER BY id) FROM (` + driverTopology + `) AS t (id, writer, cpu, lag, at)`

// answers runs a query and gives its rows, the columns of a row between slashes.
func answers(t *testing.T, conn *pgx.Conn, sql string) []string {
	t.Helper()
	results, err := conn.PgConn().Exec(testContext(t), sql).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	var rows []string
	for _, row := range results[0].Rows {
		var columns []string
		for _, column := range row {
			columns = append(columns, string(column))
		}
		rows = append(rows, strings.Join(columns, "/"))
	}
	slices.Sort(rows)
	return rows
}

// seen is what a driver makes of its connection.
func seen(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	var all []string
	for _, sql := range []string{driverPostgres, driverRDS, driverAurora, driverHasTopology, driverMultiAZ, driverIdentity, driverWriter, driverReader} {
		all = append(all, strings.Join(answers(t, conn, sql), ","))
	}
	for _, row := range answers(t, conn, driverTopology) {
		all = append(all, strings.Join(strings.SplitN(row, "/", 3)[:2], "/"))
	}
	return strings.Join(all, " ")
}

// TestDriversSeeAurora asks as a user without privileges, whose search path hides
// what it can, before and after a failover.
func TestDriversSeeAurora(t *testing.T) {
	dir := workDir(t)
	writer, process := newPrimary(t, dir)
	reader, _ := newStandby(t, dir, "reader", writer)
	for _, s := range []Server{writer, reader} {
		tell(t, s, topologyOf(s, writer, reader))
	}
	owner := master(t, writer, tenantDatabase)
	for _, sql := range []string{
		`CREATE ROLE app LOGIN PASSWORD 'x'`,
		`GRANT app TO app_owner`,
		`CREATE SCHEMA app AUTHORIZATION app`,
		`CREATE FUNCTION app.current_setting(text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT 'none' $$`,
		`CREATE FUNCTION app.aurora_db_instance_identifier() RETURNS varchar LANGUAGE sql AS $$ SELECT 'none' $$`,
		`CREATE VIEW app.pg_settings AS SELECT 'rds.extensions' AS name, 'none' AS setting`,
		`ALTER ROLE app SET search_path = app, pg_catalog`,
	} {
		mustExec(t, owner, sql)
	}
	replayed(t, reader, current(t, writer))
	onWriter := connect(t, writer, "app", "x", tenantDatabase)
	onReader := connect(t, reader, "app", "x", tenantDatabase)

	if got, want := seen(t, onWriter), "1 f/t t 1  demo-primary/demo-primary demo-primary f demo-primary/t demo-reader/f"; got != want {
		t.Errorf("on the writer a driver sees %s, want %s", got, want)
	}
	if got, want := seen(t, onReader), "1 f/t t 1  demo-reader/demo-reader  t demo-primary/t demo-reader/f"; got != want {
		t.Errorf("on the reader a driver sees %s, want %s", got, want)
	}
	for _, sql := range driverAbsent {
		refused(t, onWriter, noFunction, sql)
	}

	if err := process.Stop(testContext(t), StopFast, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := reader.Promote(testContext(t), 0); err != nil {
		t.Fatal(err)
	}
	// The session that was there, and a new one.
	for _, conn := range []*pgx.Conn{onReader, connect(t, reader, "app", "x", tenantDatabase)} {
		if got, want := seen(t, conn), "1 f/t t 1  demo-reader/demo-reader demo-reader f demo-primary/f demo-reader/t"; got != want {
			t.Errorf("after the failover a driver sees %s, want %s", got, want)
		}
	}
	if _, err := onWriter.Exec(testContext(t), driverPostgres); err == nil {
		t.Error("a session of the old writer goes on")
	}
}

func TestSettingsShowTheExtensionsThatCanBeCreated(t *testing.T) {
	s, _ := newPrimary(t, workDir(t))
	conn := master(t, s, tenantDatabase)
	list := value[string](t, conn, `SHOW rds.extensions`)
	for source, sql := range map[string]string{
		"pg_settings":     `SELECT setting FROM pg_settings WHERE name = 'rds.extensions'`,
		"current_setting": `SELECT current_setting('rds.extensions')`,
	} {
		if got := value[string](t, conn, sql); got != list {
			t.Errorf("%s says %q, SHOW %q", source, got, list)
		}
	}
	names := strings.Split(list, ", ")
	if !slices.Contains(names, "pgcrypto") || slices.Contains(names, "dblink") {
		t.Errorf("the extensions are %q", names)
	}
	listed := 0
	for _, name := range names {
		_, err := conn.Exec(testContext(t), `CREATE EXTENSION IF NOT EXISTS `+pgx.Identifier{name}.Sanitize())
		var refused *pgconn.PgError
		switch {
		case err == nil:
			listed++
		case name != auroraExtension || !errors.As(err, &refused) || refused.Code != "0A000":
			t.Errorf("%s is listed and cannot be created: %v", name, err)
		}
	}
	if n := value[int](t, conn, `SELECT count(DISTINCT name) FROM pg_available_extension_versions WHERE trusted OR NOT superuser`); n != listed {
		t.Errorf("%d extensions can be created and are listed, PostgreSQL knows %d", listed, n)
	}
}

// The view must stay what it was to everybody who does not know of Aurora.
func TestSettingsAreAsBefore(t *testing.T) {
	s, _ := newPrimary(t, workDir(t))
	conn := master(t, s, tenantDatabase)
	mustExec(t, conn, `CREATE ROLE app LOGIN PASSWORD 'x'`)
	app := connect(t, s, "app", "x", tenantDatabase)
	for name, test := range map[string]struct{ sql, want string }{
		"every row is PostgreSQL's but one": {`SELECT string_agg(name, ' ') FROM (TABLE pg_settings EXCEPT SELECT * FROM pg_show_all_settings()) AS more`, "rds.extensions"},
		"no row is missing":                 {`SELECT count(*)::text FROM (SELECT * FROM pg_show_all_settings() EXCEPT TABLE pg_settings) AS less`, "0"},
		"privileges are initdb's":           {`SELECT (relacl = initprivs)::text FROM pg_class JOIN pg_init_privs ON objoid = oid WHERE oid = 'pg_settings'::regclass`, "true"},
		"it is the system's own":            {`SELECT concat_ws(' ', oid < 16384, relowner::regrole, reloptions) FROM pg_class WHERE oid = 'pg_settings'::regclass`, "t rdsadmin"},
		"a row can be chosen for update":    {`SELECT setting FROM pg_settings WHERE name = 'port' FOR UPDATE`, "5432"},
	} {
		if got := value[string](t, app, test.sql); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	mustExec(t, app, `UPDATE pg_settings SET setting = '7MB' WHERE name = 'work_mem'`)
	if got := value[string](t, app, `SHOW work_mem`); got != "7MB" {
		t.Errorf("after UPDATE pg_settings work_mem is %s", got)
	}
	refused(t, app, denied, `UPDATE pg_settings SET setting = 'none' WHERE name = 'log_statement'`)
	// Whoever asks for another setting does not pay for ours.
	for _, line := range answers(t, app, `EXPLAIN SELECT * FROM pg_settings WHERE name = 'work_mem'`) {
		if strings.Contains(line, "current_setting") || strings.Contains(line, "Append") {
			t.Errorf("the plan says %s", line)
		}
	}
}

func TestControlFilesSayWhoMayCreateAnExtension(t *testing.T) {
	for name, test := range map[string]struct {
		control string
		want    bool
	}{
		"superusers only":  {"comment = 'x'\nmodule_pathname = '$libdir/x'\n", false},
		"trusted":          {"comment = 'x'\ntrusted = true\n", true},
		"trusted, quoted":  {"trusted='on'", true},
		"not trusted":      {"trusted = false\n", false},
		"commented out":    {"# trusted = true\n", false},
		"in the comment":   {"comment = 'trusted = true'\n", false},
		"needs nothing":    {"superuser = false # all SQL\n", true},
		"needs superuser":  {"superuser = true\n", false},
		"nothing at all":   {"", false},
		"a longer keyword": {"trusted_by = true\n", false},
	} {
		if got := forEverybody(test.control); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
