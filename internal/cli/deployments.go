package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/launch"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

func (a *app) listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the deployments", Args: cobra.NoArgs, Aliases: []string{"ls"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			ds, err := client.List(cmd.Context())
			if err != nil {
				return explain(err)
			}
			if a.view.json {
				return a.view.JSON(ds)
			}
			var rows [][]string
			for _, d := range ds {
				rows = append(rows, []string{d.Name, a.view.status(d.Status), d.Plan.Name, d.Target, addr(d.Endpoints["writer"]), d.ID})
			}
			return a.view.Table([]string{"NAME", "STATUS", "PLAN", "TARGET", "WRITER", "ID"}, rows)
		},
	}
}

func (a *app) describeCommand() *cobra.Command {
	var showSecrets bool
	cmd := &cobra.Command{
		Use: "describe NAME", Short: "Show a deployment, and what its data is protected against", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			d, err := client.Describe(cmd.Context(), args[0], showSecrets)
			if err != nil {
				return explain(err)
			}
			instances, err := a.instances(cmd.Context(), d)
			if err != nil {
				return fmt.Errorf("ask the region for the DB instances: %w", err)
			}
			c, _, err := a.installation()
			if err != nil {
				return err
			}
			problems := unreachable(cmd.Context(), c, d)
			if a.view.json {
				return a.view.JSON(struct {
					rest.Deployment
					Instances        []instance        `json:"instances,omitempty"`
					EndpointProblems map[string]string `json:"endpointProblems,omitempty"`
				}{d, instances, problems})
			}
			return a.showDeployment(cmd.Context(), client, d, instances, problems)
		},
	}
	cmd.Flags().BoolVar(&showSecrets, "show-secrets", false, "show sensitive values")
	return cmd
}

func (a *app) endpointsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "endpoints NAME", Short: "Show where applications connect", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			d, err := client.Describe(cmd.Context(), args[0], false)
			if err != nil {
				return explain(err)
			}
			instances, err := a.instances(cmd.Context(), d)
			if err != nil {
				return fmt.Errorf("ask the region for the DB instances: %w", err)
			}
			return a.showEndpoints(d, published(instances))
		},
	}
}

// showEndpoints shows each endpoint's own address, and the one for other hosts
// if there is one.
func (a *app) showEndpoints(d rest.Deployment, published map[string]string) error {
	type shown struct {
		rest.Endpoint
		Published string `json:"published,omitempty"`
	}
	all := map[string]shown{}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(d.Endpoints)) {
		e := shown{d.Endpoints[name], published[name]}
		all[name] = e
		rows = append(rows, []string{name, e.Host, strconv.Itoa(e.Port), e.Published})
	}
	if a.view.json {
		return a.view.JSON(all)
	}
	return a.view.Table([]string{"ENDPOINT", "HOST", "PORT", "FOR OTHER HOSTS"}, rows)
}

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use: "logs NAME", Short: "Show Terraform's words about a deployment, live while a run is under way", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			log, err := client.Log(cmd.Context(), args[0], follow)
			if err != nil {
				return explain(err)
			}
			defer log.Close()
			_, err = io.Copy(cmd.OutOrStdout(), log)
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", true, "go on until the run is done")
	return cmd
}

func (a *app) modifyCommand() *cobra.Command {
	var params, files []string
	var allowReplace, showSecrets bool
	cmd := &cobra.Command{
		Use: "modify NAME --param key=value", Short: "Change parameters of a deployment", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			values, err := readParams(params, files, cmd.InOrStdin())
			if err != nil {
				return err
			}
			if len(values) == 0 {
				return errors.New("nothing to modify: give --param key=value")
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			run, err := client.Modify(cmd.Context(), args[0], rest.ModifyRequest{Parameters: values, AllowReplace: allowReplace})
			if err != nil {
				return explain(err)
			}
			d, err := a.follow(cmd.Context(), client, run)
			if err != nil {
				return err
			}
			return a.showUp(cmd.Context(), client, d, showSecrets, nil)
		},
	}
	cmd.Flags().StringArrayVar(&params, "param", nil, "a parameter, as key=value, key=@file or key=- for standard input")
	cmd.Flags().StringArrayVar(&files, "param-file", nil, "a JSON or YAML file of parameters")
	cmd.Flags().BoolVar(&allowReplace, "allow-replace", false, "approve a Terraform plan that destroys or replaces a database")
	cmd.Flags().BoolVar(&showSecrets, "show-secrets", false, "show sensitive values")
	return cmd
}

func (a *app) downCommand() *cobra.Command {
	var yes, ifExists bool
	cmd := &cobra.Command{
		Use: "down NAME", Short: "Remove a deployment, its databases and their data", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.down(cmd, args[0], yes, ifExists)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&ifExists, "if-exists", false, "a deployment that does not exist is no error")
	return cmd
}

func (a *app) down(cmd *cobra.Command, name string, yes, ifExists bool) error {
	client, err := a.client()
	if err == nil {
		_, err = client.Describe(cmd.Context(), name, false)
	}
	if ifExists && (isNotFound(err) || !a.serverRuns()) {
		a.view.Note("There is no deployment %s.", name)
		return nil
	}
	if err != nil {
		return explain(err)
	}
	if !yes {
		if err := a.confirm(cmd, name); err != nil {
			return err
		}
	}
	run, err := client.Down(cmd.Context(), name)
	if err != nil {
		return explain(err)
	}
	if _, err := a.follow(cmd.Context(), client, run); err != nil {
		return err
	}
	if l, err := a.layout(); err == nil {
		_ = os.Remove(filepath.Join(l.Keys(), name+".pgpass"))
	}
	if a.view.json {
		return a.view.JSON(map[string]string{"name": name, "status": "DELETED"})
	}
	a.view.Line("%s is removed.", name)
	return nil
}

// confirm asks on a terminal, since data goes.
func (a *app) confirm(cmd *cobra.Command, name string) error {
	if !isTerminal(os.Stdin) {
		return withHint(fmt.Errorf("down removes the databases of %s and their data", name), "Say so: daybreak down "+name+" --yes")
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "This removes the databases of %s and their data. Type the name to go on: ", name)
	answer, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if strings.TrimSpace(answer) != name {
		return errors.New("nothing was removed")
	}
	return nil
}

func (a *app) psqlCommand() *cobra.Command {
	var reader bool
	cmd := &cobra.Command{
		Use: "psql NAME [-- ARGS…]", Short: "Open psql on a deployment's writer", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.client()
			if err != nil {
				return err
			}
			d, err := client.Describe(cmd.Context(), args[0], true)
			if err != nil {
				return explain(err)
			}
			status, err := client.Status(cmd.Context())
			if err != nil {
				return explain(err)
			}
			c, _, err := a.installation()
			if err != nil {
				return err
			}
			env, err := psqlEnvironment(cmd.Context(), c, d, status, reader)
			if err != nil {
				return err
			}
			if launch.Look("psql") == "" {
				return withHint(errors.New("psql is not installed"), "Install it: apt-get install postgresql-client-15")
			}
			return launch.Exec("psql", args[1:], append(os.Environ(), env...))
		},
	}
	cmd.Flags().BoolVar(&reader, "reader", false, "on the reader endpoint")
	return cmd
}

// psqlEnvironment is how libpq is told where to connect, the password included:
// an argument could be seen by others.
func psqlEnvironment(ctx context.Context, c config.Config, d rest.Deployment, s rest.Status, reader bool) ([]string, error) {
	which := "writer"
	if reader {
		which = "reader"
	}
	e, ok := d.Endpoints[which]
	if !ok {
		return nil, fmt.Errorf("%s has no %s endpoint: its status is %s", d.Name, which, d.Status)
	}
	env := []string{"PGHOST=" + e.Host, "PGPORT=" + strconv.Itoa(e.Port)}
	for variable, output := range map[string]string{"PGUSER": "master_username", "PGDATABASE": "database_name", "PGPASSWORD": "master_password"} {
		if value, ok := d.Outputs[output].(string); ok {
			env = append(env, variable+"="+value)
		}
	}
	if d.Target == rest.TargetEmbedded {
		addr, err := c.Resolve(ctx, e.Host)
		if err != nil {
			return nil, err
		}
		if addr != e.Host {
			env = append(env, "PGHOSTADDR="+addr)
		}
		env = append(env, "PGSSLMODE=verify-full", "PGSSLROOTCERT="+s.CAFile)
	}
	return env, nil
}

func isNotFound(err error) bool {
	var refused *rest.Error
	return errors.As(err, &refused) && refused.HTTPStatus == http.StatusNotFound
}

func (a *app) serverRuns() bool {
	l, err := a.layout()
	return err == nil && launch.Holder(l.Lock(launch.Control)) != 0
}

func addr(e rest.Endpoint) string {
	if e.Host == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", e.Host, e.Port)
}
