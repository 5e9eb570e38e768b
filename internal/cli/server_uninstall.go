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
			used, hint, err := a.inUse(cmd.Context(), l)
			if err != nil {
				return err
			}
			if used != "" {
				if unlessUsed {
					a.view.Note("The server stays: %s.", used)
					return nil
				}
				return withHint(fmt.Errorf("the installation in %s is in use: %s", l.Root, used), hint)
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

// inUse says what keeps an installation from being deleted, and what to do about
// it. It asks the server, and looks at the disk where data may be that the server
// does not know of.
func (a *app) inUse(ctx context.Context, l layout.Layout) (used, hint string, err error) {
	const deployed = "Remove them first: daybreak list, daybreak down NAME --yes"
	c, err := config.Load(l)
	if err != nil && !errors.Is(err, config.ErrNone) {
		return "", "", err
	}
	others, err := a.Hosts.Known(l)
	if err != nil {
		return "", "", err
	}
	switch {
	case c.Joined() && a.serverRuns():
		return "this host is one of several",
			"Stop it (daybreak server stop), remove it on another host (daybreak server remove-host " + c.HostID + "), and then uninstall it.", nil
	case !c.Joined() && others > 0:
		return fmt.Sprintf("%d other hosts have joined", others), "Remove them first: daybreak server hosts, daybreak server remove-host HOST", nil
	case a.serverRuns():
		client, err := a.client()
		if err != nil {
			return "", "", err
		}
		ds, err := client.List(ctx)
		if err != nil {
			return "", "", explain(err)
		}
		if len(ds) > 0 {
			return fmt.Sprintf("%d deployments", len(ds)), deployed, nil
		}
	}
	left, err := filepath.Glob(filepath.Join(l.Zones(), "*", "cluster-*"))
	if err != nil {
		return "", "", err
	}
	if len(left) > 0 {
		return fmt.Sprintf("the data of %d DB clusters", len(left)), deployed, nil
	}
	return "", "", nil
}
