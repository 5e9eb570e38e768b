package node_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/node"
	"github.com/daybreakdb/daybreak/internal/state"
)

func TestWriterAndReaderAreBuiltServeAndGo(t *testing.T) {
	s := startSystem(t)
	begin := time.Now()
	c := s.createCluster("one")
	s.settled(c)
	t.Logf("cluster available after %v", time.Since(begin))
	w := s.createInstance(c, "w")
	r := s.createInstance(c, "r")
	s.settled(c, w, r)
	t.Logf("writer and reader available after %v", time.Since(begin))
	s.exec(w, "CREATE TABLE t AS SELECT 42::text AS v")
	s.reads(r, "SELECT v FROM t", "42")
	if st := s.cluster(c).Status; st.Writer != w || st.Term != 1 || st.WriterEndpoint.Host == "" || st.ReaderEndpoint.Host == "" {
		t.Errorf("cluster is %+v", st)
	}
	for _, id := range []string{w, r} {
		in := s.instance(id)
		if in.Server.SharedBuffers != 64<<20 || in.Server.Version == "" || in.Status.Endpoint.Host == "" {
			t.Errorf("%s is %+v, %+v", id, in.Status, in.Server)
		}
	}
	begin = time.Now()
	s.deleteInstance(w)
	s.deleteInstance(r)
	s.deleteCluster(c)
	s.clusterGone(c)
	t.Logf("deleted after %v", time.Since(begin))
	s.nothingLeft()
}

func TestEveryClusterHasItsOwnOSUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("an ordinary user's servers run as that user")
		return
	}
	s := startSystem(t)
	uids := map[uint32]bool{}
	a, b := s.createCluster("a"), s.createCluster("b")
	ia, ib := s.createInstance(a, "ia"), s.createInstance(b, "ib")
	s.settled(a, ia)
	s.settled(b, ib)
	for _, id := range []string{ia, ib} {
		info, err := os.Stat(filepath.Join("/proc", itoa(s.instance(id).Server.PID)))
		if err != nil {
			t.Fatal(err)
		}
		uids[info.Sys().(*syscall.Stat_t).Uid] = true
	}
	if uids[0] || len(uids) != 2 {
		t.Fatalf("two clusters run as %v", uids)
	}
}

// TestInstancesScaleWithoutLosingACommit goes 1 → 3 → 0 → 2 instances and
// deletes a writer with readers.
func TestInstancesScaleWithoutLosingACommit(t *testing.T) {
	s := startSystem(t)
	c := s.createCluster("one")
	first := s.createInstance(c, "i1")
	s.settled(c, first)
	s.exec(first, "CREATE TABLE t AS SELECT 'kept' AS v")
	second, third := s.createInstance(c, "i2"), s.createInstance(c, "i3")
	s.settled(c, first, second, third)

	s.exec(first, "UPDATE t SET v = 'kept twice'")
	begin := time.Now()
	s.deleteInstance(first)
	s.settled(c, second, third)
	t.Logf("handed over after %v", time.Since(begin))
	st := s.cluster(c).Status
	if st.Term != 2 || st.Writer == first {
		t.Fatalf("after the writer was deleted: %+v", st)
	}
	s.reads(st.Writer, "SELECT v FROM t", "kept twice")
	s.exec(st.Writer, "UPDATE t SET v = 'kept three times'")
	s.reads(second, "SELECT v FROM t", "kept three times")
	s.reads(third, "SELECT v FROM t", "kept three times")

	s.deleteInstance(second)
	s.deleteInstance(third)
	s.settled(c)
	if st := s.cluster(c).Status; st.Retained == nil || st.Writer != "" {
		t.Fatalf("cluster without instances: %+v", st)
	}
	s.changeCluster(c, func(c *aurora.DBCluster) {
		s.password = "changed without a server"
		c.Spec.MasterUserVerifier = verifier(s.password)
		c.Spec.MasterPasswordGeneration++
	})
	fourth, fifth := s.createInstance(c, "i4"), s.createInstance(c, "i5")
	s.settled(c, fourth, fifth)
	s.reads(fourth, "SELECT v FROM t", "kept three times")
	s.reads(fifth, "SELECT v FROM t", "kept three times")
	if st := s.cluster(c).Status; st.Retained != nil || st.Term != 4 { // one term passed without a writer
		t.Fatalf("after adoption: %+v", st)
	}

	s.deleteInstance(fourth)
	s.deleteInstance(fifth)
	s.settled(c)
	s.deleteCluster(c)
	s.clusterGone(c)
	s.nothingLeft()
}

func TestSettingsChangeWithoutLosingTheServer(t *testing.T) {
	s := startSystem(t)
	c := s.createCluster("one")
	w := s.createInstance(c, "w")
	s.settled(c, w)
	r := s.createInstance(c, "r")
	s.settled(c, w, r)

	t.Run("class", func(t *testing.T) {
		before := s.instance(r).Server
		s.changeCluster(c, func(c *aurora.DBCluster) { c.Spec.ServerlessV2 = &aurora.ServerlessV2Scaling{MaxCapacity: 0.0625} })
		for _, id := range []string{w, r} {
			s.changeInstance(id, func(in *aurora.DBInstance) { in.Spec.Class = "db.serverless" })
		}
		s.settled(c, w, r)
		for _, id := range []string{w, r} {
			s.eventually("the smaller class is there", func() bool { return s.instance(id).Server.SharedBuffers == 32<<20 })
		}
		if after := s.instance(r).Server; after.PID == before.PID {
			t.Error("the reader was not restarted")
		}
	})
	t.Run("tier without a restart", func(t *testing.T) {
		pid := s.instance(w).Server.PID
		s.changeInstance(w, func(in *aurora.DBInstance) { in.Spec.PromotionTier = 7 })
		s.settled(c, w, r)
		if now := s.instance(w).Server.PID; now != pid {
			t.Errorf("pid %d, was %d", now, pid)
		}
	})
	t.Run("reboot", func(t *testing.T) {
		pid := s.instance(w).Server.PID
		s.changeInstance(w, func(in *aurora.DBInstance) { in.Spec.RestartGeneration++ })
		s.settled(c, w, r)
		if s.instance(w).Server.PID == pid {
			t.Error("the server was not restarted")
		}
	})
	t.Run("master password", func(t *testing.T) {
		old := s.password
		s.changeCluster(c, func(c *aurora.DBCluster) {
			s.password = "new and better"
			c.Spec.MasterUserVerifier = verifier(s.password)
			c.Spec.MasterPasswordGeneration++
		})
		s.settled(c, w, r)
		s.exec(w, "SELECT 1")
		if _, err := s.dial(w, old); err == nil {
			t.Error("the old password still works")
		}
	})
	t.Run("parameters", func(t *testing.T) {
		pid := s.instance(w).Server.PID
		set := func(parameters map[string]string) {
			for _, id := range []string{w, r} {
				s.setParameters(id, parameters)
			}
		}
		set(map[string]string{"work_mem": "{DBInstanceClassMemory/1048576}", "max_worker_processes": "9", "no_such_parameter": "1"})
		s.reads(w, "SHOW work_mem", strconv.FormatInt(s.instance(w).Server.SharedBuffers*4>>20, 10)+"kB")
		in := s.instance(w)
		if !in.Server.PendingReboot || in.Server.PendingSettings != "max_worker_processes" || in.Server.PID != pid ||
			in.Status.Status != aurora.InstanceStatusAvailable || !contains(in.Server.Message, "no_such_parameter") {
			t.Errorf("a static parameter waits for a reboot, an unknown one is named: %+v", in.Server)
		}
		set(map[string]string{"max_worker_processes": "9"})
		for _, id := range []string{w, r} {
			s.changeInstance(id, func(in *aurora.DBInstance) { in.Spec.RestartGeneration++ })
		}
		s.settled(c, w, r)
		s.eventually("nothing is pending", func() bool {
			server := s.instance(w).Server
			return !server.PendingReboot && server.PendingSettings == "" && server.Message == ""
		})
	})
	t.Run("port", func(t *testing.T) {
		s.changeCluster(c, func(c *aurora.DBCluster) { c.Spec.Port = 6000 })
		s.settled(c, w, r)
		if cluster, in := s.cluster(c), s.instance(r); cluster.Status.WriterEndpoint.Port != 6000 || in.Status.Endpoint.Port != 6000 {
			t.Errorf("endpoints are %+v, %+v", cluster.Status.WriterEndpoint, in.Status.Endpoint)
		}
	})
}

func TestKilledServerComesBackAtOnce(t *testing.T) {
	s := startSystem(t)
	c := s.createCluster("one")
	w := s.createInstance(c, "w")
	s.settled(c, w)
	s.exec(w, "CREATE TABLE t AS SELECT 42::text AS v")
	pid := s.instance(w).Server.PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	s.eventually("another server runs", func() bool {
		server := s.instance(w).Server
		return server.Phase == aurora.PhaseRunning && server.PID != pid
	})
	t.Logf("back after %v", time.Since(begin))
	s.reads(w, "SELECT v FROM t", "42")
}

// TestWriterNeedsEtcdForANewTermOnly: without etcd nothing can be decided, and
// all goes on as it is.
func TestWriterNeedsEtcdForANewTermOnly(t *testing.T) {
	s := startSystem(t)
	c := s.createCluster("one")
	w := s.createInstance(c, "w")
	s.settled(c, w)
	s.exec(w, "CREATE TABLE t AS SELECT 42::text AS v")
	pid := s.instance(w).Server.PID
	s.stopEtcd()
	s.exec(w, "UPDATE t SET v = 'written without etcd'")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.eventually("the killed server is gone", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
	s.startEtcd()
	s.eventually("another server answers", func() bool { return s.query(w, "SELECT v FROM t") == "written without etcd" })
	s.eventually("the report has the new server", func() bool {
		item, err := state.DBInstances(s.store).Get(t.Context(), w)
		return err == nil && item.Value.Server.Phase == aurora.PhaseRunning && item.Value.Server.PID != pid
	})
}

func TestNodeKilledAtAnyMomentGoesOn(t *testing.T) {
	s := startSystem(t)
	s.stopNode()
	c := s.createCluster("one")
	w := s.createInstance(c, "w")
	r := s.createInstance(c, "r")
	for i := range 12 {
		process := s.nodeProcess()
		time.Sleep(time.Duration(150+130*i) * time.Millisecond) // not synchronisation: the moment of the crash
		s.kill(process)
	}
	s.startNode()
	s.settled(c, w, r)
	s.exec(w, "CREATE TABLE t AS SELECT 42::text AS v")
	s.reads(r, "SELECT v FROM t", "42")

	before := []int{s.instance(w).Server.PID, s.instance(r).Server.PID}
	s.stopNode()
	s.kill(s.nodeProcess())
	s.startNode()
	s.changeInstance(w, func(in *aurora.DBInstance) { in.Spec.PromotionTier = 7 })
	s.changeInstance(r, func(in *aurora.DBInstance) { in.Spec.PromotionTier = 7 })
	s.settled(c, w, r)
	if after := []int{s.instance(w).Server.PID, s.instance(r).Server.PID}; after[0] != before[0] || after[1] != before[1] {
		t.Errorf("pids %v, were %v: running servers were not adopted", after, before)
	}
}

func TestStoppedInstallationLeavesNothingRunningAndComesBack(t *testing.T) {
	s := startSystem(t)
	c := s.createCluster("one")
	w, r := s.createInstance(c, "w"), s.createInstance(c, "r")
	s.settled(c, w, r)
	writer := s.cluster(c).Status.Writer
	s.exec(writer, "CREATE TABLE t AS SELECT 42::text AS v")
	s.stopNode()
	if err := node.StopAll(t.Context(), s.layout); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{w, r} {
		if err := syscall.Kill(s.instance(id).Server.PID, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s still runs: %v", id, err)
		}
	}
	s.startNode()
	s.reads(w, "SELECT v FROM t", "42")
	s.reads(r, "SELECT v FROM t", "42")
}

func TestWhatIsMissingIsSaidAndMended(t *testing.T) {
	s := startSystem(t)
	c := s.createCluster("one")
	w := s.createInstance(c, "w")
	// A file where the cluster's directory has to be: nothing can be built.
	s.eventually("the instance is placed", func() bool { return s.instance(w).Status.AvailabilityZone != "" })
	in := s.instance(w)
	dir := s.layout.Cluster(in.Status.AvailabilityZone, c)
	s.stopNode()
	s.eventually("a file is in the place of the directory", func() bool {
		s.removeAll(dir) // what goes on may make it once more
		return errors.Join(os.MkdirAll(filepath.Dir(dir), 0o711), os.WriteFile(dir, nil, 0o600)) == nil
	})
	s.startNode()
	s.eventually("the report says what is wrong", func() bool {
		in := s.instance(w)
		return in.Server.Phase == aurora.PhaseFailed && contains(in.Server.Message, dir) &&
			in.Status.Reason == in.Server.Message && in.Status.Status == aurora.InstanceStatusCreating
	})
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	s.settled(c, w)
	if in := s.instance(w); in.Server.Message != "" || in.Status.Reason != "" {
		t.Errorf("mended, but it still says %q, %q", in.Server.Message, in.Status.Reason)
	}

	// A writer that lost its data comes back from the base copy and the log, in
	// another zone, with all that was committed.
	s.exec(w, "CREATE TABLE t AS SELECT 'kept'::text AS v")
	s.eventually("the base copy is there", func() bool { return s.cluster(c).Volume.Base.Zone != "" })
	if err := syscall.Kill(s.instance(w).Server.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(s.layout.Instance(in.Status.AvailabilityZone, c, w)); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	s.eventually("the writer is back", func() bool {
		st, server := s.cluster(c).Status, s.instance(w).Server
		return st.Term > 1 && server.Term == st.Term && server.Phase == aurora.PhaseRunning
	})
	t.Logf("back after %v", time.Since(begin))
	s.reads(w, "SELECT v FROM t", "kept")
	if zone := s.instance(w).Status.AvailabilityZone; zone == in.Status.AvailabilityZone {
		t.Errorf("it is in %s again", zone)
	}
	s.exec(w, "UPDATE t SET v = 'kept twice'")
	s.settled(c, w)
}

func TestInstallationWithoutRootRunsAsItsUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("this whole run is one")
		return
	}
	const nobody = 65534
	dir, err := os.MkdirTemp("", "user")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program := filepath.Join(dir, "node.test")
	binary, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(program, binary, 0o755), os.Chmod(dir, 0o755), os.Chown(dir, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	process, err := os.StartProcess(program, []string{program, "-test.run=^(TestWriterAndReader|TestKilledServer)"}, &os.ProcAttr{
		Dir: dir, Env: []string{"TMPDIR=" + dir, "HOME=" + dir, "PATH=" + os.Getenv("PATH")},
		Files: []*os.File{nil, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if state, err := process.Wait(); err != nil || !state.Success() {
		t.Fatalf("%v, %v", state, err)
	}
}

// nodeProcess starts a node in a process of its own.
func (s *system) nodeProcess() *os.Process {
	s.Helper()
	env := append(os.Environ(), nodeRoot+"="+s.layout.Root, nodeSocket+"="+s.socket)
	process, err := os.StartProcess(os.Args[0], os.Args[:1], &os.ProcAttr{Env: env, Files: []*os.File{nil, os.Stdout, os.Stderr}})
	if err != nil {
		s.Fatal(err)
	}
	return process
}

func (s *system) kill(process *os.Process) {
	s.Helper()
	if err := process.Kill(); err != nil {
		s.Fatal(err)
	}
	if _, err := process.Wait(); err != nil {
		s.Fatal(err)
	}
}

// removeAll stops what runs below dir and deletes it.
func (s *system) removeAll(dir string) {
	s.Helper()
	if err := errors.Join(node.StopAll(context.WithoutCancel(s.Context()), s.layout), os.RemoveAll(dir)); err != nil {
		s.Fatal(err)
	}
}
