package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// patroni is a cluster of three with etcd and HAProxy, on loopback.
type patroni struct {
	peer
	synchronous bool
	running     []*exec.Cmd
	nodes       [3]patroniNode
	port        string
}

type patroniNode struct {
	postgres, rest string // ports
	agent          *exec.Cmd
}

func (p *patroni) nodeDir(i int) string { return filepath.Join(p.dir, fmt.Sprint("node", i)) }

func (p *patroni) dsn(port string) string {
	return "host=127.0.0.1 port=" + port + " user=postgres dbname=postgres password=" + password + " sslmode=disable"
}

func (p *patroni) database(name string) *database {
	db := &database{name: name, dsn: p.dsn(p.port), dataDirs: filepath.Join(p.dir, "node*", "data")}
	for _, n := range p.nodes {
		db.members = append(db.members, p.dsn(n.postgres))
	}
	db.switchover = func(dir string) error {
		i := p.nodeOf(dir)
		body := fmt.Sprintf(`{"leader": "node%d"}`, i)
		resp, err := http.Post("http://127.0.0.1:"+p.nodes[i].rest+"/switchover", "application/json", bytes.NewReader([]byte(body)))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("switchover: %s", resp.Status)
		}
		return nil
	}
	db.loseHost = func(dir string) (func() error, error) {
		i := p.nodeOf(dir)
		_, all := db.servers()
		_ = p.nodes[i].agent.Process.Kill()
		err := syscall.Kill(all[dir], syscall.SIGKILL)
		_ = p.nodes[i].agent.Wait()
		return func() error { return p.startNode(i) }, err
	}
	return db
}

func (p *patroni) nodeOf(dataDir string) int {
	for i := range p.nodes {
		if strings.HasPrefix(dataDir, p.nodeDir(i)+"/") {
			return i
		}
	}
	return 0
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
	_, err = p.launch("etcd", "etcd", "--data-dir", filepath.Join(p.dir, "etcd"), "--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", etcdPeer, "--initial-advertise-peer-urls", etcdPeer, "--initial-cluster", "default="+etcdPeer)
	if err != nil {
		return err
	}
	proxy := fmt.Sprintf(haproxyConfig, p.port)
	for i := range p.nodes {
		n := &p.nodes[i]
		n.postgres, n.rest = ports[3+i], ports[6+i]
		proxy += fmt.Sprintf("    server node%d 127.0.0.1:%s maxconn 100 check port %s\n", i, n.postgres, n.rest)
		if err := p.run("mkdir", p.nodeDir(i)); err != nil {
			return err
		}
		content := fmt.Sprintf(patroniConfig, i, n.rest, ports[0], n.postgres, p.nodeDir(i), password, p.synchronous)
		if err := os.WriteFile(p.nodeDir(i)+".yml", []byte(content), 0o644); err != nil {
			return err
		}
		if err := p.startNode(i); err != nil {
			return err
		}
		if i == 0 {
			if err := awaitHTTP("http://127.0.0.1:" + n.rest + "/primary"); err != nil {
				return err
			}
		}
	}
	for _, n := range p.nodes {
		if err := awaitHTTP("http://127.0.0.1:" + n.rest + "/health"); err != nil {
			return err
		}
	}
	config := filepath.Join(p.dir, "haproxy.cfg")
	if err := os.WriteFile(config, []byte(proxy), 0o644); err != nil {
		return err
	}
	_, err = p.launch("haproxy", "haproxy", "-db", "-f", config)
	return err
}

func (p *patroni) startNode(i int) (err error) {
	p.nodes[i].agent, err = p.launch(fmt.Sprint("patroni", i), "patroni", p.nodeDir(i)+".yml")
	return err
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

func (p *patroni) launch(log, name string, args ...string) (*exec.Cmd, error) {
	cmd := p.command(name, args...)
	file, err := os.OpenFile(filepath.Join(p.dir, log+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.running = append(p.running, cmd)
	return cmd, nil
}

func (p *patroni) stop() error {
	for _, cmd := range slices.Backward(p.running) {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	_, all := (&database{dataDirs: filepath.Join(p.dir, "node*", "data")}).servers()
	var errs []error
	for dir, pid := range all {
		if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
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
    synchronous_mode: %[7]t
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
