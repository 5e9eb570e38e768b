package system

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
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
			life(t, newInstallation(t, uid))
		})
	}
}

func life(t *testing.T, in *installation) {
	plan := in.plan()
	secret := in.write("password", password+"\n")
	up := []string{"up", plan, "--name", "demo", "--param", "password=@" + secret}

	var d deployment
	in.json(&d, up...)
	if d.Status != "RUNNING" || !d.Changed {
		t.Fatalf("up: status %q changed %v, want RUNNING and true", d.Status, d.Changed)
	}
	for _, name := range requiredOutputs {
		if d.Outputs[name] == nil {
			t.Errorf("up: no output %s", name)
		}
	}
	if strings.Contains(fmt.Sprint(d.Outputs), password) {
		t.Error("up shows the password without --show-secrets")
	}
	writer, reader := d.Endpoints.Writer, d.Endpoints.Reader

	in.exec(writer, "create table t(n int)")
	in.exec(writer, "insert into t values (1)")
	eventually(t, 10*time.Second, "the reader shows what the writer committed", in.is(reader, "select count(*)::text from t", "1"))
	if got, err := in.query(reader, "show transaction_read_only"); err != nil || got != "on" {
		t.Errorf("reader endpoint: transaction_read_only is %q, %v", got, err)
	}

	in.json(&d, up...)
	if d.Changed {
		t.Error("a second up with the same input changed something")
	}

	for _, readers := range []string{"3", "0", "2"} {
		in.json(&d, "modify", "demo", "--param", "readReplicaCount="+readers)
		want := "on"
		if readers == "0" {
			want = "off" // the reader endpoint falls back to the writer
		}
		eventually(t, 10*time.Second, "reader endpoint with "+readers+" readers", in.is(reader, "show transaction_read_only", want))
		if got := len(in.postmasters()); fmt.Sprint(got-1) != readers {
			t.Errorf("%d servers run, want a writer and %s readers", got, readers)
		}
		eventually(t, 10*time.Second, "the data is there", in.is(writer, "select count(*)::text from t", "1"))
	}

	in.run("down", "demo", "--yes")
	if left := in.postmasters(); len(left) != 0 {
		t.Errorf("servers left after down: %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(in.dir, "data", "zones", "*", "cluster-*")); len(left) != 0 {
		t.Errorf("data left after down: %v", left)
	}
	if _, _, err := in.try("describe", "demo"); err == nil {
		t.Error("describe finds a deployment that was removed")
	}
	if left, _ := filepath.Glob(filepath.Join(in.dir, "data", "runs", "*")); len(left) != 0 {
		t.Errorf("working directories left: %v", left)
	}
}

// TestEveryProcessComesBack kills the processes one by one, and then all of
// them at once, as a power cut does.
func TestEveryProcessComesBack(t *testing.T) {
	in := newInstallation(t, 0)
	plan := in.plan()
	secret := in.write("password", password)
	var d deployment
	in.json(&d, "up", plan, "--name", "demo", "--param", "password=@"+secret)
	writer := d.Endpoints.Writer
	in.exec(writer, "create table t(n int)")
	in.exec(writer, "insert into t values (1)")

	for name := range in.processes() {
		before := in.processes()
		if err := syscall.Kill(before[name], syscall.SIGKILL); err != nil {
			t.Fatalf("kill %s: %v", name, err)
		}
		eventually(t, 30*time.Second, name+" runs again", func() error {
			for other, pid := range in.processes() {
				if pid == 0 || (other == name && pid == before[name]) {
					return fmt.Errorf("%s has pid %d", other, pid)
				}
			}
			return nil
		})
		eventually(t, 20*time.Second, "SQL after "+name+" was killed", in.is(writer, "select count(*)::text from t", "1"))
	}
	postmasters := in.postmasters()
	for _, pid := range postmasters {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatalf("kill PostgreSQL: %v", err)
		}
	}
	eventually(t, 30*time.Second, "SQL after every PostgreSQL was killed", in.is(writer, "select count(*)::text from t", "1"))

	// All at once. The supervisor goes first, so that nothing is started again.
	pids := in.processes()
	all := append([]int{pids["supervisor"], pids["control"], pids["node"], pids["endpoint"], pids["etcd"]}, in.postmasters()...)
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	eventually(t, 20*time.Second, "everything is dead", func() error {
		for name, pid := range in.processes() {
			if pid != 0 {
				return fmt.Errorf("%s lives as %d", name, pid)
			}
		}
		return nil
	})
	in.run("server", "start")
	eventually(t, 30*time.Second, "SQL after a power cut", in.is(writer, "select count(*)::text from t", "1"))
	in.exec(writer, "insert into t values (2)")
	eventually(t, 20*time.Second, "the reader follows after a power cut", in.is(d.Endpoints.Reader, "select count(*)::text from t", "2"))
}

// TestUpGoesOnAfterAKillAtEachStep kills the control process as each step of a
// deployment begins, and repeats the command.
func TestUpGoesOnAfterAKillAtEachStep(t *testing.T) {
	in := newInstallation(t, 0)
	plan := in.plan()
	secret := in.write("password", password)
	up := []string{"up", plan, "--name", "demo", "--param", "password=@" + secret, "--param", "readReplicaCount=0"}
	for _, step := range []string{"init", "plan", "apply"} {
		cmd := in.command(up...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { defer close(ended); _ = cmd.Wait() }()
		killAtStep(t, in, step, ended)
		select {
		case <-ended:
		case <-time.After(2 * time.Minute):
			t.Fatalf("up hangs after a kill at %s", step)
		}
		var d deployment
		in.json(&d, up...)
		if d.Status != "RUNNING" {
			t.Fatalf("after a kill at %s: status %s", step, d.Status)
		}
		eventually(t, 15*time.Second, "SQL", in.is(d.Endpoints.Writer, "select 1::text", "1"))
		in.run("down", "demo", "--yes")
	}
}

// killAtStep kills the control process when the deployment has reached the step.
func killAtStep(t *testing.T, in *installation, step string, ended <-chan struct{}) {
	t.Helper()
	pid := in.processes()["control"]
	for {
		select {
		case <-ended:
			t.Fatalf("up ended before step %s was seen", step)
		default:
		}
		out, _, err := in.try("describe", "demo", "--output", "json")
		if err == nil && strings.Contains(strings.ToLower(out), `"name": "`+step+`"`) {
			break
		}
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
