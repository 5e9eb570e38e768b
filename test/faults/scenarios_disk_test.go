package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/daybreakdb/daybreak/test/faults/disk"
	"github.com/daybreakdb/daybreak/test/harness"
)

// TestDiskScenarios: what happens to disks. Each zone has one of its own here, and
// the state store too.
func TestDiskScenarios(t *testing.T) {
	if *scenarios != "" && !canMount(t) {
		return
	}
	runScenarios(t, []scenario{
		{numbers: "9", name: "long crash recovery of the writer", do: longRecovery},
		{numbers: "11", name: "syncs of the writer's WAL fail", do: syncOfWALFails},
		{numbers: "12", name: "the writer's disk hangs", do: diskHangs},
		{numbers: "13", name: "the writer's disk gets read-only", do: diskReadOnly},
		{numbers: "14", name: "the writer's pg_wal is full", do: walFull},
		{numbers: "15", name: "the writer's data disk is full", do: dataFull},
		{numbers: "16", name: "the disk of two copies of the log is full", do: logDiskFull},
		{numbers: "17", name: "syncs of two copies of the log take half a second", do: slowSyncs},
		{numbers: "18", name: "two copies of the log hang", do: copiesHang},
		{numbers: "20", name: "a page of a reader is damaged, and then the writer's", do: pageDamaged},
		{numbers: "21, 61", name: "power cuts that lose what was not synced", do: powerCuts},
		{numbers: "22", name: "a reader's pg_wal is full", do: readersWALFull},
		{numbers: "29", name: "a zone's copies of the log hang, and one more is lost", do: zoneAndOneMore},
		{numbers: "29", name: "too few copies of the log for a while", do: tooFewCopies},
		{numbers: "39", name: "etcd's disk takes two seconds for a sync", do: etcdSlow},
		{numbers: "40, 41", name: "etcd's disk is full", do: etcdFull},
		{numbers: "40", name: "etcd has raised its alarm", do: etcdAlarm},
		{numbers: "48", name: "a copy comes back with a tail that nobody else has", do: returningTail},
		{numbers: "48", name: "the same, and the copy cannot be read meanwhile", do: returningTailUnreadable},
		{numbers: "49", name: "a writer returns after three failovers", do: returnsAfterThreeFailovers},
	}, deployOnDisks)
}

// canMount says whether file systems can be mounted here.
func canMount(t *testing.T) bool {
	t.Helper()
	d, err := disk.Mount(t.TempDir(), t.TempDir())
	if err != nil {
		t.Logf("disks cannot be made here: %v", err)
		return false
	}
	if err := d.Unmount(); err != nil {
		t.Fatal(err)
	}
	return true
}

// deployOnDisks deploys on an installation whose zones and state store have disks
// that can fail.
func deployOnDisks(t *testing.T) *cluster {
	t.Helper()
	in := harness.New(t, harness.Options{})
	in.Run("server", "stop")
	disks := map[string]*disk.Disk{}
	for name, dir := range map[string]string{
		"etcd": "etcd", "us-west-2a": "zones/us-west-2a", "us-west-2b": "zones/us-west-2b", "us-west-2c": "zones/us-west-2c",
	} {
		dir, backing := filepath.Join(in.Dir, "data", dir), filepath.Join(in.Dir, "disks", name)
		err := os.MkdirAll(filepath.Dir(backing), 0o711)
		if name == "etcd" {
			err = errors.Join(err, os.Rename(dir, backing), os.Mkdir(dir, 0o700))
		} else {
			err = errors.Join(err, os.MkdirAll(backing, 0o711), os.MkdirAll(dir, 0o711))
		}
		if err != nil {
			t.Fatal(err)
		}
		d, err := disk.Mount(backing, dir)
		if err != nil {
			t.Fatal(err)
		}
		disks[name] = d
	}
	t.Cleanup(func() {
		for _, d := range disks {
			_ = d.Set()
		}
		in.Try("server", "stop")
		for _, d := range disks {
			if err := d.Unmount(); err != nil {
				t.Log(err)
			}
		}
	})
	in.Run("server", "start")
	c := deployOn(t, in, 2)
	c.disks = disks
	c.healthy(2 * limit)
	return c
}

// have has rules hold on a disk until heal, or the end of the test.
func (c *cluster) have(name string, rules ...disk.Rule) (heal func()) {
	c.t.Helper()
	d := c.disks[name]
	c.must(d.Set(rules...))
	heal = func() { c.must(d.Set()) }
	c.t.Cleanup(func() { _ = d.Set() })
	return heal
}

// ofLog are the files of a zone's copies of the log.
const ofLog = `(^journal/|/wal-\d)`

func (s server) path(below string) string { return "/" + s.instance + "/" + below }

// takenOver waits for another writer, and says how long that took.
func (c *cluster) takenOver(from server) {
	c.t.Helper()
	began := time.Now()
	c.anotherWriter(from)
	c.t.Logf("another writer after %v", time.Since(began))
}

func longRecovery(c *cluster, _ *oracle) {
	old := c.primary()
	heal := c.have(old.zone, disk.Rule{Op: disk.Read, Path: old.path("data/"), Delay: 300 * time.Millisecond})
	signal(syscall.SIGKILL, old.all()...)
	c.takenOver(old)
	settle(3 * time.Second)
	heal()
}

func syncOfWALFails(c *cluster, _ *oracle) {
	old := c.primary()
	heal := c.have(old.zone, disk.Rule{Op: disk.Sync, Path: old.path("data/pg_wal/"), Errno: syscall.EIO})
	c.takenOver(old)
	settle(3 * time.Second)
	heal()
}

func diskHangs(c *cluster, o *oracle) {
	old := c.primary()
	o.takeGap()
	heal := c.have(old.zone, disk.Rule{Op: disk.All, Hang: true})
	c.takenOver(old)
	settle(10 * time.Second)
	c.t.Logf("longest time without a commit %v", o.takeGap())
	heal()
}

func diskReadOnly(c *cluster, _ *oracle) {
	old := c.primary()
	heal := c.have(old.zone, disk.Rule{Op: disk.Write, Errno: syscall.EROFS}, disk.Rule{Op: disk.Sync, Errno: syscall.EROFS})
	c.takenOver(old)
	settle(5 * time.Second)
	heal()
}

// walFull: the server cannot make another segment, and ends.
func walFull(c *cluster, _ *oracle) {
	old := c.primary()
	heal := c.have(old.zone, disk.Rule{Op: disk.Extend, Path: old.path("data/pg_wal/"), Errno: syscall.ENOSPC})
	conn := c.session(c.writer)
	began := time.Now()
	for c.primary().instance == old.instance && time.Since(began) < limit {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_, err := conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS filling (t text); INSERT INTO filling SELECT repeat(md5(n::text), 30) FROM generate_series(1, 10000) AS n; DROP TABLE filling; SELECT pg_switch_wal()")
		cancel()
		if err != nil && sqlState(err) != "42501" {
			c.t.Logf("a client is told %v", err)
			break
		}
	}
	c.takenOver(old)
	settle(3 * time.Second)
	heal()
	c.exec(c.session(c.writer), "DROP TABLE IF EXISTS filling")
}

// dataFull: clients are told, nothing crashes, and reads go on.
func dataFull(c *cluster, o *oracle) {
	writer := c.primary()
	conn := c.session(c.writer)
	c.exec(conn, "CREATE TABLE IF NOT EXISTS filling (t text)")
	heal := c.have(writer.zone, disk.Rule{Op: disk.Extend, Path: writer.path("data/base/"), Errno: syscall.ENOSPC})
	for range 5 {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		_, err := conn.Exec(ctx, "INSERT INTO filling SELECT repeat(md5(n::text), 30) FROM generate_series(1, 10000) AS n")
		cancel()
		if sqlState(err) != "53100" {
			c.t.Errorf("an insert on a full disk: %v, want 53100", err)
		}
		c.exec(conn, "SELECT count(*) FROM filling")
		settle(time.Second)
	}
	heal()
	c.exec(conn, "INSERT INTO filling VALUES ('there is room')", "DROP TABLE filling")
	if now := c.primary(); now.pid != writer.pid {
		c.t.Errorf("the writer was %+v and is %+v", writer, now)
	}
	_ = o
}

// otherZone is a zone without the writer.
func (c *cluster) otherZone() string { return c.standbys()[0].zone }

func logDiskFull(c *cluster, o *oracle) {
	for _, zone := range []string{c.otherZone(), c.primary().zone} {
		writer := c.primary()
		o.takeGap()
		heal := c.have(zone, disk.Rule{Op: disk.Extend, Path: ofLog, Errno: syscall.ENOSPC})
		c.fill(60)
		settle(3 * time.Second)
		c.commitsGoOn()
		c.t.Logf("%s: longest time without a commit %v", zone, o.takeGap())
		if now := c.primary(); now.pid != writer.pid {
			c.t.Errorf("the writer was %+v and is %+v", writer, now)
		}
		heal()
		c.healthy(3 * limit)
	}
}

// commitTimes are how long each of n commits takes, sorted.
func (c *cluster) commitTimes(n int) []time.Duration {
	c.t.Helper()
	conn := c.session(c.writer)
	var all []time.Duration
	for range n {
		began := time.Now()
		c.exec(conn, "INSERT INTO registers VALUES (-9, 1) ON CONFLICT (k) DO UPDATE SET v = registers.v + 1")
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all
}

func slowSyncs(c *cluster, _ *oracle) {
	before := c.commitTimes(300)
	heal := c.have(c.otherZone(), disk.Rule{Op: disk.Sync, Path: ofLog, Delay: 500 * time.Millisecond})
	slow := c.commitTimes(300)
	heal()
	c.t.Logf("median and 99th percentile of a commit: %v and %v before, %v and %v with two slow copies", before[150], before[297], slow[150], slow[297])
	if slow[150] > 300*time.Millisecond {
		c.t.Errorf("half of the commits took more than %v", slow[150])
	}
}

func copiesHang(c *cluster, o *oracle) {
	heal := c.have(c.otherZone(), disk.Rule{Op: disk.All, Path: ofLog, Hang: true})
	settle(time.Second)
	c.commitsGoOn()
	c.t.Logf("longest time without a commit %v", o.takeGap())
	for range 2 {
		killWriter.do(c, nil)
		c.t.Logf("writer killed: a commit after %v", c.commitsGoOn())
		settle(2 * time.Second)
	}
	heal()
}

// pageDamaged flips bits of a page of a table. Nobody may get a wrong answer.
func pageDamaged(c *cluster, _ *oracle) {
	setup := c.session(c.writer)
	c.exec(setup, "DROP TABLE IF EXISTS pages", "CREATE TABLE pages AS SELECT n, md5(n::text) AS t FROM generate_series(1, 2000) AS n")
	const sum = "SELECT sum(n) || ' ' || md5(string_agg(t, '' ORDER BY n)) FROM pages"
	right, err := ask(setup, sum)
	c.must(err)
	// After this nothing writes the pages' images to the WAL, which would repair them.
	c.exec(setup, "VACUUM pages", "CHECKPOINT")
	file, err := ask(setup, "SELECT pg_relation_filepath('pages')")
	c.must(err)
	for _, s := range c.standbys() {
		conn, err := c.direct(s)
		c.must(err)
		harness.Eventually(c.t, limit, "the table is at the reader", func() error {
			if got, err := ask(conn, sum); err != nil || got != right {
				return fmt.Errorf("%s, %w", got, err)
			}
			return nil
		})
		c.exec(conn, "CHECKPOINT")
		_ = conn.Close(context.Background())
	}
	victim := c.standbys()[0]
	signal(syscall.SIGKILL, victim.all()...)
	c.must(damage(filepath.Join(victim.dir, "data", file)))
	c.healthy(2 * limit)
	got, err := c.askAt(victim.instance, sum)
	c.t.Logf("the reader with the damaged page says %v", err)
	if err == nil && got != right {
		c.t.Errorf("the reader with a damaged page gives a wrong answer")
	}
	if err != nil && sqlState(err) != "XX001" {
		c.t.Errorf("the damage is told as %v, want XX001", err)
	}
	c.repaired(victim.instance, sum, right)
	if err != nil {
		c.told("RDS-EVENT-0036")
		c.told("RDS-EVENT-0021")
	}
	// The same of a writer: its damage is found when a crash has emptied its memory
	// and it is the writer again.
	was := c.primary()
	thaw := c.freezeReplay(c.standbys()...)
	settle(4 * time.Second) // it restarts in place
	c.exec(c.session(c.writer), "CHECKPOINT")
	c.must(damage(filepath.Join(was.dir, "data", file)))
	killWriter.do(c, nil)
	c.commitsGoOn()
	thaw()
	c.healthy(2 * limit)
	if now := c.primary(); now.instance != was.instance {
		c.t.Fatalf("%s is the writer, not %s", now.instance, was.instance)
	}
	got, err = c.askAt(was.instance, sum)
	c.t.Logf("the writer with the damaged page says %v", err)
	if err == nil && got != right {
		c.t.Errorf("the writer with a damaged page gives a wrong answer")
	}
	if err != nil {
		c.anotherWriter(was)
	}
	c.repaired(was.instance, sum, right)
	// And a failover makes the old writer's data anew.
	killWriter.do(c, nil)
	c.commitsGoOn()
	c.healthy(3 * limit)
	for _, s := range c.servers() {
		if got, err := c.askAt(s.instance, sum); err != nil || got != right {
			c.t.Errorf("%s after a failover: %v", s.instance, err)
		}
	}
	c.exec(c.session(c.writer), "DROP TABLE pages")
}

// repaired waits until an instance has what is right.
func (c *cluster) repaired(instance, sql, right string) {
	c.t.Helper()
	began := time.Now()
	harness.Eventually(c.t, 2*limit, "the damaged page is repaired", func() error {
		if got, err := c.askAt(instance, sql); err != nil || got != right {
			return fmt.Errorf("%q, %w", got, err)
		}
		return nil
	})
	c.t.Logf("repaired after %v", time.Since(began))
}

// told waits until users can read of an event.
func (c *cluster) told(id string) {
	c.t.Helper()
	harness.Eventually(c.t, limit, id, func() error {
		out, err := c.in.RDS().DescribeEvents(c.t.Context(), &rds.DescribeEventsInput{SourceType: types.SourceTypeDbInstance})
		if err != nil {
			return err
		}
		for _, e := range out.Events {
			if strings.HasPrefix(aws.ToString(e.Message), eventWords[id]) {
				return nil
			}
		}
		return fmt.Errorf("no event says %q", eventWords[id])
	})
}

var eventWords = map[string]string{
	"RDS-EVENT-0036": "Database instance in available. Pages of postgres fail",
	"unstartable":    "Database instance in available. PostgreSQL cannot be started from its data: could not locate",
	"RDS-EVENT-0021": "Recovery of the DB instance is complete.",
}

// askAt asks a server itself, when it takes connections.
func (c *cluster) askAt(instance, sql string) (value string, err error) {
	c.t.Helper()
	harness.Eventually(c.t, limit, instance+" takes connections", func() error {
		conn, connectErr := c.direct(c.server(instance))
		if connectErr != nil {
			return connectErr
		}
		defer conn.Close(context.Background())
		value, err = ask(conn, sql)
		return nil
	})
	return value, err
}

// damage inverts some bytes in the middle of a file's second page.
func damage(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, 64)
	const at = 8192 + 4000
	if _, err := f.ReadAt(b, at); err != nil {
		return err
	}
	for i := range b {
		b[i] ^= 0xff
	}
	if _, err := f.WriteAt(b, at); err != nil {
		return err
	}
	return f.Sync()
}

// powerCuts ends everything at once, and takes back what was not synced, on every
// disk.
func powerCuts(c *cluster, o *oracle) {
	for _, d := range c.disks {
		c.must(d.Track(true))
	}
	defer func() {
		for _, d := range c.disks {
			_ = d.Track(false)
		}
	}()
	for round := range uint64(5) {
		settle(3 * time.Second)
		signal(syscall.SIGKILL, own("supervisor", "control", "node", "log", "endpoint", "etcd")(c, nil)...)
		for _, s := range c.servers() {
			signal(syscall.SIGKILL, s.all()...)
		}
		harness.Eventually(c.t, limit, "nothing runs", func() error {
			if all := c.servers(); len(all) > 0 {
				return fmt.Errorf("%+v", all)
			}
			return nil
		})
		settle(500 * time.Millisecond) // the last ones let go of their files
		lost := 0
		for _, d := range c.disks {
			n, err := d.Crash(*seed*1000 + round)
			c.must(err)
			lost += n
		}
		settle(1500 * time.Millisecond) // until nobody remembers the files' old sizes
		c.start()
		c.healthy(3 * limit)
		c.t.Logf("%d sectors lost; outage %v", lost, o.takeGap())
	}
}

// readersWALFull: a reader that cannot take more WAL hurts nobody.
func readersWALFull(c *cluster, o *oracle) {
	reader := c.standbys()[0]
	heal := c.have(reader.zone, disk.Rule{Op: disk.Extend, Path: reader.path("data/pg_wal/"), Errno: syscall.ENOSPC})
	c.fill(60)
	c.commitsGoOn()
	c.t.Logf("longest time without a commit %v", o.takeGap())
	heal()
}

// reads waits for one read at the reader endpoint.
func (c *cluster) reads() {
	c.t.Helper()
	harness.Eventually(c.t, 5*time.Second, "reads go on", func() error {
		_, err := c.in.Query(c.reader, "SELECT count(*)::text FROM registers")
		return err
	})
}

func zoneAndOneMore(c *cluster, o *oracle) {
	zone := c.otherZone()
	heal := c.have(zone, disk.Rule{Op: disk.All, Path: ofLog, Hang: true})
	for _, dir := range c.copies() {
		if !strings.Contains(dir, "/"+zone+"/") {
			c.must(os.RemoveAll(dir))
			break
		}
	}
	c.reads()
	c.t.Logf("a commit after %v", c.commitsGoOn())
	settle(5 * time.Second)
	c.t.Logf("longest time without a commit %v", o.takeGap())
	heal()
}

func tooFewCopies(c *cluster, o *oracle) {
	zones := []string{c.standbys()[0].zone, c.standbys()[1].zone}
	var heals []func()
	for _, zone := range zones {
		heals = append(heals, c.have(zone, disk.Rule{Op: disk.All, Path: ofLog, Hang: true}))
	}
	o.takeGap()
	for range 10 {
		settle(time.Second)
		c.reads()
	}
	if gap := o.takeGap(); gap > time.Second {
		c.t.Errorf("a commit was acknowledged after %v without a quorum", gap)
	}
	for _, heal := range heals {
		heal()
	}
	c.t.Logf("a commit %v after two zones were back", c.commitsGoOn())
}

func etcdSlow(c *cluster, o *oracle) {
	writer := c.primary()
	heal := c.have("etcd", disk.Rule{Op: disk.Sync, Delay: 2 * time.Second})
	settle(20 * time.Second)
	c.noErrors(o)
	c.t.Logf("longest time without a commit %v", o.takeGap())
	if now := c.primary(); now.pid != writer.pid {
		c.t.Errorf("the writer was %+v and is %+v", writer, now)
	}
	killWriter.do(c, nil)
	c.t.Logf("writer killed: a commit after %v", c.commitsGoOn())
	heal()
}

// noErrors says that no client had an error, but for what these disks make of a file
// that is replaced while it is opened: they find its name, and open it in another
// step. It happens to topology.json, which functions read.
func (c *cluster) noErrors(o *oracle) {
	c.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for code, n := range o.reasons {
		if code != "58P01" {
			c.t.Errorf("clients had errors: %d of %s", n, code)
		}
	}
}

func etcdFull(c *cluster, o *oracle) {
	writer := c.primary()
	heal := c.have("etcd", disk.Rule{Op: disk.Write, Errno: syscall.ENOSPC})
	// Something to store, so that it notices.
	client := c.in.RDS()
	_, _ = client.DescribeDBClusters(c.t.Context(), &rds.DescribeDBClustersInput{})
	settle(15 * time.Second)
	c.noErrors(o)
	if now := c.primary(); now.pid != writer.pid {
		c.t.Errorf("the writer was %+v and is %+v", writer, now)
	}
	c.t.Logf("longest time without a commit %v", o.takeGap())
	heal()
	c.healthy(2 * limit)
	killWriter.do(c, nil)
	c.t.Logf("writer killed: a commit after %v", c.commitsGoOn())
}

// etcdAlarm raises the alarm that etcd raises when its quota is used up: it takes
// nothing more until that is ended, as it does when there is room.
func etcdAlarm(c *cluster, o *oracle) {
	conn, err := grpc.NewClient("unix://"+filepath.Join(c.in.Dir, "data", "run", "etcd.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	c.must(err)
	defer conn.Close()
	list, err := pb.NewMaintenanceClient(conn).Status(c.t.Context(), &pb.StatusRequest{})
	c.must(err)
	_, err = pb.NewMaintenanceClient(conn).Alarm(c.t.Context(), &pb.AlarmRequest{
		Action: pb.AlarmRequest_ACTIVATE, Alarm: pb.AlarmType_NOSPACE, MemberID: list.Header.MemberId})
	c.must(err)
	settle(10 * time.Second)
	c.noErrors(o)
	c.t.Logf("longest time without a commit %v", o.takeGap())
	alarms, err := pb.NewMaintenanceClient(conn).Alarm(c.t.Context(), &pb.AlarmRequest{Action: pb.AlarmRequest_GET})
	c.must(err)
	if len(alarms.Alarms) > 0 {
		c.t.Error("etcd's alarm stays")
	}
}

// returningTail has two copies get WAL that no quorum has, and brings them back
// when a new writer has begun without it.
func returningTail(c *cluster, o *oracle) {
	c.tail(o, disk.Rule{Op: disk.Write, Path: ofLog, Hang: true}, disk.Rule{Op: disk.Sync, Path: ofLog, Hang: true})
}

func returningTailUnreadable(c *cluster, o *oracle) {
	c.tail(o, disk.Rule{Op: disk.All, Path: ofLog, Hang: true})
}

func (c *cluster) tail(o *oracle, hang ...disk.Rule) {
	c.t.Helper()
	old := c.primary()
	tail := old.zone
	var others []func()
	for zone := range c.disks {
		if zone != "etcd" && zone != tail {
			others = append(others, c.have(zone, hang...))
		}
	}
	settle(time.Second) // what clients commit now is on two copies, and they wait
	signal(syscall.SIGKILL, old.all()...)
	heal := c.have(tail, hang...)
	for _, end := range others {
		end()
	}
	c.takenOver(old)
	settle(3 * time.Second)
	c.t.Logf("outage %v", o.takeGap())
	heal()
	c.healthy(2 * limit)
	killWriter.do(c, nil)
	c.commitsGoOn()
}

// returnsAfterThreeFailovers has everything of a writer hang while others take
// over from each other.
func returnsAfterThreeFailovers(c *cluster, _ *oracle) {
	first := c.primary()
	heal := c.have(first.zone, disk.Rule{Op: disk.All, Path: "/" + first.instance, Hang: true})
	for range 2 {
		old := c.anotherWriter(first)
		harness.Eventually(c.t, 2*limit, "somebody else could take over", func() error {
			for _, s := range c.standbys() {
				if s.instance != first.instance && s.child("walreceiver streaming") != 0 {
					return nil
				}
			}
			return errors.New("nobody could")
		})
		signal(syscall.SIGKILL, old.all()...)
		c.t.Logf("a commit after %v", c.commitsGoOn())
	}
	heal()
	began := time.Now()
	c.healthy(3 * limit)
	c.t.Logf("all is well %v after it returned", time.Since(began))
}
