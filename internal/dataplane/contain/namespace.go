package contain

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// system are the files of the system that programs need, as far as there are.
var system = []string{
	"/usr", "/lib", "/lib32", "/lib64", "/opt",
	"/etc/ld.so.cache", "/etc/localtime", "/etc/timezone", "/etc/nsswitch.conf", "/etc/passwd", "/etc/group",
	"/etc/ssl", "/etc/pki", "/etc/locale.alias", "/etc/postgresql-common", "/var/cache/postgresql",
}

// devices are those that every program may use.
var devices = []string{"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"}

// newRoot is where the new root is put together. There is a directory at /proc
// everywhere, and nothing in it that the program is to see.
const newRoot = "/proc"

// enterNamespaces takes the thread into namespaces of its own, in which there is
// only what is in the box.
//
// It keeps the ids of processes: the postmaster's id must mean the same to us, who
// find it in postmaster.pid and see it at the other end of a socket.
func (b Box) enterNamespaces() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWIPC); err != nil {
		return fmt.Errorf("namespaces: %w", err)
	}
	// What is mounted here is seen nowhere else.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount namespace: %w", err)
	}
	if err := mountTmpfs(newRoot, "mode=0755"); err != nil {
		return err
	}
	if err := b.fill(); err != nil {
		return err
	}
	return pivot()
}

func mountTmpfs(path, options string) error {
	if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, options); err != nil {
		return fmt.Errorf("mount a tmpfs: %w", err)
	}
	return nil
}

// fill puts what the box has into the new root: first what is only read, for what
// may be changed can lie below it.
func (b Box) fill() error {
	const (
		readOnly = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
		passive  = unix.MOUNT_ATTR_NOEXEC | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	)
	read := slices.Concat(system, b.Read, b.Run)
	slices.Sort(read)
	last := ""
	for _, path := range slices.Compact(read) {
		if last != "" && below(path, last) {
			continue
		}
		shown, err := bind(path, readOnly)
		if err != nil {
			return err
		}
		if shown {
			last = path
		}
	}
	for _, path := range slices.Concat(b.Write, b.Reach) {
		if _, err := bind(path, passive); err != nil {
			return err
		}
	}
	for _, path := range devices {
		if _, err := bind(path, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC); err != nil {
			return err
		}
	}
	shm := filepath.Join(newRoot, "dev/shm")
	if err := os.MkdirAll(shm, 0o755); err != nil {
		return err
	}
	return mountTmpfs(shm, "mode=1777")
}

func below(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// bind shows a file or directory at its own path in the new root. It is false when
// there is none.
func bind(path string, attributes uint64) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	target := filepath.Join(newRoot, path)
	if err := makeTarget(target, info.IsDir()); err != nil {
		return false, fmt.Errorf("a place for %s: %w", path, err)
	}
	if err := unix.Mount(path, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return false, fmt.Errorf("show %s: %w", path, err)
	}
	err = unix.MountSetattr(unix.AT_FDCWD, target, unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: attributes})
	if err != nil {
		return false, fmt.Errorf("bound the use of %s: %w", path, err)
	}
	return true, nil
}

func makeTarget(path string, dir bool) error {
	if dir {
		return os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// pivot makes the new root the root, and the old one vanish.
func pivot() error {
	if err := unix.Chdir(newRoot); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the old root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	return unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}
