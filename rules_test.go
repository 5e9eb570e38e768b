package daybreak

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/daybreakdb/daybreak/"

// importRule forbids imports to a part of the tree.
type importRule struct {
	reason string
	// in says which packages the rule is for, by their path below the module.
	in func(pkg string) bool
	// forbids says which import paths they may not have.
	forbids func(imp string) bool
}

func under(dirs ...string) func(string) bool {
	return func(p string) bool {
		for _, dir := range dirs {
			if p == dir || strings.HasPrefix(p, dir+"/") {
				return true
			}
		}
		return false
	}
}

func not(f func(string) bool) func(string) bool { return func(p string) bool { return !f(p) } }

func ours(dirs ...string) func(string) bool {
	is := under(dirs...)
	return func(imp string) bool {
		rest, ok := strings.CutPrefix(imp, module)
		return ok && is(rest)
	}
}

func external(imp string) bool { return strings.Contains(strings.Split(imp, "/")[0], ".") }

var importRules = []importRule{
	{"the platform reaches a region only through the AWS API, so that ours and AWS are the same to it",
		under("internal/platform"), ours("internal/region", "internal/dataplane", "internal/aurora")},
	{"the region writes desired state and never touches a process",
		under("internal/region"), ours("internal/platform", "internal/dataplane")},
	{"the data plane knows no AWS request and no tenant",
		under("internal/dataplane"), ours("internal/platform", "internal/region")},
	{"the shared nouns are pure",
		under("internal/aurora"), func(imp string) bool { return external(imp) }},
	{"a decision depends on the nouns and nothing else",
		under("internal/dataplane/decide"), func(imp string) bool { return external(imp) && !ours("internal/aurora")(imp) }},
	{"a package that manages one PostgreSQL server knows no cluster and no state",
		under("internal/dataplane/postgres"), ours("internal/aurora", "internal/state", "internal/dataplane/node", "internal/dataplane/controller", "internal/dataplane/decide")},
	{"programs are run in three places, so that process groups, environments and stops are right everywhere",
		not(under("internal/dataplane/postgres", "internal/platform/stack", "internal/launch", "test", "bench")),
		func(imp string) bool { return imp == "os/exec" }},
	{"XML is a matter of the wire",
		not(under("internal/region/awswire")), func(imp string) bool { return imp == "encoding/xml" }},
	{"etcd has one client, so that the keyspace and its compare-and-swap are in one place",
		not(under("internal/state")), func(imp string) bool { return strings.HasPrefix(imp, "go.etcd.io/etcd/client") }},
	{"the CLI is a client of the public API, as every other client is",
		under("internal/cli"), func(imp string) bool {
			return ours("internal/platform", "internal/region", "internal/dataplane", "internal/state", "internal/aurora")(imp) && imp != module+"internal/platform/rest"
		}},
	{"the embedded provider is a client of the AWS API",
		under("internal/provider"), ours("internal/platform", "internal/region", "internal/dataplane", "internal/state", "internal/aurora")},
}

// sources calls f for each Go file of the module that is not a test.
func sources(t *testing.T, mode parser.Mode, f func(pkg, file string, tree *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || (d.Name() != "." && strings.HasPrefix(d.Name(), "."))) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, mode)
		if err != nil {
			return err
		}
		f(path.Dir(filepath.ToSlash(file)), file, tree)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPackagesImportOnlyWhatTheyMayKnow(t *testing.T) {
	sources(t, parser.ImportsOnly, func(pkg, file string, tree *ast.File) {
		for _, spec := range tree.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			for _, rule := range importRules {
				if rule.in(pkg) && rule.forbids(imp) {
					t.Errorf("%s imports %s: %s", file, imp, rule.reason)
				}
			}
		}
	})
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	documented := map[string]bool{}
	sources(t, parser.PackageClauseOnly|parser.ParseComments, func(pkg, _ string, tree *ast.File) {
		documented[pkg] = documented[pkg] || tree.Doc.Text() != ""
	})
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %s has no doc comment", pkg)
		}
	}
}

func TestNoInitAndNoContextTODO(t *testing.T) {
	sources(t, 0, func(_, file string, tree *ast.File) {
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Name.Name == "init" && n.Recv == nil {
					t.Errorf("%s has an init function: wiring belongs in main", file)
				}
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "context" && n.Sel.Name == "TODO" {
					t.Errorf("%s uses context.TODO: a context comes from the caller", file)
				}
			}
			return true
		})
	})
}

func TestNoPackageNamedForNothing(t *testing.T) {
	sources(t, parser.PackageClauseOnly, func(pkg, _ string, tree *ast.File) {
		switch tree.Name.Name {
		case "util", "utils", "common", "helper", "helpers", "types", "misc":
			t.Errorf("package %s: a name says what it is for", pkg)
		}
	})
}
