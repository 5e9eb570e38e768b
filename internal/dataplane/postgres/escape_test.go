package postgres

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	denied     = "42501"
	dependent  = "2BP01"
	invalid    = "22023"
	noAuth     = "28000"
	badAuth    = "28P01"
	noFunction = "42883"
)

// An attempt is what a tenant may try: all steps but the last may work, the last
// must be refused with code (denied when empty).
type attempt struct {
	steps []string
	code  string
}

func one(sql string) attempt { return attempt{steps: []string{sql}} }

// waysOut lead from the master user to programs, files, superusers, credentials,
// our database or replication.
func waysOut() map[string]attempt {
	return map[string]attempt{
		"program role granted to oneself":     one(`GRANT pg_execute_server_program TO app_owner`),
		"file reading role granted":           one(`GRANT pg_read_server_files TO app_owner`),
		"file writing role granted":           one(`GRANT pg_write_server_files TO app_owner`),
		"program role with admin option":      one(`GRANT pg_execute_server_program TO rds_superuser WITH ADMIN OPTION`),
		"new role in the program role":        one(`CREATE ROLE evil IN ROLE pg_execute_server_program`),
		"new group in the program role":       one(`CREATE ROLE evil IN GROUP pg_read_server_files`),
		"set role to the program role":        one(`SET ROLE pg_execute_server_program`),
		"program role renamed":                {[]string{`ALTER ROLE pg_execute_server_program RENAME TO harmless`}, "42939"},
		"program role dropped":                {[]string{`DROP ROLE pg_execute_server_program`}, denied},
		"copy to program":                     one(`COPY (SELECT 1) TO PROGRAM 'touch /tmp/pwned'`),
		"copy from program":                   {[]string{`CREATE TABLE out1 (x text)`, `COPY out1 FROM PROGRAM 'id'`}, denied},
		"copy from file":                      {[]string{`CREATE TABLE out2 (x text)`, `COPY out2 FROM '/etc/passwd'`}, denied},
		"copy to file":                        one(`COPY (SELECT 1) TO '/tmp/pwned'`),
		"copy in a definer function":          {[]string{`CREATE FUNCTION c() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN COPY (SELECT 1) TO PROGRAM 'id'; END $$`, `SELECT c()`}, denied},
		"read a file":                         one(`SELECT pg_read_file('/etc/passwd')`),
		"read a binary file":                  one(`SELECT pg_read_binary_file('global/pg_control')`),
		"list a directory":                    one(`SELECT pg_ls_dir('/')`),
		"stat a file":                         one(`SELECT pg_stat_file('/etc/passwd')`),
		"import a large object":               one(`SELECT lo_import('/etc/passwd')`),
		"export a large object":               one(`SELECT lo_export(1, '/tmp/pwned')`),
		"hba rules":                           one(`SELECT * FROM pg_hba_file_rules`),
		"configuration files":                 one(`SELECT * FROM pg_file_settings`),
		"reload":                              one(`SELECT pg_reload_conf()`),
		"rotate the log":                      one(`SELECT pg_rotate_logfile()`),
		"tablespace":                          one(`CREATE TABLESPACE t LOCATION '/tmp'`),
		"alter system":                        one(`ALTER SYSTEM SET archive_command = 'id'`),
		"load a library":                      one(`LOAD '/tmp/evil.so'`),
		"load an installed library":           one(`LOAD 'auto_explain'`),
		"preload for a role":                  one(`ALTER ROLE app_owner SET session_preload_libraries = 'x'`),
		"preload for a database":              one(`ALTER DATABASE demo SET session_preload_libraries = 'x'`),
		"library path":                        one(`SET dynamic_library_path = '/tmp'`),
		"C function":                          one(`CREATE FUNCTION sys(text) RETURNS int LANGUAGE c AS 'libc.so.6', 'system'`),
		"internal function":                   one(`CREATE FUNCTION f(text) RETURNS text LANGUAGE internal AS 'pg_read_file_all'`),
		"untrusted language":                  {[]string{`CREATE EXTENSION plpython3u`}, "0A000"},
		"trusted language to untrusted":       one(`CREATE LANGUAGE evil HANDLER plpgsql_call_handler`),
		"extension file_fdw":                  one(`CREATE EXTENSION file_fdw`),
		"extension adminpack":                 one(`CREATE EXTENSION adminpack`),
		"extension dblink":                    one(`CREATE EXTENSION dblink`),
		"extension postgres_fdw":              one(`CREATE EXTENSION postgres_fdw`),
		"extension pageinspect":               one(`CREATE EXTENSION pageinspect`),
		"extension pg_walinspect":             one(`CREATE EXTENSION pg_walinspect`),
		"extension pg_surgery":                one(`CREATE EXTENSION pg_surgery`),
		"foreign data wrapper":                one(`CREATE FOREIGN DATA WRAPPER evil`),
		"event trigger":                       {[]string{`CREATE FUNCTION et() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'`, `CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION et()`}, denied},
		"base type":                           one(`CREATE TYPE evil`),
		"binary cast":                         one(`CREATE CAST (bytea AS text) WITHOUT FUNCTION`),
		"operator class":                      one(`CREATE OPERATOR CLASS evil FOR TYPE int4 USING btree AS STORAGE int4`),
		"access method":                       one(`CREATE ACCESS METHOD evil TYPE TABLE HANDLER heap_tableam_handler`),
		"text search template":                one(`CREATE TEXT SEARCH TEMPLATE evil (LEXIZE = dsimple_lexize)`),
		"leakproof function":                  one(`CREATE FUNCTION leak(text) RETURNS bool LANGUAGE sql LEAKPROOF AS 'SELECT true'`),
		"security label":                      {[]string{`SECURITY LABEL ON ROLE rdsadmin IS 'x'`}, invalid},
		"catalog table changed":               one(`UPDATE pg_catalog.pg_authid SET rolsuper = true`),
		"catalog changed as a data writer":    {[]string{`GRANT pg_write_all_data TO app_owner`, `UPDATE pg_catalog.pg_authid SET rolsuper = true`}, denied},
		"catalog locked as a data writer":     {[]string{`GRANT pg_write_all_data TO app_owner`, `DO $$ BEGIN LOCK TABLE pg_catalog.pg_authid IN ACCESS EXCLUSIVE MODE; END $$`}, denied},
		"function put into pg_catalog":        one(`CREATE FUNCTION pg_catalog.now2() RETURNS int LANGUAGE sql AS 'SELECT 1'`),
		"table put into pg_catalog":           one(`CREATE TABLE pg_catalog.evil (x int)`),
		"settings view replaced":              one(`CREATE OR REPLACE VIEW pg_catalog.pg_settings AS SELECT 1 AS name`),
		"rule for the settings view":          one(`CREATE RULE evil AS ON UPDATE TO pg_catalog.pg_settings DO SELECT 1`),
		"settings view owned":                 one(`ALTER VIEW pg_catalog.pg_settings OWNER TO app_owner`),
		"system table mods":                   one(`SET allow_system_table_mods = on`),
		"read password verifiers":             one(`SELECT rolpassword FROM pg_catalog.pg_authid`),
		"read pg_shadow":                      one(`SELECT passwd FROM pg_catalog.pg_shadow`),
		"become superuser":                    one(`ALTER ROLE app_owner SUPERUSER`),
		"bypass row security":                 one(`ALTER ROLE app_owner BYPASSRLS`),
		"become a replication role":           one(`ALTER ROLE app_owner REPLICATION`),
		"new superuser":                       one(`CREATE ROLE evil SUPERUSER`),
		"new replication role":                one(`CREATE ROLE evil REPLICATION`),
		"new role that bypasses row security": one(`CREATE ROLE evil BYPASSRLS`),
		"set role rdsadmin":                   one(`SET ROLE rdsadmin`),
		"set session authorization":           one(`SET SESSION AUTHORIZATION rdsadmin`),
		"member of rdsadmin":                  one(`GRANT rdsadmin TO app_owner`),
		"new role in rdsadmin":                one(`CREATE ROLE evil IN ROLE rdsadmin`),
		"password of rdsadmin":                one(`ALTER ROLE rdsadmin PASSWORD 'x'`),
		"settings of rdsadmin":                one(`ALTER ROLE rdsadmin SET search_path = evil`),
		"settings of all roles":               one(`ALTER ROLE ALL SET search_path = evil`),
		"rename rdsadmin":                     one(`ALTER ROLE rdsadmin RENAME TO evil`),
		"drop rdsadmin":                       one(`DROP ROLE rdsadmin`),
		"objects of rdsadmin":                 one(`REASSIGN OWNED BY rdsadmin TO app_owner`),
		"drop what rdsadmin owns":             one(`DROP OWNED BY rdsadmin`),
		"default privileges of rdsadmin":      one(`ALTER DEFAULT PRIVILEGES FOR ROLE rdsadmin GRANT ALL ON TABLES TO PUBLIC`),
		"rdsadmin owns a function of mine":    {[]string{`CREATE FUNCTION own() RETURNS void LANGUAGE sql SECURITY DEFINER AS ''`, `ALTER FUNCTION own() OWNER TO rdsadmin`}, denied},
		"member of rdsrepladmin":              one(`GRANT rdsrepladmin TO app_owner`),
		"password of rdsrepladmin":            one(`ALTER ROLE rdsrepladmin PASSWORD 'x'`),
		"rename rdsrepladmin":                 one(`ALTER ROLE rdsrepladmin RENAME TO evil`),
		"drop rdsrepladmin":                   one(`DROP ROLE rdsrepladmin`),
		"limit rdsrepladmin":                  one(`ALTER ROLE rdsrepladmin CONNECTION LIMIT 0`),
		"superuser by rds_superuser":          one(`ALTER ROLE rds_superuser SUPERUSER`),
		"drop rds_superuser":                  {[]string{`DROP ROLE rds_superuser`}, dependent},
		"drop rds_superuser, emptied first":   {[]string{`DROP OWNED BY rds_superuser`, `DROP ROLE rds_superuser`}, dependent},
		"drop rds_iam":                        {[]string{`DROP ROLE rds_iam`}, dependent},
		"end rdsadmin's session":              one(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rdsadmin'`),
		"end a walsender":                     one(`SELECT pg_terminate_backend(pid) FROM pg_stat_replication`),
		"end the autovacuum launcher":         one(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'autovacuum launcher'`),
		"drop our database":                   one(`DROP DATABASE rdsadmin`),
		"rename our database":                 one(`ALTER DATABASE rdsadmin RENAME TO evil`),
		"own our database":                    one(`ALTER DATABASE rdsadmin OWNER TO app_owner`),
		"settings of our database":            one(`ALTER DATABASE rdsadmin SET search_path = evil`),
		"settings of all in our database":     one(`ALTER ROLE ALL IN DATABASE rdsadmin SET search_path = evil`),
		"give a database to rdsadmin":         one(`ALTER DATABASE demo OWNER TO rdsadmin`),
		"schema of rdsadmin":                  one(`CREATE SCHEMA evil AUTHORIZATION rdsadmin`),
		"copy our database":                   one(`CREATE DATABASE evil TEMPLATE rdsadmin`),
		"right to connect to our database":    one(`GRANT CONNECT ON DATABASE rdsadmin TO app_owner`),
		"subscription":                        one(`CREATE SUBSCRIPTION evil CONNECTION 'host=/' PUBLICATION p WITH (connect = false)`),
		"publication of all tables":           one(`CREATE PUBLICATION evil FOR ALL TABLES`),
		"physical slot":                       one(`SELECT pg_create_physical_replication_slot('evil', true)`),
		"logical slot":                        one(`SELECT pg_create_logical_replication_slot('evil', 'test_decoding')`),
		"replication origin":                  one(`SELECT pg_replication_origin_create('evil')`),
		"promote":                             one(`SELECT pg_promote()`),
		"backup":                              one(`SELECT pg_backup_start('evil')`),
		"switch WAL":                          one(`SELECT pg_switch_wal()`),
		"pause replay":                        one(`SELECT pg_wal_replay_pause()`),
		"grant a function of superusers":      one(`GRANT EXECUTE ON FUNCTION pg_read_file(text) TO app_owner`),
		"archive command":                     one(`SET archive_command = 'id'`),
		"log to another place":                one(`SET log_directory = '/tmp'`),
		"superuser setting":                   one(`SET log_statement = 'none'`),
		"superuser setting of a role":         one(`ALTER ROLE app_owner SET log_statement = 'none'`),
		"right to a superuser setting":        one(`GRANT SET ON PARAMETER log_statement TO app_owner`),
	}
}

func TestInvariant11TenantReachesNoFileProgramOrCredential(t *testing.T) {
	dir := workDir(t)
	s, _ := newPrimary(t, dir)
	newStandby(t, dir, "standby", s) // whose walsender a tenant must not end
	admin, err := s.Connect(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.WithoutCancel(t.Context())) }()
	conn := master(t, s, tenantDatabase)
	for name, way := range waysOut() {
		code, step := try(t, conn, way.steps)
		want := way.code
		if want == "" {
			want = denied
		}
		// A setting of superusers is refused as one that cannot be changed now when
		// nobody could change it in a session.
		if code != want && !(strings.HasPrefix(way.steps[0], "SET ") && code == "55P02") {
			t.Errorf("%s: %s: SQLSTATE %q, want %q", name, step, code, want)
		}
	}
	// PostgreSQL shows verifiers to whom it shows all data. Ours are of random
	// secrets, and a verifier logs nobody in.
	mustExec(t, conn, `GRANT pg_read_all_data TO app_owner`)
	seen := value[string](t, conn, `SELECT string_agg(rolpassword, ' ') FROM pg_authid WHERE rolname IN ('rdsadmin', 'rdsrepladmin')`)
	if strings.Count(seen, "SCRAM-SHA-256$") != 2 || strings.Contains(seen, s.AdminPassword) {
		t.Error("our roles have something else than a SCRAM verifier")
	}
	if super := value[string](t, conn, `SELECT string_agg(rolname, ' ' ORDER BY rolname COLLATE "C") FROM pg_roles WHERE rolsuper`); super !=
		"pg_execute_server_program pg_read_server_files pg_write_server_files rdsadmin rdsrepladmin" {
		t.Errorf("the superusers are %s", super)
	}
	if _, err := os.Stat("/tmp/pwned"); err == nil {
		t.Error("/tmp/pwned was written")
	}
}

// try runs the steps in a transaction of their own where PostgreSQL allows it,
// and gives the SQLSTATE of the last.
func try(t *testing.T, conn *pgx.Conn, steps []string) (code, step string) {
	t.Helper()
	last := steps[len(steps)-1]
	for _, step := range append([]string{`RESET SESSION AUTHORIZATION`}, steps...) {
		_, err := conn.Exec(testContext(t), step)
		var refused *pgconn.PgError
		if errors.As(err, &refused) {
			if step != last {
				t.Errorf("%s: %v", step, err)
			}
			return refused.Code, step
		}
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
	return "", last
}

func TestInvariant11TenantLogsInNowhereElse(t *testing.T) {
	s, _ := newPrimary(t, workDir(t))
	conn := master(t, s, tenantDatabase)
	mustExec(t, conn, `ALTER ROLE rds_superuser LOGIN PASSWORD 'x'`)
	for name, login := range map[string]struct{ user, password, database, replication, code string }{
		"our database":                     {masterName, masterPassword, AdminDatabase, "", noAuth},
		"our database as rds_superuser":    {superuserRole, "x", AdminDatabase, "", noAuth},
		"replication":                      {masterName, masterPassword, tenantDatabase, "true", noAuth},
		"logical replication":              {masterName, masterPassword, tenantDatabase, "database", denied},
		"the replication role in a db":     {ReplicationRole, s.ReplicationPassword, tenantDatabase, "", noAuth},
		"the replication role, logical":    {ReplicationRole, s.ReplicationPassword, tenantDatabase, "database", noAuth},
		"rdsadmin without its password":    {AdminRole, masterPassword, AdminDatabase, "", badAuth},
		"rdsadmin over replication":        {AdminRole, s.AdminPassword, tenantDatabase, "true", noAuth},
		"a role marked as superuser":       {"pg_execute_server_program", "x", tenantDatabase, "", badAuth},
		"the replication role, bad secret": {ReplicationRole, masterPassword, "", "true", badAuth},
	} {
		config, err := pgconn.ParseConfig("sslmode=disable")
		if err != nil {
			t.Fatal(err)
		}
		config.Host, config.Port, config.TLSConfig = s.SocketDir, Port, nil
		config.User, config.Password, config.Database = login.user, login.password, login.database
		if login.replication != "" {
			config.RuntimeParams["replication"] = login.replication
		}
		c, err := pgconn.ConnectConfig(testContext(t), config)
		if err == nil {
			_ = c.Close(testContext(t))
		}
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != login.code {
			t.Errorf("%s: %v, want SQLSTATE %s", name, err, login.code)
		}
	}
}

func TestInvariant11CredentialsAreNotShownToTenants(t *testing.T) {
	s, _ := newPrimary(t, workDir(t))
	conn := master(t, s, "postgres")
	shown := value[string](t, conn, `SELECT string_agg(concat_ws(' ', name, setting, boot_val, reset_val), ' ') FROM pg_settings`) +
		value[string](t, conn, `SELECT string_agg(query, ' ') FROM pg_stat_activity`)
	cmdline, err := os.ReadFile(filepath.Join(s.dataDir(), "postmaster.opts"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{shown, string(cmdline)} {
		if strings.Contains(text, s.AdminPassword) || strings.Contains(text, s.ReplicationPassword) {
			t.Error("a password of ours is shown")
		}
	}
}

// What Aurora's master user can do must go on working.
func TestMasterUserCanDoItsWork(t *testing.T) {
	s, _ := newPrimary(t, workDir(t))
	conn := master(t, s, tenantDatabase)
	for _, sql := range []string{
		`CREATE EXTENSION pg_trgm`, `CREATE EXTENSION pgcrypto`, `CREATE EXTENSION hstore`,
		`CREATE SCHEMA app`, `CREATE TABLE app.t (id bigserial PRIMARY KEY)`, `CREATE INDEX CONCURRENTLY ON app.t (id)`,
		`CREATE ROLE app LOGIN PASSWORD 'x'`, `GRANT rds_iam TO app`, `GRANT pg_read_all_data TO app`, `ALTER ROLE app SET work_mem = '8MB'`,
		`SET session_replication_role = replica`, `RESET session_replication_role`, `CHECKPOINT`, `VACUUM ANALYZE app.t`,
		`CREATE DATABASE more`, `ALTER DATABASE more SET work_mem = '8MB'`, `DROP DATABASE more`,
		`CREATE PUBLICATION p FOR TABLE app.t`, `SELECT lo_from_bytea(0, 'x')`,
		`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'app'`,
		`REVOKE rds_iam FROM app`, `DROP ROLE app`,
	} {
		mustExec(t, conn, sql)
	}
}
