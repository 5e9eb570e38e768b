package postgres

import "fmt"

const superuserRole = "rds_superuser"

// tenantRoles are the roles that Aurora has for tenants to be members of.
func tenantRoles() []string {
	return []string{superuserRole, "rds_replication", "rds_password", "rds_iam", "rds_ad"}
}

// clusterSQL makes the roles and databases of a new PostgreSQL database cluster.
//
// A PostgreSQL 15 role with CREATEROLE may grant, alter, rename and drop every
// role that is not a superuser. So the roles that lead to files, programs and
// replication are marked as superusers: nobody is a member of the first three,
// and they cannot log in; pg_hba.conf lets ReplicationRole into no database.
func (s Server) clusterSQL(o InitOptions) []string {
	sql := []string{
		fmt.Sprintf("ALTER ROLE %s PASSWORD %s", AdminRole, quoteLiteral(s.AdminPassword)),
		fmt.Sprintf("CREATE ROLE %s SUPERUSER REPLICATION LOGIN PASSWORD %s", ReplicationRole, quoteLiteral(s.ReplicationPassword)),
		"UPDATE pg_catalog.pg_authid SET rolsuper = true WHERE rolname IN " +
			"('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')",
	}
	for _, role := range tenantRoles() {
		sql = append(sql, "CREATE ROLE "+role+" NOLOGIN")
	}
	sql = append(sql, functionsSQL()...)
	sql = append(sql,
		"GRANT pg_monitor, pg_signal_backend, pg_checkpoint, rds_replication, rds_password TO "+superuserRole,
		"GRANT SET ON PARAMETER session_replication_role TO "+superuserRole,
		"CREATE ROLE "+quoteIdent(o.Master.Name)+" "+masterAttributes+" PASSWORD "+quoteLiteral(o.Master.Verifier),
		"GRANT "+superuserRole+" TO "+quoteIdent(o.Master.Name),
		"ALTER DATABASE postgres OWNER TO "+quoteIdent(o.Master.Name),
	)
	sql = append(sql, guardSQL()...)
	sql = append(sql,
		"CREATE DATABASE "+AdminDatabase+" STRATEGY FILE_COPY",
		"REVOKE ALL ON DATABASE "+AdminDatabase+" FROM PUBLIC",
		"DROP SCHEMA guard",
	)
	if o.Database != "" && o.Database != "postgres" {
		sql = append(sql, fmt.Sprintf("CREATE DATABASE %s OWNER %s STRATEGY FILE_COPY", quoteIdent(o.Database), quoteIdent(o.Master.Name)))
	}
	return sql
}

// masterAttributes are Aurora's for the master user.
const masterAttributes = "NOSUPERUSER INHERIT CREATEDB CREATEROLE NOREPLICATION NOBYPASSRLS LOGIN"

// guardSQL makes what keeps tenantRoles from being dropped: a privilege in the
// database that no tenant can connect to, and so cannot revoke. It is made in
// template1 and gone from there once that database is made.
func guardSQL() []string {
	sql := []string{"CREATE SCHEMA guard"}
	for _, role := range tenantRoles() {
		sql = append(sql, "GRANT USAGE ON SCHEMA guard TO "+role)
	}
	return sql
}

// hba lets us in as AdminRole, standbys as ReplicationRole, and tenants into
// every database but ours. There is no TCP and no authentication by user id:
// what a tenant connects to from inside the server needs a password too.
//
// Members of rds_iam are let in without one. By that the endpoint knows them, and asks
// their clients for a token before it lets them at the server: only the service and
// the server itself reach the socket, and what connects from inside a server for
// others than superusers (dblink, postgres_fdw) takes no connection that asked for no
// password.
const hba = `# Written by daybreak. Changes are overwritten.
local  all          rdsadmin      scram-sha-256
local  replication  rdsrepladmin  scram-sha-256
local  all          rdsrepladmin  reject
local  replication  all           reject
local  rdsadmin     all           reject
local  all          +rds_iam      trust
local  all          all           scram-sha-256
`
