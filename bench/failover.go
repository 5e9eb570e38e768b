package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// failoverRounds is how often each fault happens; DAYBREAK_BENCH_ROUNDS changes it.
const failoverRounds = 5

// benchFailover measures the outage that a client sees which inserts rows and
// connects again after errors, beside Patroni with etcd and HAProxy, as Debian has
// them and with their defaults.
func benchFailover(s *server) error {
	rounds := failoverRounds
	if n, err := strconv.Atoi(os.Getenv("DAYBREAK_BENCH_ROUNDS")); err == nil {
		rounds = n
	}
	d, err := s.up("ha", "--param", "readReplicaCount=2")
	if err != nil {
		return err
	}
	ours := database{name: "Daybreak", dsn: s.dsn(d.Endpoints.Writer), dataDirs: filepath.Join(s.dir, "data", "zones", "*", "*", "*", "data"), members: 3}
	p := &patroni{peer: peer{dir: filepath.Join(s.dir, "patroni")}}
	if err := p.start(); err != nil {
		return errors.Join(err, p.stop())
	}
	defer p.stop()
	theirs := database{name: "Patroni", dsn: p.dsn(), dataDirs: filepath.Join(p.dir, "node*", "data"), members: 3}
	databases := []database{ours, theirs}
	for _, db := range databases {
		if err := db.prepare(); err != nil {
			return fmt.Errorf("%s: %w", db.name, err)
		}
	}
	title(fmt.Sprintf("Outage of the writer, from the last acknowledged insert to the next (%d rounds, interleaved)", rounds))
	heading("fault", "database", "median", "worst")
	for _, f := range []struct {
		name string
		do   func(database) (undo func(), err error)
	}{
		{"writer's postmaster killed", database.killWriter},
		{"all processes of the writer stopped for 40 s", database.freezeWriter},
	} {
		gaps := map[string][]time.Duration{}
		for range rounds {
			for _, db := range databases {
				gap, err := db.outage(f.do)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", db.name, f.name, err)
				}
				gaps[db.name] = append(gaps[db.name], gap)
			}
		}
		for _, db := range databases {
			m := median(gaps[db.name])
			row(f.name, db.name, seconds(m), seconds(slices.Max(gaps[db.name])))
		}
	}
	return nil
}

// database is one under test.
type database struct {
	name, dsn string
	dataDirs  string // pattern
	members   int
}

func (db database) connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, db.dsn+" connect_timeout=5")
}

func (db database) prepare() error {
	return db.eventually(2*time.Minute, func(ctx context.Context) error {
		conn, err := db.connect(ctx)
		if err != nil {
			return err
		}
		defer conn.Close(context.Background())
		_, err = conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS outage (at timestamptz)")
		return err
	})
}

func (db database) eventually(limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// servers are the postmasters that run; the writer is the one that is no standby.
func (db database) servers() (writer int, all []int) {
	dirs, _ := filepath.Glob(db.dataDirs)
	for _, dir := range dirs {
		content, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
		if err != nil {
			continue
		}
		pid, err := strconv.Atoi(strings.SplitN(string(content), "\n", 2)[0])
		if err != nil || syscall.Kill(pid, 0) != nil {
			continue
		}
		all = append(all, pid)
		if _, err := os.Stat(filepath.Join(dir, "standby.signal")); errors.Is(err, os.ErrNotExist) {
			writer = pid
		}
	}
	return writer, all
}

func (db database) killWriter() (func(), error) {
	writer, _ := db.servers()
	return func() {}, syscall.Kill(writer, syscall.SIGKILL)
}

func (db database) freezeWriter() (func(), error) {
	writer, _ := db.servers()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", writer, writer))
	if err != nil {
		return nil, err
	}
	pids := []int{writer}
	for _, field := range strings.Fields(string(children)) {
		pid, _ := strconv.Atoi(field)
		pids = append(pids, pid)
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
	thawed := time.Now().Add(40 * time.Second)
	return func() {
		time.Sleep(time.Until(thawed))
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}, nil
}

// outage is the longest time without an acknowledged insert around a fault.
func (db database) outage(fault func(database) (func(), error)) (time.Duration, error) {
	err := db.eventually(3*time.Minute, func(context.Context) error {
		if writer, all := db.servers(); writer == 0 || len(all) != db.members {
			return fmt.Errorf("%d of %d servers run", len(all), db.members)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	acks := make(chan time.Time, 1<<16)
	go db.insert(ctx, acks)
	last := <-acks
	for end := time.Now().Add(2 * time.Second); last.Before(end); {
		last = <-acks
	}
	undo, err := fault(db)
	if err != nil {
		return 0, err
	}
	defer undo()
	longest, began := time.Duration(0), time.Now()
	for quiet := time.NewTimer(3 * time.Minute); ; {
		select {
		case at := <-acks:
			longest, last = max(longest, at.Sub(last)), at
		case <-quiet.C:
			return 0, errors.New("no insert is acknowledged any more")
		}
		// Afterwards inserts must have gone on for a while.
		if longest > 50*time.Millisecond && last.Sub(began) > longest+3*time.Second || last.Sub(began) > 90*time.Second {
			return longest, nil
		}
	}
}

// insert writes rows until ctx ends, and connects again after every error.
func (db database) insert(ctx context.Context, acks chan<- time.Time) {
	for ctx.Err() == nil {
		conn, err := db.connect(ctx)
		for err == nil && ctx.Err() == nil {
			limited, cancel := context.WithTimeout(ctx, 5*time.Second)
			if _, err = conn.Exec(limited, "INSERT INTO outage VALUES (clock_timestamp())"); err == nil {
				acks <- time.Now()
			}
			cancel()
			time.Sleep(time.Millisecond)
		}
		if conn != nil {
			closing, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			_ = conn.Close(closing)
			cancel()
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// patroni is a cluster of three with etcd and HAProxy, on loopback.
type patroni struct {
	peer
	running []*exec.Cmd
	port    string
}

func (p *patroni) dsn() string {
	return "host=127.0.0.1 port=" + p.port + " user=postgres dbname=postgres password=" + password + " sslmode=disable"
}

func (p *patroni) start() error {
	for _, name := range []string{"patroni", "etcd", "haproxy"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w: apt-get install patroni python3-etcd etcd-server haproxy", err)
		}
	}
	if err := os.MkdirAll(p.dir, 0o777); err != nil {
		return err
	}
	if err := os.Chmod(p.dir, 0o777); err != nil {
		return err
	}
	ports, err := freePorts(9)
	if err != nil {
		return err
	}
	client, etcdPeer := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	p.port = ports[2]
	err = p.launch("etcd", "etcd", "--data-dir", filepath.Join(p.dir, "etcd"), "--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", etcdPeer, "--initial-advertise-peer-urls", etcdPeer, "--initial-cluster", "default="+etcdPeer)
	if err != nil {
		return err
	}
	proxy := fmt.Sprintf(haproxyConfig, p.port)
	for i := range 3 {
		pg, rest := ports[3+i], ports[6+i]
		proxy += fmt.Sprintf("    server node%d 127.0.0.1:%s maxconn 100 check port %s\n", i, pg, rest)
		dir := filepath.Join(p.dir, fmt.Sprintf("node%d", i))
		if err := p.run("mkdir", dir); err != nil {
			return err
		}
		config := filepath.Join(p.dir, fmt.Sprintf("node%d.yml", i))
		content := fmt.Sprintf(patroniConfig, i, rest, ports[0], pg, dir, password)
		if err := os.WriteFile(config, []byte(content), 0o644); err != nil {
			return err
		}
		if err := p.launch(fmt.Sprintf("patroni%d", i), "patroni", config); err != nil {
			return err
		}
		if i == 0 {
			if err := awaitHTTP("http://127.0.0.1:" + rest + "/primary"); err != nil {
				return err
			}
		}
	}
	for i := range 3 {
		if err := awaitHTTP("http://127.0.0.1:" + ports[6+i] + "/health"); err != nil {
			return err
		}
	}
	config := filepath.Join(p.dir, "haproxy.cfg")
	if err := os.WriteFile(config, []byte(proxy), 0o644); err != nil {
		return err
	}
	return p.launch("haproxy", "haproxy", "-db", "-f", config)
}

func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		ports = append(ports, addr[strings.LastIndex(addr, ":")+1:])
	}
	return ports, nil
}

func awaitHTTP(url string) error {
	var last error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		resp, err := http.Get(url)
		if last = err; err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		last = errors.New(resp.Status)
	}
	return fmt.Errorf("%s: %w", url, last)
}

func (p *patroni) launch(log, name string, args ...string) error {
	cmd := p.command(name, args...)
	file, err := os.Create(filepath.Join(p.dir, log+".log"))
	if err != nil {
		return err
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		return err
	}
	p.running = append(p.running, cmd)
	return nil
}

func (p *patroni) stop() error {
	for _, cmd := range slices.Backward(p.running) {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	_, all := database{dataDirs: filepath.Join(p.dir, "node*", "data")}.servers()
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGQUIT)
	}
	return nil
}

// What Patroni's documentation gives, with its defaults.
const (
	haproxyConfig = `global
    maxconn 100
defaults
    mode tcp
    retries 2
    timeout client 30m
    timeout connect 4s
    timeout server 30m
    timeout check 5s
listen postgres
    bind 127.0.0.1:%s
    option httpchk OPTIONS /primary
    http-check expect status 200
    default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions
`
	patroniConfig = `scope: bench
name: node%[1]d
restapi: {listen: "127.0.0.1:%[2]s", connect_address: "127.0.0.1:%[2]s"}
etcd3: {host: "127.0.0.1:%[3]s"}
bootstrap:
  dcs:
    ttl: 30
    loop_wait: 10
    retry_timeout: 10
    maximum_lag_on_failover: 1048576
    postgresql: {use_pg_rewind: true}
  initdb: [{encoding: UTF8}, data-checksums]
postgresql:
  listen: "127.0.0.1:%[4]s"
  connect_address: "127.0.0.1:%[4]s"
  data_dir: %[5]s/data
  bin_dir: /usr/lib/postgresql/15/bin
  pgpass: %[5]s/pgpass
  pg_hba: ["local all all trust", "host all all 127.0.0.1/32 scram-sha-256", "host replication all 127.0.0.1/32 scram-sha-256"]
  parameters: {unix_socket_directories: "%[5]s", shared_buffers: 64MB}
  authentication:
    superuser: {username: postgres, password: %[6]s}
    replication: {username: replicator, password: %[6]s}
    rewind: {username: rewinder, password: %[6]s}
`
)
