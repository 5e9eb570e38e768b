package region_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/ec2"
	"github.com/daybreakdb/daybreak/internal/region/iam"
	"github.com/daybreakdb/daybreak/internal/region/kms"
	"github.com/daybreakdb/daybreak/internal/region/logs"
	"github.com/daybreakdb/daybreak/internal/region/rds"
	"github.com/daybreakdb/daybreak/internal/region/rdsdata"
	"github.com/daybreakdb/daybreak/internal/region/secretsmanager"
	"github.com/daybreakdb/daybreak/internal/region/sns"
	"github.com/daybreakdb/daybreak/internal/region/sts"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

const actionsFile = "../../docs/supported-actions.md"

const actionsIntro = `# AWS actions of the embedded region

Made from what is registered and from the comments of the code that does it:
go test ./internal/region -run Reference -update

A refused action answers ` + "`UnsupportedOperation`" + ` with status 400 and says why; one that is not listed is not known
(` + "`InvalidAction`" + `). A parameter of AWS that an action does not have here is refused when it asks for something, and
never ignored: with ` + "`InvalidParameterCombination`" + ` by the Query services, ` + "`UnsupportedOperation`" + ` by EC2, and the code of
invalid parameters by the JSON services. A parameter that AWS does not have either is answered as there: EC2 says
` + "`UnknownParameter`" + `, the others leave it out.
`

// differences are what a caller of AWS may miss, by service and action.
var differences = map[string]map[string]string{
	"rds": {
		"AddRoleToDBCluster":                 "active at once",
		"CreateDBCluster":                    "aurora-postgresql 15, provisioned; endpoints are IP addresses, or names of --dns-suffix; no replicas or global clusters",
		"CreateDBClusterEndpoint":            "the endpoint is an IP address, or a name of --dns-suffix",
		"CreateDBInstance":                   "members of DB clusters only",
		"CreateEventSubscription":            "topics of the same account and region; Identifier Link is empty",
		"CopyDBClusterSnapshot":              "a copy has the key of its source, and is of the same backups",
		"DescribeCertificates":               "the installation's own authority, by AWS's name",
		"DescribeDBEngineVersions":           "versions of aurora-postgresql 15; the binaries are the hosts'",
		"DescribeDBMajorEngineVersions":      "no dates of support",
		"DescribeEvents":                     "events of clusters, their snapshots, instances and parameter groups",
		"DescribeGlobalClusters":             "there are none",
		"DescribeOrderableDBInstanceOptions": "every class can be ordered; a host gives what it has",
		"DescribePendingMaintenanceActions":  "system-update only: a restart with the host's newest PostgreSQL",
		"DownloadDBLogFilePortion":           "logs of PostgreSQL only",
		"ModifyCertificates":                 "one authority, the installation's own",
		"ModifyDBCluster":                    "another engine version is a label within PostgreSQL 15",
		"ModifyDBInstance":                   "a class is a share of the host's memory; a writer that gets another one hands its role to a reader",
		"RestoreDBClusterFromSnapshot":       "the data is restored when the cluster gets its first instance",
		"RestoreDBClusterToPointInTime":      "full-copy only; the data is restored when the cluster gets its first instance",
		"StopDBCluster":                      "needs an instance; endpoints refuse clients with SQLSTATE 57P03",
	},
	"ec2": {
		"CreateNetworkAclEntry": "entries that allow everything: network ACLs are not enforced",
		"CreateRoute":           "to internet gateways only; a record, as all of a VPC but its security groups",
		"CreateVpc":             "IPv4 only, no IPAM",
		"DeleteVpc":             "not the default one",
	},
	"kms": {
		"PutKeyPolicy": "does not bind root",
	},
	"logs": {
		"CreateLogGroup":  "STANDARD only; events are not encrypted with the key",
		"FilterLogEvents": "patterns of terms",
	},
	"rds-data": {
		"BatchExecuteStatement": "all sets or none",
		"BeginTransaction":      "every class of instances, T too; reached from loopback, which security groups must allow; ends with the server's process",
		"ExecuteStatement":      "schema is not taken, as on AWS; no COPY",
	},
	"secretsmanager": {
		"CreateSecret": "no replicas",
		"RotateSecret": "secrets of RDS only",
	},
	"sns": {
		"Publish":   "no phone numbers and FIFO topics",
		"Subscribe": "http and https",
	},
}

// TestReferenceListsTheActions compares docs/supported-actions.md with what is
// registered; with -update it writes it.
func TestReferenceListsTheActions(t *testing.T) {
	var b strings.Builder
	b.WriteString(actionsIntro)
	for _, s := range services(t) {
		effects, notes, refused := effectsOf(t, s.Name()), differences[s.Name()], s.Refused()
		fmt.Fprintf(&b, "\n## %s\n\n| action | supported or refused | effect | what differs from AWS |\n|---|---|---|---|\n", s.Name())
		for _, operation := range s.Operations() {
			if effects[operation] == "" {
				t.Errorf("%s %s: its function has no comment that begins with its name", s.Name(), operation)
			}
			fmt.Fprintf(&b, "| %s | supported | %s | %s |\n", operation, effects[operation], notes[operation])
		}
		for _, operation := range slices.Sorted(maps.Keys(refused)) {
			fmt.Fprintf(&b, "| %s | refused | %s | |\n", operation, refused[operation])
		}
		for operation := range notes {
			if !slices.Contains(s.Operations(), operation) {
				t.Errorf("%s has no %s that could differ", s.Name(), operation)
			}
		}
	}
	compare(t, actionsFile, b.String())
}

func services(t *testing.T) []*awswire.Service {
	store := statetest.Start(t)
	relational, err := rds.New(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	directory, err := iam.NewDirectory(t.Context(), store, nil, wiretest.Credentials())
	if err != nil {
		t.Fatal(err)
	}
	topics, err := sns.New(t.Context(), sns.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	data, err := rdsdata.New(t.Context(), rdsdata.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	return []*awswire.Service{relational, ec2.New(store), iam.New(directory), kms.New(store, nil),
		secretsmanager.New(store, nil), topics.Service, sts.New(directory), logs.New(store, t.TempDir()).Service(), data}
}

// effectsOf reads what the comments of a service's actions say.
func effectsOf(t *testing.T, service string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(strings.ReplaceAll(service, "-", ""), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	effects := map[string]string{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Doc == nil || !f.Name.IsExported() {
				continue
			}
			if text, ok := strings.CutPrefix(strings.Join(strings.Fields(f.Doc.Text()), " "), f.Name.Name+" "); ok {
				effects[f.Name.Name] = strings.ReplaceAll(strings.TrimSuffix(text, "."), "|", "or")
			}
		}
	}
	return effects
}
