package system

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/test/harness"
)

// nobody is an ordinary user that every Debian has.
const nobody = 65534

var users = []struct {
	name string
	uid  uint32
}{{"root", 0}, {"ordinary user", nobody}}

var requiredOutputs = []string{
	"cluster_global_endpoint", "cluster_reader_endpoint", "cluster_port", "cluster_id", "cluster_arn",
	"master_username", "master_password", "database_name", "writer_instance_endpoint", "reader_instance_endpoints",
}

// TestDeploymentLivesFromUpToDown walks one deployment through its life, as
// root and as an ordinary user.
func TestDeploymentLivesFromUpToDown(t *testing.T) {
	for _, user := range users {
		if os.Geteuid() != 0 && user.uid != uint32(os.Geteuid()) && user.uid == 0 {
			continue // an ordinary user cannot test as root
		}
		t.Run(user.name, func(t *testing.T) {
			uid := user.uid
			if os.Geteuid() != 0 {
				uid = 0 // we are the ordinary user
			}
			life(t, harness.New(t, harness.Options{User: uid}))
		})
	}
}

func life(t *testing.T, in *harness.Installation) {
	plan := in.Plan()
	secret := in.Write("password", harness.Password+"\n")
	up := []string{"up", plan, "--name", "demo", "--param", "password=@" + secret}

	var d harness.Deployment
	in.JSON(&d, up...)
	if d.Status != "RUNNING" || !d.Changed {
		t.Fatalf("up: status %q changed %v, want RUNNING and true", d.Status, d.Changed)
	}
	for _, name := range requiredOutputs {
		if d.Outputs[name] == nil {
			t.Errorf("up: no output %s", name)
		}
	}
	if strings.Contains(fmt.Sprint(d.Outputs), harness.Password) {
		t.Error("up shows the harness.Password without --show-secrets")
	}
	writer, reader := d.Endpoints.Writer, d.Endpoints.Reader

	in.Exec(writer, "create table t(n int)")
	in.Exec(writer, "insert into t values (1)")
	harness.Eventually(t, 10*time.Second, "the reader shows what the writer committed", in.Is(reader, "select count(*)::text from t", "1"))
	if got, err := in.Query(reader, "show transaction_read_only"); err != nil || got != "on" {
		t.Errorf("reader endpoint: transaction_read_only is %q, %v", got, err)
	}

	in.JSON(&d, up...)
	if d.Changed {
		t.Error("a second up with the same input changed something")
	}

	for _, readers := range []string{"3", "0", "2"} {
		in.JSON(&d, "modify", "demo", "--param", "readReplicaCount="+readers)
		want := "on"
		if readers == "0" {
			want = "off" // the reader endpoint falls back to the writer
		}
		harness.Eventually(t, 10*time.Second, "reader endpoint with "+readers+" readers", in.Is(reader, "show transaction_read_only", want))
		if got := len(in.Postmasters()); fmt.Sprint(got-1) != readers {
			t.Errorf("%d servers run, want a writer and %s readers", got, readers)
		}
		harness.Eventually(t, 10*time.Second, "the data is there", in.Is(writer, "select count(*)::text from t", "1"))
	}

	in.Run("down", "demo", "--yes")
	if left := in.Postmasters(); len(left) != 0 {
		t.Errorf("servers left after down: %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(in.Dir, "data", "zones", "*", "cluster-*")); len(left) != 0 {
		t.Errorf("data left after down: %v", left)
	}
	if _, _, err := in.Try("describe", "demo"); err == nil {
		t.Error("describe finds a deployment that was removed")
	}
	if left, _ := filepath.Glob(filepath.Join(in.Dir, "data", "runs", "*")); len(left) != 0 {
		t.Errorf("working directories left: %v", left)
	}
}

// TestEveryProcessComesBack kills the processes one by one, and then all of
// them at once, as a power cut does.
func TestEveryProcessComesBack(t *testing.T) {
	in := harness.New(t, harness.Options{})
	plan := in.Plan()
	secret := in.Write("password", harness.Password)
	var d harness.Deployment
	in.JSON(&d, "up", plan, "--name", "demo", "--param", "password=@"+secret)
	writer := d.Endpoints.Writer
	in.Exec(writer, "create table t(n int)")
	in.Exec(writer, "insert into t values (1)")

	for name := range in.Processes() {
		before := in.Processes()
		if err := syscall.Kill(before[name], syscall.SIGKILL); err != nil {
			t.Fatalf("kill %s: %v", name, err)
		}
		harness.Eventually(t, 30*time.Second, name+" runs again", func() error {
			for other, pid := range in.Processes() {
				if pid == 0 || (other == name && pid == before[name]) {
					return fmt.Errorf("%s has pid %d", other, pid)
				}
			}
			return nil
		})
		harness.Eventually(t, 20*time.Second, "SQL after "+name+" was killed", in.Is(writer, "select count(*)::text from t", "1"))
	}
	postmasters := in.Postmasters()
	for _, pid := range postmasters {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatalf("kill PostgreSQL: %v", err)
		}
	}
	harness.Eventually(t, 30*time.Second, "SQL after every PostgreSQL was killed", in.Is(writer, "select count(*)::text from t", "1"))

	// All at once. The supervisor goes first, so that nothing is started again.
	pids := in.Processes()
	all := append([]int{pids["supervisor"], pids["control"], pids["node"], pids["log"], pids["endpoint"], pids["etcd"]}, in.Postmasters()...)
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	harness.Eventually(t, 20*time.Second, "everything is dead", func() error {
		for name, pid := range in.Processes() {
			if pid != 0 {
				return fmt.Errorf("%s lives as %d", name, pid)
			}
		}
		return nil
	})
	in.Run("server", "start")
	harness.Eventually(t, 30*time.Second, "SQL after a power cut", in.Is(writer, "select count(*)::text from t", "1"))
	in.Exec(writer, "insert into t values (2)")
	harness.Eventually(t, 20*time.Second, "the reader follows after a power cut", in.Is(d.Endpoints.Reader, "select count(*)::text from t", "2"))
}
