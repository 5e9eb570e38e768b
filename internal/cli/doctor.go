package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look at this host and installation: what is missing, what is weaker than it could be",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := a.layout()
			if err != nil {
				return err
			}
			checks := a.Checks(cmd.Context(), l)
			if a.view.json {
				err = a.view.JSON(map[string]any{"dataDir": l.Root, "checks": checks})
			} else {
				err = a.viewChecks(checks)
			}
			if err != nil {
				return err
			}
			for _, c := range checks {
				if c.Needed && !c.OK {
					return ExitError{Code: 1}
				}
			}
			return nil
		},
	}
}

func (a *app) viewChecks(checks []Check) error {
	for _, c := range checks {
		mark := a.view.paint(green, "ok  ")
		switch {
		case !c.OK && c.Needed:
			mark = a.view.paint(red, "FAIL")
		case !c.OK:
			mark = a.view.paint(amber, "note")
		}
		a.view.Line("%s  %s: %s", mark, c.Name, c.Detail)
		if !c.OK && c.Hint != "" {
			a.view.Line("      → %s", c.Hint)
		}
	}
	return nil
}
