package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

func (a *app) usersCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "users", Short: "Who may sign in to the platform, as with omnistrate-ctl"}
	cmd.AddCommand(a.usersAddCommand(), a.usersListCommand(), a.usersPasswordCommand(), a.usersRemoveCommand())
	return cmd
}

func (a *app) usersAddCommand() *cobra.Command {
	var n rest.NewUser
	cmd := &cobra.Command{
		Use: "add EMAIL", Short: "Let somebody sign in; the password is read from stdin", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			n.Email = args[0]
			if n.Password, err = readPassword(cmd); err != nil {
				return err
			}
			u, err := client.CreateUser(cmd.Context(), n)
			if err != nil {
				return err
			}
			return a.view.users([]rest.User{u})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&n.Name, "name", "", "their name (default the e-mail address)")
	flags.StringVar(&n.Organization, "org", "", "their organisation, a customer; it is made if it is new (default the provider's own)")
	flags.StringVar(&n.Role, "role", "root", "root, admin, editor or reader")
	return cmd
}

func (a *app) usersListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List users", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			users, err := client.Users(cmd.Context())
			if err != nil {
				return err
			}
			return a.view.users(users)
		},
	}
}

func (a *app) usersPasswordCommand() *cobra.Command {
	return &cobra.Command{
		Use: "password EMAIL", Short: "Give a user another password, read from stdin; their sessions end", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			password, err := readPassword(cmd)
			if err != nil {
				return err
			}
			u, err := client.SetPassword(cmd.Context(), args[0], rest.NewPassword{Password: password})
			if err != nil {
				return err
			}
			return a.view.users([]rest.User{u})
		},
	}
}

func (a *app) usersRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove EMAIL", Short: "Remove a user with their sessions and API keys", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			u, err := client.DeleteUser(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.view.users([]rest.User{u})
		},
	}
}

// readPassword asks a person, or reads the first line of what is piped in.
func readPassword(cmd *cobra.Command) (string, error) {
	in := cmd.InOrStdin()
	if file, ok := in.(interface{ Fd() uintptr }); ok && term.IsTerminal(int(file.Fd())) {
		fmt.Fprint(cmd.ErrOrStderr(), "Password: ")
		password, err := term.ReadPassword(int(file.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		return string(password), err
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func (a *app) auditCommand() *cobra.Command {
	return &cobra.Command{
		Use: "audit", Short: "Check that the log of all API calls was not changed", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			v, err := client.VerifyAudit(cmd.Context())
			if err != nil {
				return err
			}
			if !v.Intact {
				return withHint(errors.New(v.Problem), "Compare audit/calls.jsonl in the data directory with a copy.")
			}
			return a.view.audit(v)
		},
	}
}

func (v *view) users(users []rest.User) error {
	if v.json {
		return v.JSON(users)
	}
	var rows [][]string
	for _, u := range users {
		state := "active"
		if u.Suspended {
			state = "suspended"
		}
		rows = append(rows, []string{u.Email, u.Organization, u.Role, state, u.ID})
	}
	return v.Table([]string{"EMAIL", "ORGANISATION", "ROLE", "STATE", "ID"}, rows)
}

func (v *view) audit(got rest.Verification) error {
	if v.json {
		return v.JSON(got)
	}
	return v.Pairs([][2]string{{"Events", fmt.Sprint(got.Events)}, {"Intact", "yes"}})
}
