package provider

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
)

func TestEveryTypeHasASchemaAndEveryRuleAnAttribute(t *testing.T) {
	for _, s := range sources() {
		p, err := s.new()
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Resources) != len(p.Schemas.Resources) || len(p.DataSources) != len(p.Schemas.DataSources) {
			t.Errorf("%s: %d resources with %d schemas, %d data sources with %d", s.name,
				len(p.Resources), len(p.Schemas.Resources), len(p.DataSources), len(p.Schemas.DataSources))
		}
		for name, r := range p.Resources {
			schema := p.Schemas.Resources[name]
			if schema == nil {
				t.Errorf("%s has no schema", name)
				continue
			}
			for path := range r.Rules {
				// Both kinds of parameter groups have one set of rules.
				if !has(schema.Block, path) && path != "skip_destroy" && !strings.HasPrefix(path, "ingress.") && !strings.HasPrefix(path, "egress.") {
					t.Errorf("%s has a rule for %s, which is no attribute", name, path)
				}
			}
			for op := range r.Timeouts {
				if !has(schema.Block, "timeouts."+op) {
					t.Errorf("%s has a timeout for %s, which is not configurable", name, op)
				}
			}
		}
	}
}

func has(b *tfprotov5.SchemaBlock, path string) bool {
	first, rest, nested := strings.Cut(path, ".")
	for _, n := range b.BlockTypes {
		if n.TypeName == first {
			return !nested || has(n.Block, rest)
		}
	}
	for _, a := range b.Attributes {
		if a.Name == first && !nested {
			return true
		}
	}
	return false
}

func TestWhatIsSupportedIsListed(t *testing.T) {
	for name, want := range map[string]bool{"aws_rds_cluster": true, "random_password": true, "aws_s3_bucket": false, "aws_vpc": false} {
		if Supports(name) != want {
			t.Errorf("Supports(%s) is %t", name, !want)
		}
	}
	if !SupportsData("aws_vpc") || SupportsData("aws_rds_cluster") {
		t.Error("data sources and resources are told apart")
	}
	if err := Serve("google"); !errors.Is(err, ErrUnknown) {
		t.Errorf("serving another provider: %v", err)
	}
}

func TestTheMirrorIsWrittenOnceAndFollowsTheBinary(t *testing.T) {
	dir := t.TempDir()
	write := func(binary string) {
		t.Helper()
		if err := WriteMirror(dir, binary); err != nil {
			t.Fatal(err)
		}
	}
	write("/opt/day's break/daybreak")
	scripts, _ := filepath.Glob(filepath.Join(dir, "*", "hashicorp", "*", "*", "*", "*"))
	if len(scripts) != 4 {
		t.Fatalf("%d scripts: %q", len(scripts), scripts)
	}
	before := make(map[string]os.FileInfo)
	for _, s := range scripts {
		info, err := os.Stat(s)
		if err != nil {
			t.Fatal(err)
		}
		before[s] = info
		content, _ := os.ReadFile(s)
		if info.Mode().Perm() != 0o755 || !strings.Contains(string(content), `exec '/opt/day'\''s break/daybreak' provider `) {
			t.Errorf("%s: mode %s, %s", s, info.Mode(), content)
		}
	}
	write("/opt/day's break/daybreak")
	for s, was := range before {
		if info, err := os.Stat(s); err != nil || !os.SameFile(was, info) {
			t.Errorf("%s was written again", s)
		}
	}
	write("/usr/bin/daybreak")
	for s := range before {
		if content, _ := os.ReadFile(s); !strings.Contains(string(content), "'/usr/bin/daybreak'") {
			t.Errorf("%s does not follow the binary: %s", s, content)
		}
	}
}
