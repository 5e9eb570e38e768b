package region_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/internal/aurora/parameter"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/ec2"
	"github.com/daybreakdb/daybreak/internal/region/iam"
	"github.com/daybreakdb/daybreak/internal/region/kms"
	"github.com/daybreakdb/daybreak/internal/region/logs"
	"github.com/daybreakdb/daybreak/internal/region/rds"
	"github.com/daybreakdb/daybreak/internal/region/secretsmanager"
	"github.com/daybreakdb/daybreak/internal/region/sns"
	"github.com/daybreakdb/daybreak/internal/region/sts"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

var update = flag.Bool("update", false, "write the reference instead of comparing it")

const referenceFile = "../../docs/aws-actions.md"

// TestReferenceListsTheActionsThatAreServed compares docs/aws-actions.md with
// what is registered; with -update it writes it.
func TestReferenceListsTheActionsThatAreServed(t *testing.T) {
	store := statetest.Start(t)
	relational, err := rds.New(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("# AWS actions that the embedded region serves\n\nMade from what is registered: go test ./internal/region -run Reference -update\n")
	directory, err := iam.NewDirectory(t.Context(), store, nil, wiretest.Credentials())
	if err != nil {
		t.Fatal(err)
	}
	topics, err := sns.New(t.Context(), sns.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*awswire.Service{relational, ec2.New(store), iam.New(directory), kms.New(store, nil), secretsmanager.New(store, nil), topics.Service, sts.New(directory), logs.New(store, t.TempDir()).Service()} {
		fmt.Fprintf(&b, "\n## %s\n\n", s.Name())
		for _, operation := range s.Operations() {
			fmt.Fprintf(&b, "- %s\n", operation)
		}
	}
	compare(t, referenceFile, b.String())
}

// compare compares a reference with what it is made from; with -update it writes it.
func compare(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(file)
	if err != nil || string(have) != want {
		t.Errorf("%s is out of date (%v): go test ./internal/region -run Reference -update", file, err)
	}
}

const parametersFile = "../../docs/parameters.md"

// uses say what each use of parameters means to a user.
var uses = []struct {
	use         parameter.Use
	title, text string
}{
	{parameter.Postgres, "Settings of PostgreSQL", "They are PostgreSQL 15's own, with its ranges. A dynamic one changes at once, unless its apply method is\n" +
		"pending-reboot; a static one with the next RebootDBInstance. Numbers are in the unit given, without a suffix."},
	{parameter.Translated, "Carried out by other means", "- `rds.force_ssl`: endpoints refuse clients without TLS.\n" +
		"- `rds.logical_replication`: `wal_level` is `logical` or `replica`.\n" +
		"- `rds.log_retention_period`: log files are deleted when they are as many minutes old."},
	{parameter.Extension, "Settings of extensions", "PostgreSQL keeps them for the extension, where that is installed on the hosts and loaded."},
	{parameter.Stored, "Without effect", "Kept and shown. With these Aurora tunes itself; no result of a query depends on them."},
	{parameter.Service, "Set by the service", "They are shown with what the service sets, and cannot be modified."},
	{parameter.Absent, "Of features that are not here", "They are shown with the value that says so, and cannot be modified."},
}

const parametersIntro = `# Parameters of DB parameter groups

Made from the catalogue of the family aurora-postgresql15: go test ./internal/region -run Reference -update

A DB cluster parameter group sets parameters for all instances of a cluster, a DB parameter group for single
instances; the latter goes first. The groups named default.aurora-postgresql15 set nothing and cannot be
changed. Numbers may be formulas: ` + "`LEAST({DBInstanceClassMemory/9531392},5000)`" + `, with GREATEST, LEAST, SUM,
log, * and /, and the variables DBInstanceClassMemory and DBInstanceVCPU. They are those of the instance class or
what the host can give, whichever is less.

max_connections, max_locks_per_transaction, max_prepared_transactions and max_worker_processes are the same on
all instances of a cluster, because a reader of PostgreSQL stops replaying when it has fewer than its writer: they
are in DB cluster parameter groups only, change when the writer is rebooted, and the readers restart with it.
In them formulas go by the host's memory, not by the class.

What a host cannot have, such as a library that is not installed, is left out when the server reads its
settings; DescribeDBInstances says so in StatusInfos.
`

// TestReferenceListsTheParameters compares docs/parameters.md with the catalogue.
func TestReferenceListsTheParameters(t *testing.T) {
	var b strings.Builder
	b.WriteString(parametersIntro)
	for _, u := range uses {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| parameter | groups | type | apply type | values | unit | default |\n|---|---|---|---|---|---|---|\n", u.title, u.text)
		for _, p := range parameter.All() {
			if p.Use != u.use {
				continue
			}
			groups, apply := "cluster, instance", "dynamic"
			if !p.Instance {
				groups = "cluster"
			} else if !p.Cluster {
				groups = "instance"
			}
			if p.Static {
				apply = "static"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", p.Name, groups, p.Type, apply, p.Allowed, p.Unit, p.Default)
		}
	}
	compare(t, parametersFile, b.String())
}
