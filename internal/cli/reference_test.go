package cli

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/daybreakdb/daybreak/internal/layout"
)

var update = flag.Bool("update", false, "write the reference instead of comparing it")

const referenceFile = "../../docs/cli.md"

// TestReferenceIsWhatTheCommandsSay compares docs/cli.md with the commands; with
// -update it writes it.
func TestReferenceIsWhatTheCommandsSay(t *testing.T) {
	root := New(Options{Checks: func(context.Context, layout.Layout) []Check { return nil }})
	var b strings.Builder
	b.WriteString("# Commands\n\nMade from the commands themselves: go test ./internal/cli -run Reference -update\n")
	b.WriteString("\nFlags of every command:\n\n")
	writeFlags(&b, root.PersistentFlags())
	writeCommands(&b, root)
	if *update {
		if err := os.WriteFile(referenceFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(referenceFile)
	if err != nil || string(have) != b.String() {
		t.Errorf("%s is out of date (%v): go test ./internal/cli -run Reference -update", referenceFile, err)
	}
}

func writeCommands(b *strings.Builder, parent *cobra.Command) {
	for _, cmd := range parent.Commands() {
		if cmd.Hidden || cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		if cmd.Runnable() {
			fmt.Fprintf(b, "\n## %s\n\n%s.\n\n```\n%s\n```\n", cmd.CommandPath(), cmd.Short, cmd.UseLine())
			if cmd.Example != "" {
				fmt.Fprintf(b, "\n```sh\n%s\n```\n", cmd.Example)
			}
			if flags := cmd.LocalNonPersistentFlags(); flags.HasFlags() {
				b.WriteByte('\n')
				writeFlags(b, flags)
			}
		}
		writeCommands(b, cmd)
	}
}

func writeFlags(b *strings.Builder, flags *pflag.FlagSet) {
	b.WriteString("| flag | meaning |\n|---|---|\n")
	flags.VisitAll(func(f *pflag.Flag) {
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		fmt.Fprintf(b, "| `%s` | %s |\n", name, strings.ReplaceAll(f.Usage, "|", "\\|"))
	})
}
