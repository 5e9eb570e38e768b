package faults

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/daybreakdb/daybreak/test/harness"
)

var away = flag.Duration("away", 15*time.Second, "how long the state store is away in its scenario")

// TestClientsNoticeNothingWhileTheStateStoreIsAway: etcd is killed, and cannot
// start again for a while.
func TestClientsNoticeNothingWhileTheStateStoreIsAway(t *testing.T) {
	c := deploy(t, 1)
	c.healthy(limit)
	o := newOracle(t, c.in, c.writer, c.reader)
	path := filepath.Join(c.in.Dir, "data", "run", "etcd.lock")
	signal(syscall.SIGKILL, c.ours("etcd"))
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, 10*time.Second, "etcd's lock is ours", func() error {
		return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	})
	time.Sleep(*away)
	t.Logf("longest time without an acknowledged commit: %v", o.takeGap())
	o.mu.Lock()
	if len(o.reasons) > 0 {
		t.Errorf("clients had errors: %v", o.reasons)
	}
	o.mu.Unlock()
	_ = file.Close()
	c.healthy(limit)
	killWriter.do(c, nil)
	c.healthy(limit)
	t.Log(o.verify(t))
}

// TestHigherTermsOfTheLogWinOverAnOldStateStore: the state store is restored from a
// copy that knows nothing of two failovers.
func TestHigherTermsOfTheLogWinOverAnOldStateStore(t *testing.T) {
	c := deploy(t, 1)
	c.healthy(limit)
	o := newOracle(t, c.in, c.writer, c.reader)
	etcd, old := filepath.Join(c.in.Dir, "data", "etcd"), filepath.Join(c.in.Dir, "old")
	c.in.Run("server", "stop")
	if out, err := exec.Command("cp", "-a", etcd, old).CombinedOutput(); err != nil { // with its owner
		t.Fatalf("%v: %s", err, out)
	}
	c.start()
	c.healthy(limit)
	for range 2 {
		killWriter.do(c, nil)
		c.healthy(limit)
	}
	c.in.Run("server", "stop")
	if err := errors.Join(os.RemoveAll(etcd), os.Rename(old, etcd)); err != nil {
		t.Fatal(err)
	}
	c.start()
	c.healthy(2 * limit)
	t.Log(o.verify(t))
}

// TestFailoverIsToldAndChangesNoPlan: events, members and status follow a failover
// that a user asks for, and Terraform has nothing to change after it.
func TestFailoverIsToldAndChangesNoPlan(t *testing.T) {
	c := deploy(t, 1)
	c.healthy(limit)
	client := c.in.RDS()
	writer := func() string {
		out, err := client.DescribeDBClusters(t.Context(), &rds.DescribeDBClustersInput{})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range out.DBClusters[0].DBClusterMembers {
			if *m.IsClusterWriter {
				return *m.DBInstanceIdentifier
			}
		}
		return ""
	}
	before := writer()
	c.failOver()
	harness.Eventually(t, limit, "another writer", func() error {
		if now := writer(); now == before || now == "" {
			return fmt.Errorf("the writer is %s", now)
		}
		return nil
	})
	c.healthy(limit)
	killWriter.do(c, nil)
	harness.Eventually(t, limit, "the first writer writes again", func() error {
		if now := writer(); now != before {
			return fmt.Errorf("the writer is %s", now)
		}
		return nil
	})
	c.healthy(limit)
	out, err := client.DescribeEvents(t.Context(), &rds.DescribeEventsInput{SourceType: types.SourceTypeDbCluster, EventCategories: []string{"failover"}})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, e := range out.Events {
		told = append(told, strings.Split(*e.Message, ":")[0])
	}
	// Both failovers, at least: a busy machine may have made another one necessary.
	pair := []string{"Started cross AZ failover to DB instance", "Completed failover to DB instance"}
	if want := append(slices.Clone(pair), pair...); len(told) < 4 || !slices.Equal(told[:2], pair) || len(told) == 4 && !slices.Equal(told, want) {
		t.Errorf("events: %q, want %q", told, want)
	}
	harness.Eventually(t, limit, "the functions of Aurora know the writer", c.in.Is(c.writer,
		"SELECT server_id FROM aurora_replica_status() WHERE session_id = 'MASTER_SESSION_ID'", before))
	var d harness.Deployment
	if c.in.JSON(&d, c.up...); d.Changed || d.Status != "RUNNING" {
		t.Errorf("the same command after two failovers: %+v", d)
	}
}

// TestZonesOnDisksOfTheirOwn: a zone's disk fills up, and hangs. Copies and servers of
// that zone come back when that is over.
func TestZonesOnDisksOfTheirOwn(t *testing.T) {
	probe := t.TempDir()
	if err := command("mount", "-t", "tmpfs", "none")(probe); err != nil {
		t.Logf("zones cannot have disks of their own here: %v", err)
		return
	}
	if err := command("umount")(probe); err != nil {
		t.Fatal(err)
	}
	in := harness.New(t, harness.Options{})
	zones := map[string]string{}
	for _, zone := range []string{"us-west-2a", "us-west-2b", "us-west-2c"} {
		zones[zone] = mountZone(t, in, zone)
	}
	c := deployOn(t, in, 2)
	c.healthy(limit)
	if out := in.Run("describe", "faults"); !strings.Contains(out, "on 3 disks") {
		t.Errorf("describe does not say what the disks mean: %s", out)
	}
	for _, f := range []struct {
		name      string
		hurt, end func(dir string) error
	}{
		{"full", fillDisk, func(dir string) error { return os.Remove(filepath.Join(dir, "filler")) }},
		{"hung", command("fsfreeze", "-f"), command("fsfreeze", "-u")},
	} {
		for _, whose := range []string{"the writer", "a reader"} {
			t.Run(f.name+", of "+whose, func(t *testing.T) {
				c := c.forTest(t)
				o := newOracle(t, c.in, c.writer, c.reader)
				zone := c.primary().zone
				if whose == "a reader" {
					zone = c.standbys()[0].zone
				}
				if err := f.hurt(zones[zone]); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second) // it lasts
				harness.Eventually(t, limit, "commits go on", func() error {
					_, err := c.in.Query(c.writer, "INSERT INTO registers VALUES (-2, 1) ON CONFLICT (k) DO UPDATE SET v = registers.v + 1 RETURNING v::text")
					return err
				})
				t.Logf("outage %v", o.takeGap())
				if err := f.end(zones[zone]); err != nil {
					t.Fatal(err)
				}
				c.healthy(2 * limit)
				t.Log(o.verify(t))
			})
		}
	}
}

func mountZone(t *testing.T, in *harness.Installation, zone string) string {
	t.Helper()
	dir := filepath.Join(in.Dir, "data", "zones", zone)
	image := filepath.Join(in.Dir, zone+".img")
	for _, args := range [][]string{
		{"mkdir", "-p", dir}, {"truncate", "-s", "900M", image}, {"mkfs.ext4", "-q", "-m", "0", image},
		{"mount", "-o", "loop", image, dir}, {"rmdir", filepath.Join(dir, "lost+found")}, {"chmod", "711", dir},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	t.Cleanup(func() {
		_ = exec.Command("fsfreeze", "-u", dir).Run()
		in.Try("server", "stop")
		_ = exec.Command("umount", "-l", dir).Run()
	})
	return dir
}

// fillDisk leaves nothing of the disk.
func fillDisk(dir string) error {
	file, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		return err
	}
	defer file.Close()
	for size := 1 << 20; size >= 1<<12; size /= 16 {
		for err == nil {
			_, err = file.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return err
		}
		err = nil
	}
	return nil
}

func command(name string, args ...string) func(string) error {
	return func(dir string) error {
		if out, err := exec.Command(name, append(args, dir)...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", name, err, out)
		}
		return nil
	}
}

// TestWhatSessionsSeeAcrossAFailover: idle ones, sequences, DDL, and those who try
// to get around the quorum.
func TestWhatSessionsSeeAcrossAFailover(t *testing.T) {
	c := deploy(t, 1)
	c.healthy(limit)
	ctx := t.Context()
	dial := func() *pgx.Conn {
		t.Helper()
		var conn *pgx.Conn
		harness.Eventually(t, limit, "a session", func() (err error) {
			conn, err = c.in.Connect(c.writer, "postgres", "postgres")
			return err
		})
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		return conn
	}
	idle, busy := dial(), dial()
	for _, sql := range []string{"CREATE SEQUENCE s", "CREATE DATABASE made", "CREATE TABLE big AS SELECT generate_series(1, 200000) AS n", "CREATE INDEX ON big (n)"} {
		if _, err := busy.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	numbers := map[int64]bool{}
	take := func(conn *pgx.Conn) {
		t.Helper()
		for range 50 {
			var n int64
			if err := conn.QueryRow(ctx, "SELECT nextval('s')").Scan(&n); err != nil {
				t.Fatal(err)
			}
			if numbers[n] {
				t.Fatalf("the sequence gave %d twice", n)
			}
			numbers[n] = true
		}
	}
	take(busy)
	killWriter.do(c, nil)
	_, err := idle.Exec(ctx, "INSERT INTO registers VALUES (1, 1)")
	if err == nil { // its backend was not dead yet: the row must be there
		harness.Eventually(t, limit, "the row of the idle session", c.in.Is(c.writer, "SELECT count(*)::text FROM registers WHERE k = 1", "1"))
	}
	var e *pgconn.PgError
	if errors.As(err, &e) && !slices.Contains([]string{"57P01", "57P02", "08006", "08007"}, e.Code) {
		t.Errorf("an idle session learns of the failover by %v", err)
	}
	after := dial()
	take(after)
	var rows int
	if err := after.QueryRow(ctx, "SELECT count(*) FROM big WHERE n > 0").Scan(&rows); err != nil || rows != 200000 {
		t.Errorf("%d rows of 200000, %v", rows, err)
	}
	if _, err := c.in.Connect(c.writer, "postgres", "made"); err != nil {
		t.Errorf("the database that was made is not there: %v", err)
	}
	for _, sql := range []string{"ALTER SYSTEM SET synchronous_standby_names = ''", "SET synchronous_standby_names = ''"} {
		if _, err := after.Exec(ctx, sql); err == nil {
			t.Errorf("%s was allowed", sql)
		}
	}
	// Whoever takes the shipper's name acknowledges nothing.
	impostor, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d user=postgres password=%s replication=true sslmode=require", c.writer.Host, c.writer.Port, harness.Password))
	if err != nil {
		t.Fatal(err)
	}
	delete(impostor.RuntimeParams, "replication")
	impostor.RuntimeParams["replication"] = "true"
	if conn, err := pgx.ConnectConfig(ctx, impostor); err == nil {
		_ = conn.Close(ctx)
		t.Error("a user can connect for replication")
	}
}
