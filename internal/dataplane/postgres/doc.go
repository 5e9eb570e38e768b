// Package postgres manages exactly one PostgreSQL 15 server: one data directory,
// its settings, its process. It builds the directory (initdb, or a copy of a
// running server), starts, adopts, promotes and stops the server, and says what
// state it is in.
//
// It knows no cluster, no term, no endpoint and no etcd: who is the writer, whom
// a reader follows and when to promote is decided elsewhere.
//
// Directory of a server (Server.Dir). The server owns data/, log/ and passfile in
// it, but not the directory: so nothing that a tenant might ever run as the
// server's user can put a link where we write.
//
//	data/            the data directory; it appears complete, or not at all
//	data.tmp-*/      one that is being built, rehearsed with or removed
//	log/             the server's log files; start.log before they begin
//	postgresql.conf  written by Configure, never by hand
//	pg_hba.conf
//	passfile         the replication role's password
package postgres
