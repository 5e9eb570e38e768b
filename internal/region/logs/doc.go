// Package logs holds the actions of Amazon CloudWatch Logs that databases and
// their stacks need, and exports the logs of PostgreSQL servers to it. Groups and
// streams are in the state store, events in files of this host. The package must
// not know how a server's log is read.
package logs
