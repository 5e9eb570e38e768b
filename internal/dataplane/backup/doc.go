// Package backup keeps what a DB cluster can be restored from in an object store:
// its WAL from the quorum log, in pieces, and base backups of its data directory;
// and makes a data directory of them, as it was at one position of the WAL.
//
// All objects of a cluster are below clusters/<resource id>/:
//
//	wal/<timeline>/<begin>-<end>-<term>   committed WAL, of one timeline and one segment
//	history/<timeline>                    the timelines up to this one
//	base/<id>/manifest                    what a base backup holds; written last
//	base/<id>/<number>                    parts of files
//
// An object is never changed, and says itself which one it is (frame.go). The
// package knows no state store: who needs what is decided elsewhere.
package backup
