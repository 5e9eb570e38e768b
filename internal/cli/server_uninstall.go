package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/launch"
	"github.com/daybreakdb/daybreak/internal/layout"
)

func (a *app) serverUninstallCommand() *cobra.Command {
	var unlessUsed bool
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Stop the server and delete its data directory; refused while there are deployments or DB clusters",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := a.layout()
			if err != nil {
				return err
			}
			used, err := a.inUse(cmd.Context(), l)
			if err != nil {
				return err
			}
			if used != "" {
				if unlessUsed {
					a.view.Note("The server stays: %s.", used)
					return nil
				}
				return withHint(fmt.Errorf("the installation in %s is in use: %s", l.Root, used), "Remove them first: daybreak list, daybreak down NAME --yes")
			}
			if err := launch.Stop(cmd.Context(), launch.SupervisorProcess(l)); err != nil {
				return err
			}
			for _, dir := range []string{l.RunDir(), l.Root} {
				if err := os.RemoveAll(dir); err != nil {
					return err
				}
			}
			a.view.Note("Removed %s.", l.Root)
			return nil
		},
	}
	cmd.Flags().BoolVar(&unlessUsed, "unless-used", false, "leave an installation that is in use alone, without an error")
	return cmd
}

// inUse says what keeps an installation from being deleted. It asks the server,
// and looks at the disk where data may be that the server does not know of.
func (a *app) inUse(ctx context.Context, l layout.Layout) (string, error) {
	c, err := config.Load(l)
	if err != nil && !errors.Is(err, config.ErrNone) {
		return "", err
	}
	if c.Joined() && a.serverRuns() {
		return fmt.Sprintf("this host is one of several; stop it, and then remove it on another one (daybreak server remove-host %s)", c.HostID), nil
	}
	if others, err := a.Hosts.Known(l); err != nil {
		return "", err
	} else if others > 0 && !c.Joined() {
		return fmt.Sprintf("%d other hosts have joined", others), nil
	}
	if a.serverRuns() {
		client, err := a.client()
		if err != nil {
			return "", err
		}
		ds, err := client.List(ctx)
		if err != nil {
			return "", explain(err)
		}
		if len(ds) > 0 {
			return fmt.Sprintf("%d deployments", len(ds)), nil
		}
	}
	left, err := filepath.Glob(filepath.Join(l.Zones(), "*", "cluster-*"))
	if err != nil {
		return "", err
	}
	if len(left) > 0 {
		return fmt.Sprintf("the data of %d DB clusters", len(left)), nil
	}
	return "", nil
}
