package region_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rdsdata"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// meaningless are members whose every value means the same in this region: it
// answers all there is, masks nothing and shares nothing. Those of AWS that AWS
// leaves out too are here as well.
var meaningless = map[string][]string{
	"ec2": {
		"*.DryRun", "DescribeAvailabilityZones.AllAvailabilityZones", "DescribeNetworkInterfaces.IncludeManagedResources",
		"DescribeRegions.AllRegions", "*NetworkAclEntry.IcmpTypeCode", "*NetworkAclEntry.PortRange", // all entries are of all protocols
	},
	"iam":  {"*.Marker", "*.MaxItems"}, // of lists that are one page
	"kms":  {"*.BypassPolicyLockoutSafetyCheck", "ListKeyPolicies.Limit", "ListKeyPolicies.Marker"},
	"logs": {"FilterLogEvents.Interleaved", "*LogEvents.Unmask", "PutLogEvents.Entity", "PutLogEvents.SequenceToken"},
	"rds": {
		"*.DeleteAutomatedBackups", "DescribeDBClusters.IncludeShared", "DescribeDBEngineVersions.IncludeAll",
		"DescribeDBEngineVersions.ListSupported*", "DescribeDBMajorEngineVersions.M*", "DescribeDBSubnetGroups.Filters",
		"DescribeGlobalClusters.*", "ListTagsForResource.Filters", "DeleteDBInstance.SkipFinalSnapshot", // of members of clusters
		"CopyDBClusterSnapshot.PreSignedUrl",    // its regions need no proof of each other
		"StartDBInstance.*", "StopDBInstance.*", // always refused
	},
	"rds-data":       {"*.Schema"},                                 // which AWS does not take either
	"secretsmanager": {"CreateSecret.ForceOverwriteReplicaSecret"}, // replicas are refused
}

// TestNoMemberOfARequestIsSilentlyLeftOut looks for members of inputs that no code
// of their action reads and that are not refused.
func TestNoMemberOfARequestIsSilentlyLeftOut(t *testing.T) {
	clients := map[string]any{
		"ec2": &ec2.Client{}, "iam": &iam.Client{}, "kms": &kms.Client{}, "logs": &cloudwatchlogs.Client{}, "rds": &rds.Client{},
		"rds-data": &rdsdata.Client{}, "secretsmanager": &secretsmanager.Client{}, "sns": &sns.Client{}, "sts": &sts.Client{},
	}
	for _, s := range services(t) {
		client := reflect.TypeOf(clients[s.Name()])
		if client == nil {
			t.Errorf("%s: no client to compare it with", s.Name())
			continue
		}
		read := membersRead(t, s.Name())
		for _, operation := range s.Operations() {
			method, _ := client.MethodByName(operation)
			in := method.Type.In(2).Elem()
			for i := range in.NumField() {
				name := in.Field(i).Name
				if !in.Field(i).IsExported() || read[operation]["*"] || read[operation][name] || slices.Contains(s.Lacking(operation), name) {
					continue
				}
				if !slices.ContainsFunc(meaningless[s.Name()], func(pattern string) bool {
					ok, err := filepath.Match(pattern, operation+"."+name)
					return ok && err == nil
				}) {
					t.Errorf("%s: %s of %s is neither read nor refused", s.Name(), name, operation)
				}
			}
		}
	}
}

// membersRead are the names that the functions which take an operation's input
// mention, by operation; "*" if they refuse all that they do not honour.
func membersRead(t *testing.T, service string) map[string]map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(strings.ReplaceAll(service, "-", ""), "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources of %s: %v", service, err)
	}
	read := map[string]map[string]bool{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			for _, operation := range inputsOf(f) {
				if read[operation] == nil {
					read[operation] = map[string]bool{}
				}
				mentions(f, read[operation])
			}
		}
	}
	return read
}

// inputsOf are the operations whose inputs a function takes.
func inputsOf(f *ast.FuncDecl) []string {
	var operations []string
	for _, p := range f.Type.Params.List {
		if star, ok := p.Type.(*ast.StarExpr); ok {
			if selector, ok := star.X.(*ast.SelectorExpr); ok && strings.HasSuffix(selector.Sel.Name, "Input") {
				operations = append(operations, strings.TrimSuffix(selector.Sel.Name, "Input"))
			}
		}
	}
	return operations
}

func mentions(f *ast.FuncDecl, names map[string]bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			names[n.Sel.Name] = true
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil {
				names[text] = true
			}
		case *ast.CallExpr:
			// Functions that look at all members by reflection.
			name, isName := n.Fun.(*ast.Ident)
			if isName && slices.Contains([]string{"refuseOthers", "unavailable", "routeOf"}, name.Name) && len(n.Args) > 0 {
				in, isIn := n.Args[0].(*ast.Ident)
				names["*"] = names["*"] || isIn && in.Name == "in"
			}
		}
		return true
	})
}
