// Package postgres manages exactly one PostgreSQL 15 server: one data directory,
// its settings, its process. It builds the directory (initdb, or a copy of a
// running server), starts, adopts, promotes and stops the server, and says what
// state it is in.
//
// It knows no cluster, no term, no endpoint and no etcd: who is the writer, whom
// a reader follows and when to promote is decided elsewhere.
//
// Directory of a server (Server.Dir), which the server itself cannot change:
//
//	data/            the data directory; it appears complete, or not at all
//	data.tmp/        a data directory that is being built
//	log/             the server's log files
//	postgresql.conf  written by Configure, never by hand
//	pg_hba.conf
//	passfile         the replication role's password
package postgres
