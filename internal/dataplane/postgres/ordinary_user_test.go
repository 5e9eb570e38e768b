package postgres

import (
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestServerOfAnOrdinaryUser runs a server's life as an ordinary user. As root
// it runs itself again as nobody, with what else differs for such a user.
func TestServerOfAnOrdinaryUser(t *testing.T) {
	if os.Geteuid() == 0 {
		runAsNobody(t)
		return
	}
	dir := workDir(t)
	s, p := newPrimary(t, dir)
	standby, _ := newStandby(t, dir, "standby", s)
	mustExec(t, master(t, s, tenantDatabase), `CREATE TABLE t AS SELECT 1 AS n`)
	replayed(t, standby, current(t, s))
	if n := value[int](t, master(t, standby, tenantDatabase), `SELECT n FROM t`); n != 1 {
		t.Errorf("read %d", n)
	}
	adopted, err := s.Adopt()
	if err != nil {
		t.Fatal(err)
	}
	if err := adopted.Stop(testContext(t), StopFast, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	other := s
	other.UID = os.Geteuid() + 1
	if err := other.Init(testContext(t), options()); err == nil {
		t.Error("an ordinary user was to run a server as another")
	}
}

func TestRootNeedsAnotherUserForAServer(t *testing.T) {
	s := newServer(t, workDir(t), "primary")
	if os.Geteuid() == 0 {
		s.UID = 0
		if err := s.Init(testContext(t), options()); err == nil {
			t.Error("a server was to run as root")
		}
	}
}

func runAsNobody(t *testing.T) {
	t.Helper()
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(nobody.Uid)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(nobody.Gid)
	if err != nil {
		t.Fatal(err)
	}
	dir := workDir(t)
	binary := copySelf(t, dir)
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, uid, gid); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(testContext(t), binary, "-test.run=^(TestServerOfAnOrdinaryUser|TestInvariant11SuperuserReachesNothingElse)$", "-test.v")
	cmd.Dir = home
	cmd.Env = []string{"TMPDIR=" + home, "HOME=" + home, "PATH=" + os.Getenv("PATH"), "DAYBREAK_PG_BINDIR=" + os.Getenv("DAYBREAK_PG_BINDIR")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("as nobody: %v\n%s", err, out)
	}
	contains(t, "the run as nobody", string(out), "--- PASS: TestServerOfAnOrdinaryUser")
	contains(t, "the run as nobody", string(out), "--- PASS: TestInvariant11SuperuserReachesNothingElse")
}

// copySelf puts the test program where other users can run it.
func copySelf(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	path := filepath.Join(dir, "self.test")
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}
