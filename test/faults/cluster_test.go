package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/test/faults/disk"
	"github.com/daybreakdb/daybreak/test/harness"
)

// cluster is one deployment under test and the processes behind it.
type cluster struct {
	t              testing.TB
	in             *harness.Installation
	net            *harness.Network               // of hosts, when there are several
	removed        map[*harness.Installation]bool // hosts that are none any more
	writer, reader harness.Endpoint
	members        int
	up             []string              // the command that made it
	disks          map[string]*disk.Disk // by zone, and etcd's, where they are of our own
}

// deploy makes a cluster of a writer and readers on an installation of its own.
func deploy(t testing.TB, readers int) *cluster {
	t.Helper()
	return deployOn(t, harness.New(t, harness.Options{User: uint32(*user)}), readers)
}

func deployOn(t testing.TB, in *harness.Installation, readers int) *cluster {
	t.Helper()
	return deployAt(t, in, nil, readers)
}

// deployAt makes it on the hosts of a network, if there is one, whose first is in.
func deployAt(t testing.TB, in *harness.Installation, network *harness.Network, readers int) *cluster {
	t.Helper()
	secret := in.Write("password", harness.Password)
	var d harness.Deployment
	c := &cluster{t: t, in: in, net: network, members: readers + 1, removed: map[*harness.Installation]bool{}}
	c.up = []string{"up", in.Plan(), "--name", "faults", "--param", "password=@" + secret, "--param", fmt.Sprintf("readReplicaCount=%d", readers)}
	in.JSON(&d, c.up...)
	c.writer, c.reader = d.Endpoints.Writer, d.Endpoints.Reader
	if network != nil {
		c.writer, c.reader = c.published("writer"), c.published("reader")
	}
	harness.Eventually(t, time.Minute, "SQL through the writer", in.Is(c.writer, "SELECT 1::text", "1"))
	in.Exec(c.writer, schema)
	return c
}

// hosts are all of the installation; in is the first one.
func (c *cluster) hosts() []*harness.Installation {
	if c.net == nil {
		return []*harness.Installation{c.in}
	}
	return slices.DeleteFunc(slices.Clone(c.net.Hosts), func(h *harness.Installation) bool { return c.removed[h] })
}

// server is a PostgreSQL of the cluster.
type server struct {
	host           *harness.Installation
	instance, zone string
	dir            string
	pid            int
	standby        bool
}

// failOver asks for another writer through the AWS API.
func (c *cluster) failOver() {
	c.t.Helper()
	client := c.in.RDS()
	harness.Eventually(c.t, time.Minute, "the request is accepted", func() error {
		clusters, err := client.DescribeDBClusters(c.t.Context(), &rds.DescribeDBClustersInput{})
		if err == nil {
			_, err = client.FailoverDBCluster(c.t.Context(), &rds.FailoverDBClusterInput{DBClusterIdentifier: clusters.DBClusters[0].DBClusterIdentifier})
		}
		return err
	})
}

// zones is where the zones' files are: below their disks, which may hang.
func (c *cluster) zones() string {
	if c.disks != nil {
		return filepath.Join(c.in.Dir, "disks")
	}
	return filepath.Join(c.in.Dir, "data", "zones")
}

// servers are those that run.
func (c *cluster) servers() []server {
	if c.net == nil {
		return serversIn(c.in, c.zones())
	}
	var all []server
	for _, host := range c.hosts() {
		all = append(all, serversIn(host, filepath.Join(host.Dir, "data", "zones"))...)
	}
	return all
}

// serversIn are those whose zones' files are below a directory.
func serversIn(host *harness.Installation, zones string) []server {
	files, _ := filepath.Glob(filepath.Join(zones, "*", "*", "*", "data", "postmaster.pid"))
	var all []server
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		pid, err := strconv.Atoi(strings.SplitN(string(content), "\n", 2)[0])
		if err != nil || syscall.Kill(pid, 0) != nil {
			continue
		}
		data := filepath.Dir(file)
		parts := strings.Split(data, string(filepath.Separator))
		_, err = os.Stat(filepath.Join(data, "standby.signal"))
		all = append(all, server{
			host: host, instance: parts[len(parts)-2], zone: parts[len(parts)-4], dir: filepath.Dir(data), pid: pid, standby: err == nil})
	}
	return all
}

// primary is the server that writes, or the zero server while there is none.
func (c *cluster) primary() server {
	for _, s := range c.servers() {
		if !s.standby {
			return s
		}
	}
	return server{}
}

func (c *cluster) standbys() []server {
	return slices.DeleteFunc(c.servers(), func(s server) bool { return !s.standby })
}

// process is a child of a server and its title.
type process struct {
	pid   int
	title string
}

func (s server) children() []process {
	if s.pid == 0 {
		return nil
	}
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", s.pid, s.pid))
	if err != nil {
		return nil
	}
	var all []process
	for _, field := range strings.Fields(string(content)) {
		pid, _ := strconv.Atoi(field)
		title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil {
			all = append(all, process{pid, strings.TrimRight(string(title), "\x00 ")})
		}
	}
	return all
}

// child returns a child whose title has the text.
func (s server) child(text string) int {
	for _, p := range s.children() {
		if strings.Contains(p.title, text) {
			return p.pid
		}
	}
	return 0
}

// signal sends to processes; those that are gone do not matter. A process id of 0
// would be ourselves.
func signal(sig syscall.Signal, pids ...int) {
	for _, pid := range pids {
		if pid > 1 {
			_ = syscall.Kill(pid, sig)
		}
	}
}

// all is the server's processes.
func (s server) all() []int {
	pids := []int{s.pid}
	for _, p := range s.children() {
		pids = append(pids, p.pid)
	}
	return pids
}

// ours is the process id of one of the installation's own processes, or 0.
func (c *cluster) ours(name string) int { return processOf(c.in, name) }

func processOf(host *harness.Installation, name string) int {
	content, err := os.ReadFile(filepath.Join(host.Dir, "data", "run", name+".lock"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil || syscall.Kill(pid, 0) != nil {
		return 0
	}
	return pid
}

// start is what the unit of the service manager does after a crash.
func (c *cluster) start() {
	c.t.Helper()
	harness.Eventually(c.t, time.Minute, "the server starts", func() error {
		_, stderr, err := c.in.Try("server", "start")
		if err != nil {
			return fmt.Errorf("%w: %s", err, stderr)
		}
		return nil
	})
}

// healthy waits until commits go on, every member and every process of ours runs,
// readers follow, and the copies of the log are whole.
func (c *cluster) healthy(limit time.Duration) {
	c.t.Helper()
	harness.Eventually(c.t, limit, "a commit", func() error {
		_, err := c.in.Query(c.writer, "INSERT INTO registers VALUES (-2, 1) ON CONFLICT (k) DO UPDATE SET v = registers.v + 1 RETURNING v::text")
		return err
	})
	harness.Eventually(c.t, limit, "every member runs", func() error {
		all := c.servers()
		if len(all) != c.members || c.primary().pid == 0 || len(c.standbys()) != c.members-1 {
			return fmt.Errorf("%d of %d servers run: %+v", len(all), c.members, all)
		}
		for _, s := range c.standbys() {
			if s.child("walreceiver streaming") == 0 {
				return fmt.Errorf("%s does not follow", s.instance)
			}
		}
		names := []string{"supervisor", "control", "node", "log", "endpoint", "etcd"}
		if c.net != nil {
			names = append(names, "link")
		}
		for _, host := range c.hosts() {
			for _, name := range names {
				if processOf(host, name) == 0 {
					return fmt.Errorf("%s does not run on the host %s", name, host.Addr)
				}
			}
		}
		return nil
	})
	client := c.in.RDS()
	harness.Eventually(c.t, limit, "the region says that all is available", func() error {
		clusters, err := client.DescribeDBClusters(c.t.Context(), &rds.DescribeDBClustersInput{})
		if err != nil {
			return err
		}
		instances, err := client.DescribeDBInstances(c.t.Context(), &rds.DescribeDBInstancesInput{})
		if err != nil {
			return err
		}
		if status := *clusters.DBClusters[0].Status; status != "available" {
			return errors.New("the cluster is " + status)
		}
		for _, in := range instances.DBInstances {
			if *in.DBInstanceStatus != "available" {
				return fmt.Errorf("%s is %s", *in.DBInstanceIdentifier, *in.DBInstanceStatus)
			}
		}
		return nil
	})
	harness.Eventually(c.t, limit, "every copy of the log is whole", func() error {
		out, stderr, err := c.in.Try("describe", "faults")
		if err == nil && strings.Contains(out, "copies of the log get every commit") {
			err = errors.New(out)
		}
		if err != nil {
			return fmt.Errorf("%w: %s", err, stderr)
		}
		return nil
	})
}
