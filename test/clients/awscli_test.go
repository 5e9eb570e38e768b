//go:build clients && awscli

package clients

import (
	"strings"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/test/harness"
)

// TestAWSCLIMakesAClusterAndIsToldWhatIsWrong walks a cluster's life with the
// AWS CLI alone.
func TestAWSCLIMakesAClusterAndIsToldWhatIsWrong(t *testing.T) {
	t.Parallel()
	in := harness.New(t, harness.Options{})
	rds := func(args ...string) string {
		t.Helper()
		return in.Run(append([]string{"aws", "rds"}, args...)...)
	}
	refused := func(code string, args ...string) {
		t.Helper()
		_, stderr, err := in.Try(append([]string{"aws", "rds"}, args...)...)
		if err == nil || !strings.Contains(stderr, code) {
			t.Errorf("aws rds %s: %v %s; want %s", args[0], err, stderr, code)
		}
	}
	create := []string{"create-db-cluster", "--db-cluster-identifier", "cli", "--engine", "aurora-postgresql", "--engine-version", "15.4",
		"--master-username", "postgres", "--master-user-password"}

	refused("InvalidParameterValue", append(create, "short")...)
	refused("DBClusterNotFoundFault", "describe-db-clusters", "--db-cluster-identifier", "cli")
	rds(append(create, harness.Password)...)
	refused("DBClusterAlreadyExistsFault", append(create, harness.Password)...)
	rds("create-db-instance", "--db-instance-identifier", "cli-1", "--db-cluster-identifier", "cli", "--engine", "aurora-postgresql", "--db-instance-class", "db.t4g.medium")
	harness.Eventually(t, 30*time.Second, "the instance is available", func() error {
		return is(rds("describe-db-instances", "--db-instance-identifier", "cli-1", "--query", "DBInstances[0].DBInstanceStatus", "--output", "text"), "available")
	})
	host := rds("describe-db-clusters", "--db-cluster-identifier", "cli", "--query", "DBClusters[0].Endpoint", "--output", "text")
	if got, err := in.Query(harness.Endpoint{Host: strings.TrimSpace(host), Port: 5432}, "select 1::text"); err != nil || got != "1" {
		t.Errorf("SQL: %q, %v", got, err)
	}
	refused("InvalidDBClusterStateFault", "delete-db-cluster", "--db-cluster-identifier", "cli", "--skip-final-snapshot")
	refused("Final", "delete-db-cluster", "--db-cluster-identifier", "cli")
	rds("delete-db-instance", "--db-instance-identifier", "cli-1")
	rds("delete-db-cluster", "--db-cluster-identifier", "cli", "--skip-final-snapshot")
	harness.Eventually(t, 30*time.Second, "the cluster is gone", func() error {
		return is(rds("describe-db-clusters", "--query", "length(DBClusters)", "--output", "text"), "0")
	})
}

// TestAWSCLITunesACluster gives a cluster a parameter group and changes it.
func TestAWSCLITunesACluster(t *testing.T) {
	t.Parallel()
	in := harness.New(t, harness.Options{})
	rds := func(args ...string) string {
		t.Helper()
		return in.Run(append([]string{"aws", "rds"}, args...)...)
	}
	set := func(parameter string) {
		t.Helper()
		rds("modify-db-cluster-parameter-group", "--db-cluster-parameter-group-name", "cli", "--parameters", parameter)
	}
	rds("create-db-cluster-parameter-group", "--db-cluster-parameter-group-name", "cli", "--db-parameter-group-family", "aurora-postgresql15", "--description", "of a test")
	set("ParameterName=work_mem,ParameterValue=8192,ApplyMethod=immediate")
	rds("create-db-cluster", "--db-cluster-identifier", "cli", "--engine", "aurora-postgresql", "--db-cluster-parameter-group-name", "cli",
		"--master-username", "postgres", "--master-user-password", harness.Password)
	rds("create-db-instance", "--db-instance-identifier", "cli-1", "--db-cluster-identifier", "cli", "--engine", "aurora-postgresql", "--db-instance-class", "db.t4g.medium")
	harness.Eventually(t, 30*time.Second, "the instance is available", func() error {
		return is(rds("describe-db-instances", "--db-instance-identifier", "cli-1", "--query", "DBInstances[0].DBInstanceStatus", "--output", "text"), "available")
	})
	host := rds("describe-db-clusters", "--db-cluster-identifier", "cli", "--query", "DBClusters[0].Endpoint", "--output", "text")
	at := harness.Endpoint{Host: strings.TrimSpace(host), Port: 5432}
	harness.Eventually(t, 15*time.Second, "work_mem", in.Is(at, "show work_mem", "8MB"))
	set("ParameterName=work_mem,ParameterValue=16384,ApplyMethod=immediate")
	harness.Eventually(t, 15*time.Second, "work_mem", in.Is(at, "show work_mem", "16MB"))
	listed := rds("describe-db-cluster-parameters", "--db-cluster-parameter-group-name", "cli", "--source", "user", "--query", "Parameters[].ParameterName", "--output", "text")
	if err := is(listed, "work_mem"); err != nil {
		t.Error(err)
	}
	if all := rds("describe-db-cluster-parameters", "--db-cluster-parameter-group-name", "cli", "--query", "length(Parameters)", "--output", "json"); len(strings.TrimSpace(all)) != 3 {
		t.Errorf("%s parameters", all)
	}
	file := strings.Fields(rds("describe-db-log-files", "--db-instance-identifier", "cli-1", "--query", "DescribeDBLogFiles[].LogFileName", "--output", "text"))
	if len(file) == 0 {
		t.Fatal("the server has no log file")
	}
	text := rds("download-db-log-file-portion", "--db-instance-identifier", "cli-1", "--log-file-name", file[0], "--starting-token", "0", "--output", "text")
	if !strings.Contains(text, "database system is ready to accept connections") {
		t.Errorf("the log is\n%s", text)
	}
}
