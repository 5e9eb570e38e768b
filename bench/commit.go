package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const pgBin = "/usr/lib/postgresql/15/bin/"

// benchCommit measures what durable commits cost: Daybreak's quorum log beside
// plain PostgreSQL and PostgreSQL with its own synchronous receivers, all with the
// same shared_buffers, through unix sockets.
func benchCommit(s *server) error {
	shared, err := s.writerSocket("shared")
	if err != nil {
		return err
	}
	return withServerEnv([]string{"DAYBREAK_LOG_JOURNAL=store"}, func(six *server) error {
		apart, err := six.writerSocket("six")
		if err != nil {
			return err
		}
		paths := []commitPath{
			{"plain PostgreSQL, no copy", nil, ""},
			{"one pg_receivewal --synchronous", nil, "one"},
			{"six pg_receivewal, ANY 4", nil, "six"},
			{"Daybreak, 4 of 6, one journal", shared, ""},
			{"Daybreak, 4 of 6, six journals", apart, ""},
		}
		for i := range paths[:3] {
			p := &peer{dir: filepath.Join(s.dir, fmt.Sprintf("peer%d", i))}
			if err := p.start(paths[i].receivers); err != nil {
				return errors.Join(err, p.stop())
			}
			defer p.stop()
			paths[i].socket = &socket{p.dir, "bench"}
		}
		return compareCommits(paths)
	})
}

type commitPath struct {
	name      string
	socket    *socket
	receivers string
}

// socket is where pgbench connects, without TCP.
type socket struct{ dir, user string }

func (s socket) pgbench(args ...string) (string, error) {
	cmd := exec.Command(pgBin+"pgbench", append(args, "-h", s.dir, "-p", "5432", "-U", s.user, "postgres")...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("pgbench: %w\n%s", err, out)
	}
	return string(out), nil
}

func compareCommits(paths []commitPath) error {
	for _, p := range paths {
		if _, err := p.socket.pgbench("-i", "-q", "-s", "10"); err != nil {
			return err
		}
	}
	title(fmt.Sprintf("pgbench -N, durable commits (median of %d runs of %s s, interleaved)", pgbenchRounds, pgbenchSeconds))
	heading("clients", "path", "tps", "of plain", "of one pg_receivewal")
	for _, clients := range []int{1, 8, 32} {
		tps := map[string][]float64{}
		for range pgbenchRounds {
			for _, p := range paths {
				out, err := p.socket.pgbench("-N", "-c", strconv.Itoa(clients), "-j", "2", "-T", pgbenchSeconds)
				if err != nil {
					return err
				}
				tps[p.name] = append(tps[p.name], parseTPS(out))
			}
		}
		plain, one := mid(tps[paths[0].name]), mid(tps[paths[1].name])
		for _, p := range paths {
			t := mid(tps[p.name])
			row(strconv.Itoa(clients), p.name, fmt.Sprintf("%.0f", t), fmt.Sprintf("%.2f×", t/plain), fmt.Sprintf("%.2f×", t/one))
		}
	}
	return nil
}

// writerSocket deploys a writer and returns its own socket.
func (s *server) writerSocket(name string) (*socket, error) {
	if _, err := s.up(name, "--param", "readReplicaCount=0"); err != nil {
		return nil, err
	}
	sockets, err := filepath.Glob(filepath.Join(s.dir, "data", "run", "pg", "*", ".s.PGSQL.5432"))
	if err != nil || len(sockets) != 1 {
		return nil, fmt.Errorf("found %d server sockets, want 1: %w", len(sockets), err)
	}
	return &socket{filepath.Dir(sockets[0]), "postgres"}, nil
}

// peer is a PostgreSQL of its own, with receivers of its WAL.
type peer struct {
	dir       string
	tcp       bool   // listen at 127.0.0.1 too
	port      string // "" is 5432
	receivers []*exec.Cmd
}

// command runs as an ordinary user, which PostgreSQL wants.
func (p *peer) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if u, err := user.Lookup("postgres"); err == nil && os.Geteuid() == 0 {
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return cmd
}

func (p *peer) run(name string, args ...string) error {
	if out, err := p.command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

func (p *peer) start(receivers string) error {
	if err := os.MkdirAll(p.dir, 0o777); err != nil {
		return err
	}
	if err := os.Chmod(p.dir, 0o777); err != nil {
		return err
	}
	data := filepath.Join(p.dir, "data")
	if err := p.run(pgBin+"initdb", "-D", data, "-U", "bench", "-A", "trust", "-k", "--no-sync"); err != nil {
		return err
	}
	names := map[string][]string{"one": {"r1"}, "six": {"r1", "r2", "r3", "r4", "r5", "r6"}}[receivers]
	listen := ""
	if p.tcp {
		addr, err := freeAddr()
		if err != nil {
			return err
		}
		listen, p.port, _ = strings.Cut(addr, ":")
	}
	settings := "listen_addresses='" + listen + "'\nport=" + cmp.Or(p.port, "5432") + "\nshared_buffers=64MB\nmax_wal_size=1GB\nunix_socket_directories='" + p.dir + "'\n"
	switch receivers {
	case "one":
		settings += "synchronous_standby_names='r1'\n"
	case "six":
		settings += "synchronous_standby_names='ANY 4 (" + strings.Join(names, ",") + ")'\n"
	}
	file, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := file.WriteString(settings); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := p.run(pgBin+"pg_ctl", "-D", data, "-w", "-l", filepath.Join(p.dir, "log"), "start"); err != nil {
		return err
	}
	for _, name := range names {
		dir := filepath.Join(p.dir, name)
		if err := p.run("mkdir", dir); err != nil {
			return err
		}
		dsn := "host=" + p.dir + " user=bench application_name=" + name
		if err := p.run(pgBin+"pg_receivewal", "-d", dsn, "--create-slot", "-S", name); err != nil {
			return err
		}
		cmd := p.command(pgBin+"pg_receivewal", "-D", dir, "--synchronous", "-S", name, "-d", dsn)
		if err := cmd.Start(); err != nil {
			return err
		}
		p.receivers = append(p.receivers, cmd)
	}
	return p.await(len(names))
}

// await waits until the server waits for all its receivers.
func (p *peer) await(receivers int) error {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		out, err := p.command("psql", "-h", p.dir, "-p", cmp.Or(p.port, "5432"), "-U", "bench", "-Atc",
			"SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')", "postgres").Output()
		if err == nil && strings.TrimSpace(string(out)) == strconv.Itoa(receivers) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s of %d receivers follow: %w", strings.TrimSpace(string(out)), receivers, err)
		}
	}
}

func (p *peer) stop() error {
	err := p.run(pgBin+"pg_ctl", "-D", filepath.Join(p.dir, "data"), "-m", "immediate", "stop")
	for _, cmd := range p.receivers {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	return err
}
