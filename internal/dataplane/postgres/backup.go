package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Backup is a base backup of a running server that is going on: between its begin
// and Stop the files may be read in any order. It ends with its session, and with
// the server.
type Backup struct {
	conn *pgx.Conn // nil: the server does not run
	root *os.Root
	cold BackupEnd
}

// BackupEnd is what belongs to a backup beside the files.
type BackupEnd struct {
	// Start is where recovery of the backup begins, on Timeline.
	Start    LSN
	Timeline int
	// Stop is up to where a copy must be recovered at least.
	Stop LSN
	// Label is the content of backup_label; empty: there is none.
	Label string
}

// StartBackup begins a base backup, with a checkpoint at once.
func (s Server) StartBackup(ctx context.Context) (*Backup, error) {
	conn, err := s.Connect(ctx)
	if err != nil {
		return nil, err
	}
	b := &Backup{conn: conn}
	if b.root, err = os.OpenRoot(s.dataDir()); err == nil {
		_, err = conn.Exec(ctx, `SELECT pg_catalog.pg_backup_start('daybreak', true)`)
	}
	if err != nil {
		b.Close(ctx)
		return nil, fmt.Errorf("begin a base backup: %w", err)
	}
	return b, nil
}

// ColdBackup is a backup of a server that was stopped cleanly and stays so.
func (s Server) ColdBackup(ctx context.Context) (*Backup, error) {
	control, err := s.ControlData(ctx)
	if err != nil {
		return nil, err
	}
	if control.State != StateShutDown {
		return nil, fmt.Errorf("back up a stopped server: %w: it is %q", ErrNotClean, control.State)
	}
	root, err := os.OpenRoot(s.dataDir())
	end := BackupEnd{Start: control.RedoLSN, Timeline: control.Timeline, Stop: control.CheckpointLSN + 1}
	return &Backup{root: root, cold: end}, err
}

// Files are those of the data directory.
func (b *Backup) Files() *os.Root { return b.root }

var (
	labelStart    = regexp.MustCompile(`(?m)^START WAL LOCATION: ([0-9A-F]+/[0-9A-F]+) `)
	labelTimeline = regexp.MustCompile(`(?m)^START TIMELINE: (\d+)$`)
)

// Stop ends the backup after the files are read. It fails if the server became a
// primary meanwhile.
func (b *Backup) Stop(ctx context.Context) (BackupEnd, error) {
	if b.conn == nil {
		return b.cold, nil
	}
	var stop, label, spaces string
	err := b.conn.QueryRow(ctx, `SELECT lsn::text, labelfile, coalesce(spcmapfile, '') FROM pg_catalog.pg_backup_stop(false)`).Scan(&stop, &label, &spaces)
	if err != nil {
		return BackupEnd{}, fmt.Errorf("end the base backup: %w", err)
	}
	if strings.TrimSpace(spaces) != "" {
		return BackupEnd{}, errors.New("end the base backup: the server has tablespaces elsewhere, which are not copied")
	}
	end := BackupEnd{Label: label}
	if end.Stop, err = ParseLSN(stop); err != nil {
		return end, err
	}
	start, timeline := labelStart.FindStringSubmatch(label), labelTimeline.FindStringSubmatch(label)
	if start == nil || timeline == nil {
		return end, fmt.Errorf("end the base backup: no start in its label %q", label)
	}
	if end.Start, err = ParseLSN(start[1]); err != nil {
		return end, err
	}
	end.Timeline, err = strconv.Atoi(timeline[1])
	return end, err
}

// Close ends the session, and the backup if it was not stopped.
func (b *Backup) Close(ctx context.Context) {
	if b.conn != nil {
		_ = b.conn.Close(context.WithoutCancel(ctx))
	}
	if b.root != nil {
		_ = b.root.Close()
	}
}

// Recovery says how a data directory is made of a backup.
type Recovery struct {
	// Fill writes the backup's files, with backup_label, and all WAL up to the
	// target into pg_wal. It returns the timeline that the target is on.
	Fill func(ctx context.Context, dir string) (timeline uint32, err error)
	// Memory is what PostgreSQL may use for its buffers, in bytes.
	Memory int64
}

// Recover builds the data directory of a primary from a backup: it replays all WAL
// that is there, begins a timeline of its own, and gives our roles their passwords.
// It does nothing when a complete data directory is there.
func (s Server) Recover(ctx context.Context, r Recovery) error {
	uid, err := s.initdbUID() // single-user mode wants a user with a name too
	if err != nil {
		return err
	}
	return s.build(uid, func(dir string) error {
		timeline, err := r.Fill(ctx, dir)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "recovery.signal"), nil, 0o600); err != nil {
			return err
		}
		if err := giveAway(dir, uid); err != nil {
			return err
		}
		return s.recover(ctx, uid, dir, timeline, r.Memory)
	})
}

// giveAway makes a tree a user's.
func giveAway(dir string, uid int) error {
	if uid == 0 {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Lchown(path, uid, uid)
	})
}

// recover runs PostgreSQL in single-user mode: nobody can connect before the roles
// have their passwords. Its last statement shows that it came to its end.
func (s Server) recover(ctx context.Context, uid int, dir string, timeline uint32, memory int64) error {
	statements := []string{
		fmt.Sprintf("ALTER ROLE %s PASSWORD %s", AdminRole, quoteLiteral(s.AdminPassword)),
		fmt.Sprintf("ALTER ROLE %s PASSWORD %s", ReplicationRole, quoteLiteral(s.ReplicationPassword)),
	}
	out, err := s.run(ctx, uid, dir, nil, "pg_controldata", dir)
	if err != nil {
		return err
	}
	control, err := parseControlData(out)
	if err != nil {
		return err
	}
	args := []string{"--single", "-j", "-D", dir,
		"-c", "exit_on_error=on", "-c", "log_min_error_statement=panic", "-c", "fsync=off", "-c", "search_path=",
		"-c", "shared_buffers=" + size(clamp(memory/4, 16<<20, 1<<30)),
		"-c", "hot_standby=off", "-c", noArchive, "-c", fmt.Sprintf("recovery_target_timeline=%d", timeline),
		"-c", "default_transaction_read_only=off", "-c", "password_encryption=scram-sha-256"}
	for _, name := range slices.Sorted(maps.Keys(control.floors)) { // prepared transactions need their places
		args = append(args, "-c", fmt.Sprintf("%s=%d", name, control.floors[name]))
	}
	input := strings.Join(statements, ";\n\n") + ";\n\n"
	if _, err = s.run(ctx, uid, dir, strings.NewReader(input), "postgres", append(args, AdminDatabase)...); err != nil {
		return fmt.Errorf("recover the backup: %w", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "recovery.signal")); err == nil {
		return errors.New("recover the backup: PostgreSQL ended before its recovery did")
	}
	return nil
}

// noArchive has recovery find nothing but what is in pg_wal: without a command
// PostgreSQL refuses to begin it.
const noArchive = "restore_command=false"
