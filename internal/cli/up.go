package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

// upFlags are the arguments of up.
type upFlags struct {
	name, target, provider string
	params, paramFiles     []string
	sources                []string
	pgpass                 bool
	allowReplace           bool
	showSecrets            bool
}

func (a *app) upCommand() *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up PATH",
		Short: "Deploy a service plan (a folder or its spec.yaml), or bring a deployment to what is asked",
		Example: `  daybreak up paas --name demo --param password=@password.txt
  daybreak up paas --name demo --param password=- < password.txt
  daybreak up paas --name demo --pgpass          # makes a password and keeps it in a pgpass file`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.up(cmd, args[0], f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "name of the deployment (default: the plan's folder)")
	flags.StringArrayVar(&f.params, "param", nil, "a parameter, as key=value, key=@file or key=- for standard input")
	flags.StringArrayVar(&f.paramFiles, "param-file", nil, "a JSON or YAML file of parameters")
	flags.StringVar(&f.target, "target", rest.TargetEmbedded, "embedded, or aws for real AWS with your own credentials")
	flags.StringVar(&f.provider, "provider", "", "embedded, or registry for the real hashicorp/aws (default: embedded for the embedded region)")
	flags.StringArrayVar(&f.sources, "source", nil, "URL=PATH: a folder that stands for a git repository of the plan")
	flags.BoolVar(&f.pgpass, "pgpass", false, "keep the password in a pgpass file; one is made at the first run")
	flags.BoolVar(&f.allowReplace, "allow-replace", false, "approve a Terraform plan that destroys or replaces a database")
	flags.BoolVar(&f.showSecrets, "show-secrets", false, "show sensitive values")
	return cmd
}

func (a *app) up(cmd *cobra.Command, path string, f upFlags) error {
	ctx := cmd.Context()
	src, stacks, err := findSource(path, f.sources)
	if err != nil {
		return err
	}
	if f.name == "" {
		f.name = filepath.Base(filepath.Dir(src.SpecPath))
	}
	params, err := readParams(f.params, f.paramFiles, cmd.InOrStdin())
	if err != nil {
		return err
	}
	if _, err := a.startServer(ctx, &serverSettings{}); err != nil {
		return err
	}
	pass, err := a.passwordFor(f, params)
	if err != nil {
		return err
	}
	archive, err := src.pack(stacks)
	if err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	artifact, err := client.Upload(ctx, archive)
	if err != nil {
		return explain(err)
	}
	switch {
	case src.Origin != "":
		a.view.Note("Source: %s", src.Origin)
	case src.Root == "" && len(stacks) > 0:
		a.view.Note("Source: no folder above %s has the stack /%s; the server fetches it from the plan's repository.", src.SpecPath, stacks[0])
	}
	run, err := client.Up(ctx, f.name, rest.UpRequest{
		Artifact: artifact.Digest, Parameters: params, Target: f.target, Provider: f.provider,
		Origin: src.Origin, AllowReplace: f.allowReplace,
	})
	if err != nil {
		return explain(err)
	}
	d, err := a.follow(ctx, client, run)
	if err != nil {
		return err
	}
	if pass != nil {
		if err := pass.save(d); err != nil {
			return err
		}
	}
	return a.showUp(ctx, client, d, f.showSecrets, pass)
}

// passwordFor takes the password from the deployment's pgpass file, or makes
// one, when that is asked for and none was given.
func (a *app) passwordFor(f upFlags, params map[string]any) (*pgpass, error) {
	if !f.pgpass {
		return nil, nil
	}
	l, err := a.layout()
	if err != nil {
		return nil, err
	}
	pass, err := openPgpass(filepath.Join(l.Keys(), f.name+".pgpass"))
	if err != nil {
		return nil, err
	}
	if given, ok := params["password"].(string); ok {
		pass.password = given
	}
	if pass.password == "" {
		pass.password = rand.Text()
	}
	params["password"] = pass.password
	// Before the run: a run that fails half-way must be repeatable with it.
	return pass, pass.keep()
}

// follow shows the steps of a run until it is done, and returns the deployment
// or why the run failed.
func (a *app) follow(ctx context.Context, client rest.Client, run rest.Run) (rest.Deployment, error) {
	p := newProgress(a.view)
	defer p.end()
	lost := 0
	for {
		d, err := client.Describe(ctx, run.Deployment, false)
		switch {
		case err == nil && d.Run.ID >= run.ID:
			lost = 0
			p.show(d.Steps)
			if d.Run.Done {
				return d, runError(d)
			}
		case isNotFound(err):
			return d, nil // a run of down has removed it
		case err != nil && (ctx.Err() != nil || lost > lostLimit):
			return d, explain(err)
		case err != nil:
			// The server comes back and goes on with the run.
			lost++
		}
		select {
		case <-ctx.Done():
			return rest.Deployment{}, withHint(fmt.Errorf("interrupted; the run goes on in the server"),
				"See it: daybreak describe "+run.Deployment+", daybreak logs "+run.Deployment)
		case <-time.After(pollInterval):
		}
	}
}

const (
	pollInterval = 100 * time.Millisecond
	lostLimit    = 600 // polls without an answer: a minute
)

// runError is why the last run failed, or nil.
func runError(d rest.Deployment) error {
	if !d.Run.Failed {
		return nil
	}
	hint := d.Hint
	if hint == "" {
		hint = "Terraform's words: daybreak logs " + d.Name + "\nRun the same command again to go on, or remove what there is: daybreak down " + d.Name
	}
	return withHint(&rest.Error{Message: d.Message, Problems: d.Problems}, hint)
}
