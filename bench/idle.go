package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
)

const idleWindow = 10 * time.Second

// benchIdle measures a server with 0, 10 and 20 idle clusters of one instance:
// memory and CPU of everything it runs, and the time to create the next one.
func benchIdle(s *server) error {
	client, err := s.rds()
	if err != nil {
		return err
	}
	title("Idle clusters: everything that the server runs")
	heading("idle clusters", "memory (PSS)", "CPU of one core", "time to create the next")
	made := 0
	for _, want := range []int{0, 10, 20} {
		for ; made < want; made++ {
			if _, err := createCluster(client, made); err != nil {
				return err
			}
		}
		before := s.usage()
		time.Sleep(idleWindow) // the length of the measurement
		after := s.usage()
		took, err := createCluster(client, made)
		if err != nil {
			return err
		}
		made++
		row(fmt.Sprint(want), fmt.Sprintf("%d MiB", after.pss>>20),
			fmt.Sprintf("%.1f %%", 100*(after.cpu-before.cpu).Seconds()/idleWindow.Seconds()), seconds(took))
	}
	return nil
}

// createCluster makes a cluster with a writer and waits until it is available.
func createCluster(client *rds.Client, n int) (time.Duration, error) {
	ctx := context.Background()
	cluster, instance := fmt.Sprintf("idle-%02d", n), fmt.Sprintf("idle-%02d-1", n)
	start := time.Now()
	_, err := client.CreateDBCluster(ctx, &rds.CreateDBClusterInput{
		DBClusterIdentifier: &cluster, Engine: aws.String("aurora-postgresql"),
		MasterUsername: aws.String("postgres"), MasterUserPassword: aws.String(password),
	})
	if err != nil {
		return 0, err
	}
	_, err = client.CreateDBInstance(ctx, &rds.CreateDBInstanceInput{
		DBClusterIdentifier: &cluster, DBInstanceIdentifier: &instance,
		Engine: aws.String("aurora-postgresql"), DBInstanceClass: aws.String("db.t4g.medium"),
	})
	if err != nil {
		return 0, err
	}
	for time.Since(start) < time.Minute {
		out, err := client.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &instance})
		if err != nil {
			return 0, err
		}
		if aws.ToString(out.DBInstances[0].DBInstanceStatus) == "available" {
			return time.Since(start), nil
		}
	}
	return 0, fmt.Errorf("%s is not available after a minute", instance)
}

type usage struct {
	pss int64 // bytes; memory shared by processes is counted once
	cpu time.Duration
}

// usage sums over the processes whose binary or data is the server's.
func (s *server) usage() usage { return s.sum(true) }

// ownUsage leaves PostgreSQL out: its backends end with their sessions, and what
// they used cannot be read afterwards.
func (s *server) ownUsage() usage { return s.sum(false) }

func (s *server) sum(postgres bool) usage {
	var u usage
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range procs {
		exe, _ := os.Readlink(filepath.Join(proc, "exe"))
		cwd, _ := os.Readlink(filepath.Join(proc, "cwd"))
		if exe != s.binary && !(postgres && strings.HasPrefix(cwd, s.dir)) {
			continue
		}
		u.pss += pss(proc)
		u.cpu += cpu(proc)
	}
	return u
}

func pss(proc string) int64 {
	data, _ := os.ReadFile(filepath.Join(proc, "smaps_rollup"))
	for _, line := range strings.Split(string(data), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
			kib, _ := strconv.ParseInt(f[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// cpu is the processor time that a process has used; a tick is 10 ms on Linux.
func cpu(proc string) time.Duration {
	data, _ := os.ReadFile(filepath.Join(proc, "stat"))
	_, rest, ok := strings.Cut(string(data), ") ")
	f := strings.Fields(rest)
	if !ok || len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}
