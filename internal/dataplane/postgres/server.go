package postgres

import (
	"fmt"
	"path/filepath"
)

// Port is the number in the socket's name (.s.PGSQL.5432); nothing listens on TCP.
const Port = 5432

// Roles and databases of our own. No tenant can become, alter or drop them.
const (
	AdminRole       = "rdsadmin"
	ReplicationRole = "rdsrepladmin"
	AdminDatabase   = "rdsadmin"
)

// Server is one PostgreSQL server. It is a value: it names the server and holds
// what is needed to reach it, and no state.
type Server struct {
	Installation Installation
	// Name stands in process titles and is the name that a standby gives itself
	// (application_name). A DB instance's resource id is a good one.
	Name string
	// Dir is the server's directory, absolute. Its parents must let the server's
	// uid pass through (mode 0711).
	Dir string
	// SocketDir gets mode 0700 and belongs to the server's uid.
	SocketDir string
	// UID and group id that the server runs with; 0 means as the calling user,
	// which must not be root. Other values need root. The servers that copy from
	// each other have the same uid.
	UID int

	// AdminPassword and ReplicationPassword are random, of at least 32
	// characters, and equal in all servers that are copies of each other.
	AdminPassword       string
	ReplicationPassword string
}

func (s Server) dataDir() string { return filepath.Join(s.Dir, "data") }
func (s Server) tmpDir() string  { return filepath.Join(s.Dir, "data.tmp") }

// LogDir holds the server's log files.
func (s Server) LogDir() string { return filepath.Join(s.Dir, "log") }

// Socket is the path of the socket on which the server answers.
func (s Server) Socket() string {
	return filepath.Join(s.SocketDir, fmt.Sprintf(".s.PGSQL.%d", Port))
}
