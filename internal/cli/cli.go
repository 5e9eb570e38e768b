// Package cli holds the commands of the daybreak binary that people and scripts
// use. Each is arguments → call → view. The calls go to the platform's API and
// to the AWS API; nothing here reads the state or touches a process other than
// our own.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/launch"
	"github.com/daybreakdb/daybreak/internal/layout"
)

// Options are what the binary gives its commands.
type Options struct {
	// Checks looks at this host for what Daybreak needs, for doctor and for the
	// start of the server.
	Checks func(ctx context.Context, l layout.Layout) []Check
	// StopDatabases stops every PostgreSQL server of the installation cleanly.
	StopDatabases func(ctx context.Context, l layout.Layout) error
	// Hosts are those of the installation.
	Hosts Hosts
	// Version is printed by --version.
	Version string
}

// Hosts is the commands' way to the hosts of an installation, which works while a
// majority of them is there, whichever that is.
type Hosts interface {
	// Token makes a token with which other hosts can join.
	Token(l layout.Layout, c config.Config, expires time.Time) (string, error)
	// Join makes this host one of the installation that made the token, with c as
	// its own settings, and returns all it has to start with.
	Join(ctx context.Context, l layout.Layout, token string, c config.Config) (config.Config, error)
	// Known is how many other hosts this one knows, also when nothing runs.
	Known(l layout.Layout) (int, error)
	List(ctx context.Context, l layout.Layout, c config.Config) ([]Host, error)
	// Remove takes a host that is gone for good out of the installation, when others
	// have made what it had of databases' logs. tell is called with what it waits for.
	Remove(ctx context.Context, l layout.Layout, c config.Config, id string, tell func(string)) error
}

// ErrNoState says that the state cannot be asked: too few hosts are there, or this
// one's server does not run.
var ErrNoState = errors.New("the state of the installation cannot be read")

// Host is a host of the installation.
type Host struct {
	ID        string   `json:"id"`
	This      bool     `json:"this"` // the one that was asked
	Zones     []string `json:"zones"`
	LinkAddr  string   `json:"linkAddr,omitempty"`
	Present   bool     `json:"present"`
	Etcd      string   `json:"etcd,omitempty"` // voter or learner; empty: neither
	PGVersion string   `json:"pgVersion,omitempty"`
}

// Check is one thing that doctor looked at.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Needed bool   `json:"needed"` // without it the server cannot work
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"` // what to do about it
}

// app is what every command has: the global flags and the options.
type app struct {
	Options
	dataDir string
	output  string
	view    *view
}

// New returns the command tree.
func New(o Options) *cobra.Command {
	a := &app{Options: o}
	root := &cobra.Command{
		Use:           "daybreak",
		Short:         "Aurora PostgreSQL as a service, on AWS or on your own machines",
		Version:       o.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			json, err := wantJSON(a.output)
			a.view = newView(cmd.OutOrStdout(), cmd.ErrOrStderr(), json)
			return err
		},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.dataDir, "data-dir", "", "where the installation lives (default $DAYBREAK_DATA_DIR, else /var/lib/daybreak or ~/.local/share/daybreak)")
	flags.StringVarP(&a.output, "output", "o", "table", "table or json")
	root.AddCommand(
		a.upCommand(), a.listCommand(), a.describeCommand(), a.endpointsCommand(), a.logsCommand(),
		a.modifyCommand(), a.downCommand(), a.psqlCommand(),
		a.awsCommand(), a.envCommand(), a.doctorCommand(), a.serverCommand(), a.usersCommand(), a.auditCommand(), sbomCommand(),
	)
	return root
}

func wantJSON(output string) (bool, error) {
	switch output {
	case "table":
		return false, nil
	case "json":
		return true, nil
	}
	return false, fmt.Errorf("--output %q: want table or json", output)
}

func (a *app) layout() (layout.Layout, error) { return layout.New(a.dataDir) }

// binary is the path of this program, for the processes it starts.
func binary() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find our own binary: %w", err)
	}
	return path, nil
}

// program is what to type for this program: its name where that is on PATH,
// else the path it was started by.
func program() string {
	if launch.Look("daybreak") != "" {
		return "daybreak"
	}
	return os.Args[0]
}
