package region_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/ec2"
	"github.com/daybreakdb/daybreak/internal/region/iam"
	"github.com/daybreakdb/daybreak/internal/region/rds"
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
	for _, s := range []*awswire.Service{relational, ec2.New(store), iam.New(directory), sts.New(directory)} {
		fmt.Fprintf(&b, "\n## %s\n\n", s.Name())
		for _, operation := range s.Operations() {
			fmt.Fprintf(&b, "- %s\n", operation)
		}
	}
	if *update {
		if err := os.WriteFile(referenceFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(referenceFile)
	if err != nil || string(have) != b.String() {
		t.Errorf("%s is out of date (%v): go test ./internal/region -run Reference -update", referenceFile, err)
	}
}
