package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
)

// failoverRounds is how often a fault happens to Daybreak, ten times that for the
// killed writer; DAYBREAK_BENCH_ROUNDS changes it.
const failoverRounds = 20

// fault is something that happens to the writer of a database.
type fault struct {
	name         string
	clients      int
	ours, theirs int // rounds with Daybreak and with each peer
	do           func(*database) (undo func() error, err error)
}

// benchFailover measures what clients see of a failover, beside Patroni with etcd
// and HAProxy, as Debian has them and with their defaults: asynchronous, and with
// synchronous_mode.
func benchFailover(s *server) error {
	rounds := failoverRounds
	if n, err := strconv.Atoi(os.Getenv("DAYBREAK_BENCH_ROUNDS")); err == nil && n > 0 {
		rounds = n
	}
	d, err := s.up("ha", "--param", "readReplicaCount=2")
	if err != nil {
		return err
	}
	databases := []*database{s.database(d)}
	for _, synchronous := range []bool{false, true} {
		name := "Patroni"
		if synchronous {
			name += ", synchronous_mode"
		}
		p := &patroni{peer: peer{dir: filepath.Join(s.dir, fmt.Sprint("patroni-", synchronous))}, synchronous: synchronous}
		defer p.stop()
		if err := p.start(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		databases = append(databases, p.database(name))
	}
	for _, db := range databases {
		if err := db.prepare(); err != nil {
			return fmt.Errorf("%s: %w", db.name, err)
		}
	}
	title("What clients see of the writer's outage: the longest time between two acknowledged inserts")
	heading("fault", "database", "rounds", "median", "p99", "worst", "failed statements", "lost commits", "all members back, median, worst")
	for _, f := range []fault{
		{"writer's postmaster killed", 1, 10 * rounds, min(rounds, 3), (*database).killWriter},
		{"all processes of the writer stopped", 1, rounds, min(rounds, 2), (*database).freezeWriter},
		{"writer's host lost (all its processes killed)", 1, 0, min(rounds, 2), (*database).loseWriter},
		{"switchover", 8, rounds, min(rounds, 3), (*database).switchOver},
	} {
		if err := f.compare(databases[0], databases[1:]); err != nil {
			return err
		}
	}
	return nil
}

// compare makes the fault happen in all databases, the peers' rounds between ours.
func (f fault) compare(ours *database, peers []*database) error {
	seen := map[*database][]outage{}
	round := func(db *database) error {
		o, err := db.suffer(f)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", db.name, f.name, err)
		}
		seen[db] = append(seen[db], o)
		return nil
	}
	total := max(f.ours, f.theirs)
	for i := range total {
		if i < f.ours {
			if err := round(ours); err != nil {
				return err
			}
		}
		if i*f.theirs/total == (i+1)*f.theirs/total {
			continue
		}
		for _, db := range peers {
			if err := round(db); err != nil {
				return err
			}
		}
	}
	for _, db := range append([]*database{ours}, peers...) {
		if len(seen[db]) > 0 {
			f.report(db.name, seen[db])
		}
	}
	return nil
}

func (f fault) report(name string, outages []outage) {
	var gaps, back []time.Duration
	failed, lost := 0, 0
	for _, o := range outages {
		gaps, back = append(gaps, o.gap), append(back, o.back)
		failed, lost = failed+o.failed, lost+o.lost
	}
	slices.Sort(gaps)
	slices.Sort(back)
	row(f.name, name, strconv.Itoa(len(gaps)), seconds(median(gaps)), seconds(percentile(gaps, 0.99)), seconds(gaps[len(gaps)-1]),
		strconv.Itoa(failed), strconv.Itoa(lost), seconds(median(back))+", "+seconds(back[len(back)-1]))
}

func (s *server) database(d deployment) *database {
	members := []string{d.Outputs["writer_instance_endpoint"].(string)}
	for _, host := range d.Outputs["reader_instance_endpoints"].([]any) {
		members = append(members, host.(string))
	}
	db := &database{
		name: "Daybreak", dsn: s.dsn(d.Endpoints.Writer),
		dataDirs: filepath.Join(s.dir, "data", "zones", "*", "*", "*", "data"),
	}
	for _, host := range members {
		db.members = append(db.members, s.dsn(endpoint{Host: host, Port: d.Endpoints.Writer.Port}))
	}
	db.switchover = func(string) error {
		client, err := s.rds()
		if err != nil {
			return err
		}
		_, err = client.FailoverDBCluster(context.Background(), &rds.FailoverDBClusterInput{
			DBClusterIdentifier: aws.String(d.Outputs["cluster_id"].(string)),
		})
		return err
	}
	return db
}

// servers are the postmasters that run, by data directory; the writer's is the one
// that is no standby.
func (db *database) servers() (writer string, all map[string]int) {
	dirs, _ := filepath.Glob(db.dataDirs)
	all = map[string]int{}
	for _, dir := range dirs {
		content, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
		if err != nil {
			continue
		}
		pid, err := strconv.Atoi(strings.SplitN(string(content), "\n", 2)[0])
		if err != nil || syscall.Kill(pid, 0) != nil {
			continue
		}
		all[dir] = pid
		if _, err := os.Stat(filepath.Join(dir, "standby.signal")); errors.Is(err, os.ErrNotExist) {
			writer = dir
		}
	}
	return writer, all
}

func nothing() error { return nil }

func (db *database) killWriter() (func() error, error) {
	writer, all := db.servers()
	if writer == "" {
		return nil, errors.New("no writer runs")
	}
	return nothing, syscall.Kill(all[writer], syscall.SIGKILL)
}

func (db *database) freezeWriter() (func() error, error) {
	writer, all := db.servers()
	pid := all[writer]
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil, err
	}
	pids := []int{pid}
	for _, field := range strings.Fields(string(children)) {
		child, _ := strconv.Atoi(field)
		pids = append(pids, child)
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
	return func() error {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
		return nil
	}, nil
}

func (db *database) loseWriter() (func() error, error) {
	writer, _ := db.servers()
	return db.loseHost(writer)
}

func (db *database) switchOver() (func() error, error) {
	writer, _ := db.servers()
	return nothing, db.switchover(writer)
}

func awaitHTTP(url string) error {
	return eventually(2*time.Minute, func(context.Context) error {
		resp, err := http.Get(url)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", url, resp.Status)
		}
		return nil
	})
}
