// Daybreak: Aurora PostgreSQL as a service, on AWS or on your own machines.
// This package only wires: flags to configuration to the packages that run.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/daybreakdb/daybreak/internal/cli"
	"github.com/daybreakdb/daybreak/internal/dataplane/node"
)

// version is set by the build.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := cli.New(cli.Options{Checks: hostChecks, StopDatabases: node.StopAll, Hosts: hosts{}, Version: version})
	root.AddCommand(processCommands()...)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return
	}
	var exit cli.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.Code)
	}
	fmt.Fprintln(os.Stderr, cli.FormatError(err))
	os.Exit(1)
}
