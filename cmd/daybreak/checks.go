package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/daybreakdb/daybreak/internal/cli"
	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/dataplane/contain"
	"github.com/daybreakdb/daybreak/internal/dataplane/postgres"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/link"
	"github.com/daybreakdb/daybreak/internal/platform/stack"
)

// hostChecks looks at this host for what Daybreak needs, and for what it cannot
// promise here.
func hostChecks(ctx context.Context, l layout.Layout) []cli.Check {
	return append([]cli.Check{
		checkPostgres(ctx), checkTerraform(ctx), checkDisk(l), checkPath(l), checkPort(), checkUser(), checkContainment(),
		{Name: "encryption at rest", Detail: "data directories are not encrypted, also when a stack asks for storage_encrypted",
			Hint: "Put the data directory on an encrypted disk."},
		checkCopies(l),
	}, checkDatabases(ctx, l)...)
}

// checkCopies says what the loss of this machine means.
func checkCopies(l layout.Layout) cli.Check {
	check := cli.Check{Name: "copies", Hint: "Mount another disk, or a network file system, at " + l.Backups() + ": clusters are restored from there.",
		Detail: "all copies are on this machine: the death of any process loses nothing, the loss of the machine loses everything"}
	if others, err := link.LoadHosts(l); err == nil && len(others) > 0 {
		check.Detail = fmt.Sprintf("this is one of %d hosts: what the loss of one means depends on where each cluster's copies are, and describe says it", len(others)+1)
	}
	return check
}

func checkPostgres(ctx context.Context) cli.Check {
	check := cli.Check{Name: "PostgreSQL 15", Needed: true}
	bin, err := postgres.Find(ctx)
	if err != nil {
		check.Detail, check.Hint = err.Error(), "Install it: apt-get install postgresql-15"
		return check
	}
	check.OK, check.Detail = true, fmt.Sprintf("%s in %s", bin.Version, bin.BinDir)
	return check
}

func checkTerraform(ctx context.Context) cli.Check {
	check := cli.Check{Name: "Terraform or OpenTofu"}
	tool, err := stack.FindTool(ctx)
	if err != nil {
		check.Detail, check.Hint = err.Error(), "Install one, or build OpenTofu: make setup"
		return check
	}
	check.OK, check.Detail = true, fmt.Sprintf("%s %s in %s", tool.Name, tool.Version, tool.Path)
	return check
}

func checkDisk(l layout.Layout) cli.Check {
	check := cli.Check{Name: "disk", Needed: true}
	dir := l.Root
	for {
		var fs syscall.Statfs_t
		err := syscall.Statfs(dir, &fs)
		if errors.Is(err, os.ErrNotExist) && dir != "/" {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			check.Detail = err.Error()
			return check
		}
		free := int64(fs.Bavail) * fs.Bsize
		check.OK = free >= config.MinFreeBytes
		check.Detail = fmt.Sprintf("%.1f GiB free for %s", float64(free)/(1<<30), l.Root)
		check.Hint = fmt.Sprintf("Free some space: a start needs %d MiB.", config.MinFreeBytes>>20)
		return check
	}
}

// checkPath finds folders above the data directory that the clusters' user ids
// cannot pass. An ordinary user's servers run as that user, who can.
func checkPath(l layout.Layout) cli.Check {
	check := cli.Check{Name: "data directory", Needed: true, OK: true, Detail: l.Root}
	if os.Geteuid() != 0 {
		return check
	}
	for dir := filepath.Dir(l.Root); dir != "/"; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			check.OK = false
			check.Detail = fmt.Sprintf("%s cannot be passed by other users, and every cluster's servers run under a user id of their own", dir)
			check.Hint = "Choose another data directory (DAYBREAK_DATA_DIR), or allow it: chmod o+x " + dir
			return check
		}
	}
	return check
}

// checkPort says whether clusters get Aurora's port.
func checkPort() cli.Check {
	check := cli.Check{Name: "port 5432", OK: true, Detail: "free on our loopback addresses"}
	listener, err := net.Listen("tcp", "127.42.255.254:5432")
	if err != nil {
		check.OK, check.Detail = false, "another server holds it on every address"
		check.Hint = "New clusters get another port, and describe shows it. To have 5432, let that server listen on its own address only."
		return check
	}
	_ = listener.Close()
	return check
}

func checkUser() cli.Check {
	if os.Geteuid() == 0 {
		return cli.Check{Name: "user", OK: true, Detail: "root: every cluster's servers run under a user id of their own"}
	}
	return cli.Check{Name: "user", Detail: "an ordinary user: all clusters' servers run as this user",
		Hint: "Start the server as root to keep the clusters' files apart."}
}

// checkContainment says what keeps what runs in a PostgreSQL server inside of it.
func checkContainment() cli.Check {
	host := contain.Look()
	check := cli.Check{Name: "containment", OK: host.Complete(), Detail: host.String()}
	if !check.OK {
		check.Hint = "SECURITY.md says what each part is for. Root on Linux 5.13 or newer has all of them, outside of containers."
	}
	return check
}
