// Package layout says where everything of an installation lies on disk, and
// holds the one helper that writes files that matter. It knows paths only, not
// what is in them.
package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxSocketPath is the longest path of a unix socket (sun_path, with its NUL).
const maxSocketPath = 107

// longestSocketName is the longest path that is put below RunDir.
const longestSocketName = "hosts/01234567/pg/db-01234567890123456789012345/.s.PGSQL.5432.lock"

// Layout is the data directory of one installation.
type Layout struct {
	Root string // absolute
	// via is the host whose sockets this layout names; empty: our own.
	via string
}

// New returns the layout of the data directory root; empty means the default:
// DAYBREAK_DATA_DIR, else /var/lib/daybreak for root, else
// $XDG_DATA_HOME/daybreak or ~/.local/share/daybreak.
func New(root string) (Layout, error) {
	if root == "" {
		root = defaultRoot()
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		return Layout{}, fmt.Errorf("data directory %q: %w", root, err)
	}
	return Layout{Root: abs}, nil
}

func defaultRoot() string {
	if dir := os.Getenv("DAYBREAK_DATA_DIR"); dir != "" {
		return dir
	}
	if os.Geteuid() == 0 {
		return "/var/lib/daybreak"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "daybreak")
	}
	home, _ := os.UserHomeDir()
	return filepath.Join(home, ".local", "share", "daybreak")
}

// Create makes the directories of the installation. Root and Zones may be
// passed through by the clusters' user ids; the rest is the installation's own.
func (l Layout) Create() error {
	for dir, mode := range map[string]os.FileMode{
		l.Root: 0o711, l.Zones(): 0o711, l.RunDir(): 0o711, l.Mirrored(): 0o711, l.Stalls(): 0o700, filepath.Join(l.RunDir(), "pg"): 0o711, l.Feeds(): 0o711,
		l.Etcd(): 0o700, l.Logs(): 0o700, l.PKI(): 0o700, l.Keys(): 0o700, l.Blobs(): 0o700, l.Backups(): 0o700, l.Runs(): 0o700, l.LogEvents(): 0o700,
	} {
		if err := os.MkdirAll(dir, mode); err != nil {
			return fmt.Errorf("create data directory: %w", err)
		}
		if err := checkOwner(dir); err != nil {
			return fmt.Errorf("create data directory: %w", err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			return fmt.Errorf("create data directory: %w", err)
		}
	}
	return nil
}

// checkOwner refuses a directory that somebody else made for us, as anyone can
// in /tmp.
func checkOwner(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is not a directory of our own", dir)
	}
	return nil
}

// ID is short, stable and different for each data directory.
func (l Layout) ID() string {
	sum := sha256.Sum256([]byte(l.Root))
	return hex.EncodeToString(sum[:4])
}

func (l Layout) Etcd() string  { return filepath.Join(l.Root, "etcd") }
func (l Layout) Logs() string  { return filepath.Join(l.Root, "log") }
func (l Layout) PKI() string   { return filepath.Join(l.Root, "pki") }
func (l Layout) Keys() string  { return filepath.Join(l.Root, "keys") }
func (l Layout) Blobs() string { return filepath.Join(l.Root, "blobs") }
func (l Layout) Zones() string { return filepath.Join(l.Root, "zones") }

// Backups is the object store of backups, where it is a directory of this host.
func (l Layout) Backups() string { return filepath.Join(l.Root, "backups") }

// LogEvents has the events of CloudWatch Logs.
func (l Layout) LogEvents() string { return filepath.Join(l.Root, "log-events") }

// Runs holds the working directories of Terraform runs while they run.
func (l Layout) Runs() string { return filepath.Join(l.Root, "runs") }

// Config is the installation's own settings, written by its first start.
func (l Layout) Config() string { return filepath.Join(l.Root, "config.json") }

// Hosts has the other hosts of the installation and where they are reached.
func (l Layout) Hosts() string { return filepath.Join(l.Root, "hosts.json") }

// HostCertificate is by what this host is known to the others, with its key.
func (l Layout) HostCertificate() string { return filepath.Join(l.PKI(), "host.pem") }

// CAFile is the certificate that clients check endpoints with; anyone may read it.
func (l Layout) CAFile() string { return filepath.Join(l.Root, "ca.pem") }

// RunDir holds sockets and lock files. It is below Root, unless that path is too
// long for a unix socket.
func (l Layout) RunDir() string {
	dir := filepath.Join(l.Root, "run")
	if len(dir)+1+len(longestSocketName) > maxSocketPath {
		dir = filepath.Join(os.TempDir(), fmt.Sprintf("daybreak-%d-%s", os.Geteuid(), l.ID()))
	}
	if l.via != "" {
		dir = filepath.Join(dir, "hosts", l.via)
	}
	return dir
}

// Via names the sockets at which the link process answers for another host: what
// is at LogSocket, InstanceSocketDir, … there is at the same names below the
// RunDir of Via(host) here. Only sockets have a place there.
func (l Layout) Via(host string) Layout { return Layout{Root: l.Root, via: host} }

// Mirrored is where Via of every host is.
func (l Layout) Mirrored() string { return filepath.Join(l.RunDir(), "hosts") }

// OtherEtcdSockets is a pattern of the EtcdSockets of all other hosts.
func (l Layout) OtherEtcdSockets() string {
	literal := strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(l.Mirrored())
	return filepath.Join(literal, "*", filepath.Base(l.EtcdSocket()))
}

// EtcdSocket is where etcd answers clients.
func (l Layout) EtcdSocket() string { return filepath.Join(l.RunDir(), "etcd.sock") }

// Lock is the lock file that the process of this name holds while it lives.
func (l Layout) Lock(process string) string { return filepath.Join(l.RunDir(), process+".lock") }

// Pulse is the socket at which the process of this name shows that it works.
func (l Layout) Pulse(process string) string { return filepath.Join(l.RunDir(), process+".pulse") }

// Stalls has an empty file for each DB instance of this host whose commits wait
// for the quorum of the log: nobody may read from it.
func (l Layout) Stalls() string { return filepath.Join(l.RunDir(), "stalls") }

// Log is the log file of the process of this name.
func (l Layout) Log(process string) string { return filepath.Join(l.Logs(), process+".log") }

// Cluster is the directory of a cluster in one zone.
func (l Layout) Cluster(zone, clusterID string) string {
	return filepath.Join(l.Zones(), zone, clusterID)
}

// CreateCluster makes the directory of a cluster in a zone. Its servers, which have
// user ids of their own, pass through it.
func (l Layout) CreateCluster(zone, clusterID string) error {
	dir := l.Cluster(zone, clusterID)
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.MkdirAll(d, 0o711); err != nil {
			return err
		}
		if err := os.Chmod(d, 0o711); err != nil {
			return err
		}
	}
	return nil
}

// LogCopy is the directory of one copy of a cluster's WAL.
func (l Layout) LogCopy(zone, clusterID string, n int) string {
	return filepath.Join(l.Cluster(zone, clusterID), fmt.Sprintf("wal-%d", n))
}

// LogCopies matches the directories of all copies of WAL.
func (l Layout) LogCopies() string { return filepath.Join(l.Zones(), "*", "*", "wal-*") }

// Base is the file of the base copy of a cluster that a zone has.
func (l Layout) Base(zone, clusterID string) string {
	return filepath.Join(l.Cluster(zone, clusterID), "base.tar.zst")
}

// Journal is the directory of the journal of a disk: the one that Root is on, or
// that a zone has for itself.
func (l Layout) Journal(zone string) string {
	if zone == "" {
		return filepath.Join(l.Root, "journal")
	}
	return filepath.Join(l.Zones(), zone, "journal")
}

// LogSocket is where the log answers the node.
func (l Layout) LogSocket() string { return filepath.Join(l.RunDir(), "wal.sock") }

// NodeSocket is where the node answers the region: what is in its servers' logs.
func (l Layout) NodeSocket() string { return filepath.Join(l.RunDir(), "node.sock") }

// FeedDir has the socket at which a cluster's readers get their WAL.
func (l Layout) FeedDir(clusterID string) string {
	return filepath.Join(l.Feeds(), strings.TrimPrefix(clusterID, "cluster-"))
}

// Feeds has the FeedDirs of all clusters.
func (l Layout) Feeds() string { return filepath.Join(l.RunDir(), "feed") }

// Instance is the directory of a DB instance, in its zone: data, log, secrets.
func (l Layout) Instance(zone, clusterID, instanceID string) string {
	return filepath.Join(l.Cluster(zone, clusterID), instanceID)
}

// InstanceSocketDir is where the PostgreSQL server of a DB instance has its socket.
func (l Layout) InstanceSocketDir(instanceID string) string {
	return filepath.Join(l.RunDir(), "pg", instanceID)
}
