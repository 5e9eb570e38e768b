// Package rdsdata is the Data API: SQL over HTTPS, with the credentials of a secret,
// through the cluster's own endpoint. Transactions live in this process; they end
// with it, or when they were idle for too long. The package must not know how a
// cluster is served.
package rdsdata
