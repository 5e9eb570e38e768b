// Package wal keeps a database's WAL on several disks and says what is durable.
//
// A Log is the WAL of one cluster in n copies. Bytes are durable, "committed",
// when a write quorum of the copies has synced them: 4 of 6, 2 of 3, 1 of 1. One
// writer at a time may append, the one of the highest term that copies have
// promised themselves to; whoever was the writer before cannot get one more byte
// acknowledged, wherever it is and whatever it believes (fencing is here, not in
// a clock). The protocol is in log.go; it is Raft's log with the election taken
// out: terms come from the state store, one winner each.
//
// The shipper (shipper.go) is the only synchronous standby of the writer's
// PostgreSQL server and appends what that sends. The feed (feed.go) is a
// walsender for the readers; it sends committed bytes only, so that no reader
// ever shows a commit that a failover takes back.
//
// Copies that share a disk share one synced journal (journal.go).
package wal
