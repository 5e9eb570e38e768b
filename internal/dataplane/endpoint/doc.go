// Package endpoint is what applications connect to: the addresses of cluster,
// reader and instance endpoints. It speaks the PostgreSQL protocol as far as
// connections are concerned (TLS, startup, cancel, the end of a transaction) and
// relays the rest unread.
//
// Router computes from the nouns alone what there is to listen at and who may be
// connected to; Proxy does it; Run keeps the two in step with the state. The
// package writes no state, starts no server, and never sees a password.
//
// Security groups decide by the client's address, when it connects: changed
// rules leave the connections that exist alone. A client on this host's loopback
// counts as an instance in the default VPC that has the default security group.
// Other clients are members of no group. Where AWS drops a packet, the answer
// here says which rules were looked at.
package endpoint
