package postgres

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNewServerHasMasterAndDatabases(t *testing.T) {
	s, p := newPrimary(t, workDir(t))
	conn := master(t, s, tenantDatabase)
	mustExec(t, conn, `CREATE TABLE t AS SELECT generate_series(1, 10) AS n`)
	mustExec(t, conn, `CREATE DATABASE another`)
	mustExec(t, conn, `CREATE ROLE reporting LOGIN PASSWORD 'x'`)
	owners := value[[]string](t, conn, `SELECT array_agg(datname || '=' || pg_get_userbyid(datdba) ORDER BY datname) FROM pg_database WHERE NOT datistemplate`)
	if want := []string{"another=app_owner", "demo=app_owner", "postgres=app_owner", "rdsadmin=rdsadmin"}; !slices.Equal(owners, want) {
		t.Errorf("owners of databases are %q, want %q", owners, want)
	}
	attributes := value[string](t, conn, `SELECT concat(rolsuper, rolinherit, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolcanlogin) FROM pg_roles WHERE rolname = 'app_owner'`)
	if attributes != "ftttfft" {
		t.Errorf("master user's attributes are %s, want Aurora's", attributes)
	}
	for _, role := range []string{"rds_superuser", "rds_replication", "rds_password", "pg_monitor", "pg_signal_backend", "pg_checkpoint"} {
		if !value[bool](t, conn, `SELECT pg_has_role('app_owner', '`+role+`', 'member')`) {
			t.Errorf("the master user is no member of %s", role)
		}
	}
	if got := value[string](t, conn, `SHOW data_checksums`); got != "on" {
		t.Errorf("data_checksums is %s", got)
	}

	st, err := s.Status(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	control, err := s.ControlData(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if st.Standby || st.Timeline != 1 || st.SharedBuffers != testMemory/4 || st.MaxConnections != 30 || st.CurrentLSN == 0 ||
		st.Version != s.Installation.Version || st.SystemIdentifier != control.SystemIdentifier || time.Since(st.StartTime) > time.Minute {
		t.Errorf("status is %+v of %+v", st, control)
	}
	if err := p.Stop(testContext(t), StopFast, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if control, err = s.ControlData(testContext(t)); err != nil || control.State != StateShutDown {
		t.Errorf("after a fast stop the state is %q, %v", control.State, err)
	}
}

func TestFilesBelongToTheServersUserAndSecretsToNobodyElse(t *testing.T) {
	s, _ := newPrimary(t, workDir(t))
	for path, mode := range map[string]fs.FileMode{
		s.Dir: 0o711, s.dataDir(): 0o700, s.LogDir(): 0o700, s.SocketDir: 0o700, s.passfile(): 0o600, s.startLog(): 0o600,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode(), err, mode)
		}
	}
	err := filepath.WalkDir(s.dataDir(), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return nil // removed since
		}
		if info, err := os.Lstat(path); err == nil && int(info.Sys().(*syscall.Stat_t).Uid) != s.owner() {
			t.Errorf("%s belongs to another user", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(s.Dir); err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() {
		t.Errorf("the server's user owns %s: %v", s.Dir, err)
	}
}

func TestInitBeginsAgainAfterACrashAndKeepsWhatIsComplete(t *testing.T) {
	s := newServer(t, workDir(t), "primary")
	half := filepath.Join(s.Dir, tmpPrefix+"1", "base")
	if err := os.MkdirAll(half, 0o700); err != nil {
		t.Fatal(err)
	}
	// What a server wrote that was still dying when its data was deleted.
	if err := os.MkdirAll(filepath.Join(s.dataDir(), "pg_stat_tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Init(testContext(t), options()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(half); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the half-built directory is still there: %v", err)
	}
	before, err := s.ControlData(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Init(testContext(t), options()); err != nil {
		t.Fatal(err)
	}
	if after, err := s.ControlData(testContext(t)); err != nil || after.SystemIdentifier != before.SystemIdentifier {
		t.Errorf("a repeated Init made another database: %v", err)
	}
}

func TestInitRefusesBadNamesAndPlaintext(t *testing.T) {
	s := newServer(t, workDir(t), "primary")
	good := options()
	for name, change := range map[string]func(*InitOptions){
		"plaintext password":   func(o *InitOptions) { o.Master.Verifier = "secret" },
		"verifier with SQL":    func(o *InitOptions) { o.Master.Verifier += "'; --" },
		"our own role":         func(o *InitOptions) { o.Master.Name = AdminRole },
		"Aurora's role":        func(o *InitOptions) { o.Master.Name = "RDS_superuser" },
		"PostgreSQL's role":    func(o *InitOptions) { o.Master.Name = "pg_monitor" },
		"no master user":       func(o *InitOptions) { o.Master.Name = "" },
		"newline in user name": func(o *InitOptions) { o.Master.Name = "a;\n\nb" },
		"our own database":     func(o *InitOptions) { o.Database = AdminDatabase },
		"newline in database":  func(o *InitOptions) { o.Database = "a;\n\nb" },
	} {
		o := good
		change(&o)
		if err := s.Init(testContext(t), o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if ok, err := s.HasData(); ok || err != nil {
		t.Errorf("a refused Init left data: %v, %v", ok, err)
	}
}

func TestNamesNeverBecomeSQL(t *testing.T) {
	s := newServer(t, workDir(t), "primary")
	name, database := `a"; DROP ROLE rds_iam; --\'$$`, `d"' OWNER rdsadmin; \`
	o := InitOptions{Master: Master{Name: name, Verifier: verifier("first")}, Database: database}
	if err := s.Init(testContext(t), o); err != nil {
		t.Fatal(err)
	}
	start(t, s, Config{Memory: testMemory})
	connect(t, s, name, "first", database)
	if err := s.ApplyMaster(testContext(t), Master{Name: name, Verifier: verifier("second")}); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, s, name, "second", database)
	if !value[bool](t, conn, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_iam')`) {
		t.Error("a name was run as SQL")
	}
}

func TestMasterPasswordIsAppliedAndNotShown(t *testing.T) {
	s, _ := newPrimary(t, workDir(t))
	watcher := master(t, s, tenantDatabase)
	fresh := Master{Name: masterName, Verifier: verifier("another one")}
	mustExec(t, watcher, `CREATE ROLE helper CREATEROLE LOGIN PASSWORD 'x'`)
	if err := s.ApplyMaster(testContext(t), fresh); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(testContext(t), s, masterName, masterPassword, tenantDatabase); err == nil {
		t.Error("the old password still works")
	}
	connect(t, s, masterName, "another one", tenantDatabase)

	helper := connect(t, s, "helper", "x", tenantDatabase)
	mustExec(t, helper, `ALTER ROLE app_owner NOCREATEROLE NOLOGIN`)
	mustExec(t, helper, `REVOKE rds_superuser FROM app_owner`)
	if err := s.ApplyMaster(testContext(t), fresh); err != nil {
		t.Fatal(err)
	}
	again := connect(t, s, masterName, "another one", tenantDatabase)
	if !value[bool](t, again, `SELECT pg_has_role('app_owner', 'rds_superuser', 'member') AND rolcreaterole FROM pg_roles WHERE rolname = 'app_owner'`) {
		t.Error("the master user did not get its role back")
	}
	logs, err := filepath.Glob(filepath.Join(s.LogDir(), "*"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no logs: %v", err)
	}
	for _, path := range append(logs, s.startLog()) {
		if text, err := os.ReadFile(path); err != nil || strings.Contains(string(text), "SCRAM-SHA-256$") {
			t.Errorf("%s shows a verifier (%v)", path, err)
		}
	}
}

func TestKilledServerStartsAgainAtOnce(t *testing.T) {
	s, p := newPrimary(t, workDir(t))
	conn := master(t, s, tenantDatabase)
	mustExec(t, conn, `CREATE TABLE t (n int)`)
	mustExec(t, conn, `INSERT INTO t VALUES (1)`)
	busy := master(t, s, tenantDatabase)
	go func() {
		_, _ = busy.Exec(testContext(t), `DO $$ BEGIN LOOP END LOOP; END $$`) // does not notice that its postmaster died
	}()
	eventually(t, "the loop runs", func() bool {
		return value[bool](t, conn, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'DO%' AND state = 'active')`)
	})
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	began := time.Now()
	again, err := s.Start(testContext(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Ready(testContext(t)); err != nil {
		t.Fatal(err)
	}
	t.Logf("answers again after %v", time.Since(began))
	if n := value[int](t, master(t, s, tenantDatabase), `SELECT count(*) FROM t`); n != 1 {
		t.Errorf("%d rows, want the committed one", n)
	}
}

func TestStaleLockWithAForeignPidIsNoServer(t *testing.T) {
	s := newServer(t, workDir(t), "primary")
	if err := s.Init(testContext(t), options()); err != nil {
		t.Fatal(err)
	}
	foreign, err := os.StartProcess("/bin/sleep", []string{"sleep", "600"}, &os.ProcAttr{Sys: attributes(s.UID), Dir: s.SocketDir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = foreign.Kill(); _, _ = foreign.Wait() }()
	lock := filepath.Join(s.dataDir(), "postmaster.pid")
	if err := os.WriteFile(lock, []byte(strconv.Itoa(foreign.Pid)+"\n"+s.dataDir()+"\n1\n5432\n\n\n1 2\nready\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Socket()+".lock", []byte(strconv.Itoa(foreign.Pid)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Adopt(); !errors.Is(err, ErrNotRunning) {
		t.Errorf("adopting somebody else's process: %v", err)
	}
	start(t, s, Config{Memory: testMemory})
	if err := foreign.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the foreign process was ended: %v", err)
	}
}

func TestAdoptedServerIsWatchedAndStopped(t *testing.T) {
	s, p := newPrimary(t, workDir(t))
	adopted, err := s.Adopt()
	if err != nil {
		t.Fatal(err)
	}
	same, err := s.Start(testContext(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if adopted.PID() != p.PID() || same.PID() != p.PID() {
		t.Errorf("pids %d, %d and %d of one server", p.PID(), adopted.PID(), same.PID())
	}
	same.Release()
	if err := adopted.Stop(testContext(t), StopFast, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	if err := adopted.Stop(testContext(t), StopFast, time.Second); err != nil {
		t.Errorf("stopping a stopped server: %v", err)
	}
	if err := adopted.Reload(); !errors.Is(err, ErrNotRunning) {
		t.Errorf("reload of a stopped server: %v", err)
	}
	if _, err := s.Adopt(); !errors.Is(err, ErrNotRunning) {
		t.Errorf("adopt of a stopped server: %v", err)
	}
}

func TestFrozenServerIsStoppedByForce(t *testing.T) {
	s, p := newPrimary(t, workDir(t))
	if err := syscall.Kill(p.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(testContext(t), StopFast, 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if left, err := s.processes(); err != nil || len(left) != 0 {
		t.Errorf("%d processes left, %v", len(left), err)
	}
}

func TestRemoveLeavesNothingAndCanBeRepeated(t *testing.T) {
	s, p := newPrimary(t, workDir(t))
	for range 2 {
		if err := s.Remove(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	<-p.Exited()
	for _, dir := range []string{s.Dir, s.SocketDir} {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", dir, err)
		}
	}
	if _, err := s.Start(testContext(t), nil); !errors.Is(err, ErrNoData) {
		t.Errorf("start of a removed server: %v", err)
	}
}

func TestOldLogsAreRemovedAndTheNewestIsKept(t *testing.T) {
	s := newServer(t, workDir(t), "primary")
	if err := s.prepare(); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(s.Dir, "outside")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgresql.log.2001", "postgresql.log.2002", "other"} {
		if err := os.WriteFile(filepath.Join(s.LogDir(), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(s.LogDir(), "postgresql.log.2000")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.LogDir(), "postgresql.log.2002"), []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if files, err := s.LogFiles(); err != nil || len(files) != 2 || files[1].Name != "postgresql.log.2002" || files[1].Size != 8 {
		t.Errorf("files: %+v, %v", files, err)
	}
	if data, err := s.ReadLog("postgresql.log.2002", 4, 3); err != nil || string(data) != "two" {
		t.Errorf("read: %q, %v", data, err)
	}
	for _, name := range []string{"postgresql.log.2000", "postgresql.log.none", "other", "../outside", "postgresql.log./../../outside"} {
		if data, err := s.ReadLog(name, 0, 10); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	if err := s.RemoveLogs(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(s.LogDir(), "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("%q are left, %v", left, err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("a link out of the log directory was followed: %v", err)
	}
}

func TestRemoveOfAKilledServerFreesItsSharedMemory(t *testing.T) {
	s, p := newPrimary(t, workDir(t))
	maps, err := filepath.Glob("/dev/shm/PostgreSQL.*")
	if err != nil {
		t.Fatal(err)
	}
	maps = slices.DeleteFunc(maps, func(path string) bool { return !mapped(t, p.PID(), path+"\n") })
	if !mapped(t, p.PID(), "/dev/shm/PostgreSQL.") {
		t.Fatal("the server has no dynamic shared memory")
	} // maps is empty where a namespace of its own has it, which ends with the server
	lock, err := s.readLock()
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	if err := s.Remove(testContext(t)); err != nil {
		t.Fatal(err)
	}
	for _, path := range maps {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
	var desc unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(lock.shmID, unix.IPC_STAT, &desc); err == nil && desc.Nattch == 0 && int(desc.Perm.Uid) == s.owner() {
		t.Errorf("System V segment %d is still there", lock.shmID)
	}
}

func mapped(t *testing.T, pid int, text string) bool {
	t.Helper()
	maps, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(maps), text)
}
