package postgres

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// Topology is what a server tells its clients of the DB cluster it is in, through
// aurora_version(), aurora_db_instance_identifier(), aurora_replica_status() and
// aurora_show_volume_status().
type Topology struct {
	Version  string // Aurora's, as 15.4.0
	ServerID string // the DB instance identifier of the server itself
	Members  []Member

	// Disks and Nodes are the numbers of logical blocks and storage nodes of the
	// cluster volume.
	Disks, Nodes int
}

// Member is one DB instance of the cluster.
type Member struct {
	ServerID string // DB instance identifier
	Name     string // Server.Name, by which a primary knows its standbys
	Writer   bool   // as far as known; a primary always calls itself the writer
	Seen     Sight
}

// Sight is what was last seen of an instance. A server asks nobody about itself
// and, as a primary, its standbys; so only CPU counts there.
type Sight struct {
	At         time.Time // zero when nothing was seen
	DurableLSN LSN       // written and synced; of a standby, received and synced
	ReplayLSN  LSN       // a standby's
	Lag        time.Duration
	CPU        float64 // percent; 0 when it is not known
}

// topologyFile is the format of topology.json, which functions.sql reads.
type topologyFile struct {
	Version  string        `json:"version"`
	ServerID string        `json:"server_id"`
	Disks    int           `json:"disks"`
	Nodes    int           `json:"nodes"`
	Members  []topologyRow `json:"members"`
}

type topologyRow struct {
	ServerID   string    `json:"server_id"`
	Name       string    `json:"name"`
	Writer     bool      `json:"writer,omitzero"`
	At         time.Time `json:"at,omitzero"`
	DurableLSN string    `json:"durable_lsn,omitzero"`
	ReplayLSN  string    `json:"replay_lsn,omitzero"`
	LagInMsec  *float64  `json:"lag_in_msec,omitzero"`
	CPU        float64   `json:"cpu,omitzero"`
}

func (s Server) topologyFile() string { return filepath.Join(s.Dir, "topology.json") }

// WriteTopology tells the server, running or not, of its cluster. It is for every
// change and, so that clients do not take an instance for lost, whenever what was
// seen of it gets old: AWS's drivers forget what is older than five minutes. It
// needs a data directory.
func (s Server) WriteTopology(t Topology) error {
	content, err := t.encode()
	if err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	if err := s.needData(); err != nil {
		return err
	}
	if err := s.ownDir(s.injectDir()); err != nil {
		return err
	}
	if old, err := os.ReadFile(s.topologyFile()); err == nil && string(old) == string(content) {
		return nil
	}
	return s.replaceOwn(s.topologyFile(), content)
}

func (t Topology) encode() ([]byte, error) {
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("topology: %w", err)
	}
	file := topologyFile{Version: t.Version, ServerID: t.ServerID, Disks: t.Disks, Nodes: t.Nodes}
	for _, m := range t.Members {
		file.Members = append(file.Members, m.row())
	}
	return json.Marshal(file)
}

func (m Member) row() topologyRow {
	row := topologyRow{ServerID: m.ServerID, Name: m.Name, Writer: m.Writer, CPU: m.Seen.CPU}
	if m.Seen.At.IsZero() {
		return row
	}
	lag := float64(m.Seen.Lag) / float64(time.Millisecond)
	row.At, row.LagInMsec = m.Seen.At.UTC(), &lag
	if m.Seen.DurableLSN != 0 {
		row.DurableLSN = m.Seen.DurableLSN.String()
	}
	if m.Seen.ReplayLSN != 0 {
		row.ReplayLSN = m.Seen.ReplayLSN.String()
	}
	return row
}

// check keeps to plain characters, which every encoding of a database has.
func (t Topology) check() error {
	if !regexp.MustCompile(`^[0-9]+(\.[0-9]+)*$`).MatchString(t.Version) {
		return fmt.Errorf("version %q is none", t.Version)
	}
	if t.Disks < 0 || t.Nodes < 0 {
		return errors.New("a volume has no negative number of disks or nodes")
	}
	seen := map[string]bool{}
	for _, m := range t.Members {
		if !isServerID(m.ServerID) || !isServerID(m.Name) {
			return fmt.Errorf("instance %q (%q): letters, digits, - and _ are allowed, at most 63", m.ServerID, m.Name)
		}
		if seen[m.ServerID] {
			return fmt.Errorf("instance %q is there twice", m.ServerID)
		}
		seen[m.ServerID] = true
	}
	if !seen[t.ServerID] {
		return fmt.Errorf("the server itself, %q, is not among the members", t.ServerID)
	}
	return nil
}

func isServerID(id string) bool {
	return regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`).MatchString(id)
}

// replaceOwn puts a file in the place of another, so that the server reads the old
// or the new one, and nobody else reads either. It is not synced: a file that is
// lost with the machine is written again with the next start.
func (s Server) replaceOwn(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // two may write at a time
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := f.Chown(s.owner(), s.group()); err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
