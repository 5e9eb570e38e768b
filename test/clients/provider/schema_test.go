//go:build clients && awsprovider

package provider

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	embedded "github.com/daybreakdb/daybreak/internal/provider"
	"github.com/daybreakdb/daybreak/internal/provider/aws"
)

var update = flag.Bool("update", false, "write the real provider's schemas to internal/provider/aws/schemas.txt")

const schemasFile = "../../../internal/provider/aws/schemas.txt"

// The JSON of "terraform providers schema", without descriptions.
type (
	schemaSet struct {
		Provider    schema            `json:"provider"`
		Resources   map[string]schema `json:"resource_schemas"`
		DataSources map[string]schema `json:"data_source_schemas"`
	}
	schema struct {
		Version int64 `json:"version"`
		Block   block `json:"block"`
	}
	block struct {
		Attributes map[string]attribute `json:"attributes"`
		Blocks     map[string]nested    `json:"block_types"`
	}
	attribute struct {
		Type       any  `json:"type"`
		Required   bool `json:"required"`
		Optional   bool `json:"optional"`
		Computed   bool `json:"computed"`
		Sensitive  bool `json:"sensitive"`
		WriteOnly  bool `json:"write_only"`
		Deprecated bool `json:"deprecated"`
	}
	nested struct {
		Nesting string `json:"nesting_mode"`
		Min     int    `json:"min_items"`
		Max     int    `json:"max_items"`
		Block   block  `json:"block"`
	}
)

// realMirror is the mirror that holds the real provider.
func realMirror(t *testing.T) string {
	t.Helper()
	mirror := os.Getenv("DAYBREAK_TEST_AWS_PROVIDER_MIRROR")
	if mirror == "" {
		t.Fatal("DAYBREAK_TEST_AWS_PROVIDER_MIRROR is not set: a filesystem mirror with hashicorp/aws 5.100")
	}
	return mirror
}

func TestSchemasAreThoseOfTheRealProvider(t *testing.T) {
	theirs := schemasOf(t, realMirror(t))
	if *update {
		if err := os.WriteFile(schemasFile, []byte(format(theirs)), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Skip("written; build and run again")
	}
	ours := schemasOf(t, embeddedMirror(t))
	compare(t, "provider", ours.Provider, theirs.Provider)
	for name, s := range ours.Resources {
		compare(t, name, s, theirs.Resources[name])
	}
	for name, s := range ours.DataSources {
		compare(t, "data."+name, s, theirs.DataSources[name])
	}
	for _, name := range slices.DeleteFunc(embedded.Resources(), func(n string) bool { return !strings.HasPrefix(n, "aws_") }) {
		if _, ok := ours.Resources[name]; !ok {
			t.Errorf("%s is listed and not served", name)
		}
	}
}

func compare(t *testing.T, name string, ours, theirs schema) {
	t.Helper()
	if reflect.DeepEqual(ours, theirs) {
		return
	}
	var a, b strings.Builder
	formatBlock(&a, ours.Block, 1)
	formatBlock(&b, theirs.Block, 1)
	was := strings.Split(b.String(), "\n")
	now := strings.Split(a.String(), "\n")
	for _, line := range was {
		if !slices.Contains(now, line) {
			t.Errorf("%s lacks %q", name, strings.TrimSpace(line))
		}
	}
	for _, line := range now {
		if !slices.Contains(was, line) {
			t.Errorf("%s has %q, which the real one has not", name, strings.TrimSpace(line))
		}
	}
	t.Errorf("%s differs (schema versions %d and %d)", name, ours.Version, theirs.Version)
}

func schemasOf(t *testing.T, mirror string) schemaSet {
	t.Helper()
	tf := newTerraform(t, mirror, `terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "`+aws.Version+`"
    }
  }
}
`)
	tf.must("init", "-input=false")
	var out struct {
		Providers map[string]schemaSet `json:"provider_schemas"`
	}
	if err := json.Unmarshal([]byte(tf.must("providers", "schema", "-json")), &out); err != nil {
		t.Fatal(err)
	}
	for name, s := range out.Providers {
		if filepath.Base(name) == "aws" {
			return s
		}
	}
	t.Fatal("no schemas")
	return schemaSet{}
}

// format writes the schemas of what the embedded provider has.
func format(s schemaSet) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Attributes of hashicorp/aws %s, compared with the original by TestSchemasAreThoseOfTheRealProvider.\n", aws.Version)
	fmt.Fprintf(&b, "provider %d\n", s.Provider.Version)
	formatBlock(&b, s.Provider.Block, 1)
	for _, name := range embedded.Resources() {
		if r, ok := s.Resources[name]; ok {
			fmt.Fprintf(&b, "resource %s %d\n", name, r.Version)
			formatBlock(&b, r.Block, 1)
		}
	}
	for _, name := range embedded.DataSources() {
		if d, ok := s.DataSources[name]; ok {
			fmt.Fprintf(&b, "data %s %d\n", name, d.Version)
			formatBlock(&b, d.Block, 1)
		}
	}
	return b.String()
}

func formatBlock(b *strings.Builder, of block, depth int) {
	indent := strings.Repeat("  ", depth)
	for _, name := range slices.Sorted(maps.Keys(of.Attributes)) {
		a := of.Attributes[name]
		var flags []string
		for _, f := range []struct {
			name string
			set  bool
		}{{"required", a.Required}, {"optional", a.Optional}, {"computed", a.Computed}, {"sensitive", a.Sensitive}, {"write_only", a.WriteOnly}, {"deprecated", a.Deprecated}} {
			if f.set {
				flags = append(flags, f.name)
			}
		}
		typ, _ := json.Marshal(a.Type)
		fmt.Fprintf(b, "%s%s %s %s\n", indent, name, typ, strings.Join(flags, ","))
	}
	for _, name := range slices.Sorted(maps.Keys(of.Blocks)) {
		n := of.Blocks[name]
		fmt.Fprintf(b, "%s%s block %s %d %d\n", indent, name, n.Nesting, n.Min, n.Max)
		formatBlock(b, n.Block, depth+1)
	}
}
