package postgres

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/daybreakdb/daybreak/internal/dataplane/contain"
	"github.com/daybreakdb/daybreak/internal/layout"
)

// Port is the number in the socket's name (.s.PGSQL.5432); nothing listens on TCP.
const Port = 5432

// Roles and a database of our own. No tenant can become, alter or drop them, and
// none may log in under these names: endpoints refuse them.
const (
	AdminRole       = "rdsadmin"
	ReplicationRole = "rdsrepladmin"
	AdminDatabase   = "rdsadmin"
)

// minSecret is the least length of our roles' passwords. A tenant can grant
// itself pg_read_all_data and see the verifiers made of them, so they must be
// beyond guessing.
const minSecret = 32

// Server is one PostgreSQL server. It is a value: it names the server and holds
// what is needed to reach it, and no state. Two calls that change the same
// server must not overlap.
type Server struct {
	Installation Installation
	// Name stands in process titles and is the name that a standby gives itself
	// (application_name). Letters, digits, "-" and "_"; a resource id is a good one.
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
	// Reach are directories in which sockets of whom the server follows appear; it
	// sees no others.
	Reach []string
	// Limits bound what it uses, where the host can do that.
	Limits contain.Limits

	// AdminPassword and ReplicationPassword are random, of at least 32
	// characters, and equal in all servers that are copies of each other.
	AdminPassword       string
	ReplicationPassword string
}

// DerivePasswords sets the passwords of our own roles from the secret that the
// servers of a cluster share.
func (s *Server) DerivePasswords(secret []byte) error {
	var err error
	if s.AdminPassword, err = derive(secret, "admin"); err != nil {
		return err
	}
	s.ReplicationPassword, err = derive(secret, "replication")
	return err
}

func derive(secret []byte, purpose string) (string, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, purpose, sha256.Size)
	return hex.EncodeToString(key), err
}

func (s Server) dataDir() string    { return filepath.Join(s.Dir, "data") }
func (s Server) configFile() string { return filepath.Join(s.Dir, "postgresql.conf") }
func (s Server) hbaFile() string    { return filepath.Join(s.Dir, "pg_hba.conf") }
func (s Server) passfile() string   { return filepath.Join(s.Dir, "passfile") }
func (s Server) startLog() string   { return filepath.Join(s.Dir, "start.log") }

// LogDir holds the server's log files.
func (s Server) LogDir() string { return filepath.Join(s.Dir, "log") }

// Socket is the path of the socket on which the server answers.
func (s Server) Socket() string {
	return filepath.Join(s.SocketDir, fmt.Sprintf(".s.PGSQL.%d", Port))
}

// owner is the user id that the server's files and processes have.
func (s Server) owner() int {
	if s.UID == 0 {
		return os.Geteuid()
	}
	return s.UID
}

func (s Server) check() error {
	switch {
	case s.owner() == 0:
		return errors.New("PostgreSQL refuses to run as root: the server needs a user id of its own")
	case s.UID != 0 && s.UID != os.Geteuid() && os.Geteuid() != 0:
		return fmt.Errorf("only root can run a server as user id %d", s.UID)
	case !regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`).MatchString(s.Name):
		return fmt.Errorf("server name %q: letters, digits, - and _ are allowed, at most 63", s.Name)
	case !filepath.IsAbs(s.Dir):
		return fmt.Errorf("server directory %q must be absolute", s.Dir)
	case len(s.AdminPassword) < minSecret || len(s.ReplicationPassword) < minSecret:
		return fmt.Errorf("passwords of %s and %s need at least %d characters", AdminRole, ReplicationRole, minSecret)
	}
	for _, text := range []string{s.Dir, s.SocketDir, s.AdminPassword, s.ReplicationPassword} {
		if hasControl(text) {
			return errors.New("a directory or password of the server has a control character")
		}
	}
	return checkSocketDir(s.SocketDir)
}

// checkSocketDir refuses what libpq takes for several hosts or for a host's name.
func checkSocketDir(dir string) error {
	if !filepath.IsAbs(dir) || hasControl(dir) || strings.Contains(dir, ",") {
		return fmt.Errorf("socket directory %q: an absolute path without commas and control characters is needed", dir)
	}
	return nil
}

// prepare makes the directories and the passfile. Dir itself is not the server's,
// so that nothing a tenant might ever run there can turn what we write into
// something else.
func (s Server) prepare() error {
	if err := s.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(s.Dir, 0o711); err != nil {
		return err
	}
	if err := os.Chmod(s.Dir, 0o711); err != nil {
		return err
	}
	for _, dir := range []string{s.LogDir(), s.SocketDir, s.injectDir()} {
		if err := s.ownDir(dir); err != nil {
			return err
		}
	}
	line := fmt.Sprintf("*:*:*:%s:%s\n", ReplicationRole, escapePassfile(s.ReplicationPassword))
	return s.ownFile(s.passfile(), line)
}

func (s Server) ownDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.Lchown(dir, s.owner(), s.group()); err != nil {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// ownFile writes a file that only the server's user may read.
func (s Server) ownFile(path, content string) error {
	if _, err := writeChanged(path, content, 0o600); err != nil {
		return err
	}
	return os.Lchown(path, s.owner(), s.group())
}

func (s Server) group() int {
	if s.UID == 0 {
		return os.Getegid()
	}
	return s.UID
}

// writeChanged writes a file unless it says the same already.
func writeChanged(path, content string, mode os.FileMode) (changed bool, err error) {
	if old, err := os.ReadFile(path); err == nil && string(old) == content {
		return false, nil
	}
	return true, layout.WriteFile(path, []byte(content), mode)
}

// HasData says whether a complete data directory is there.
func (s Server) HasData() (bool, error) { return s.hasFile("PG_VERSION") }

// IsStandby says whether the data directory, of a running server or not, is a
// standby's.
func (s Server) IsStandby() (bool, error) { return s.hasFile(standbySignal) }

func (s Server) hasFile(name string) (bool, error) {
	_, err := os.Lstat(filepath.Join(s.dataDir(), name))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false, nil
	}
	return err == nil, err
}

// needData is ErrNoData when there is nothing that could be started.
func (s Server) needData() error {
	if ok, err := s.HasData(); err != nil {
		return err
	} else if !ok {
		return fmt.Errorf("%s: %w", s.dataDir(), ErrNoData)
	}
	return nil
}
