package cli

import (
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/launch"
)

func (a *app) awsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "aws ARGS…",
		Short: "Run the AWS CLI against the embedded region, as: daybreak aws rds describe-db-clusters",
		// Everything after "aws" belongs to the AWS CLI, its flags too.
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 && (args[0] == "--help" || args[0] == "-h") {
				args[0] = "help"
			}
			args = a.takeDataDir(args)
			c, keys, err := a.installation()
			if err != nil {
				return err
			}
			if launch.Look("aws") == "" {
				return withHint(errors.New("the AWS CLI is not installed"), "Install it (package awscli), or point another AWS client here: daybreak env")
			}
			env := withoutAWS(os.Environ())
			for _, kv := range awsEnvironment(c, keys) {
				env = append(env, kv[0]+"="+kv[1])
			}
			// On the command line, because older AWS CLIs ignore the environment.
			return launch.Exec("aws", append([]string{"--endpoint-url", "http://" + c.RegionAddr}, args...), env)
		},
	}
}

// takeDataDir reads our own --data-dir where it stands first.
func (a *app) takeDataDir(args []string) []string {
	if len(args) >= 2 && args[0] == "--data-dir" {
		a.dataDir = args[1]
		return args[2:]
	}
	if len(args) >= 1 && strings.HasPrefix(args[0], "--data-dir=") {
		a.dataDir = strings.TrimPrefix(args[0], "--data-dir=")
		return args[1:]
	}
	return args
}

// withoutAWS drops what would send the AWS CLI elsewhere.
func withoutAWS(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool { return strings.HasPrefix(kv, "AWS_") })
}

func (a *app) installation() (config.Config, config.Credentials, error) {
	l, err := a.layout()
	if err != nil {
		return config.Config{}, config.Credentials{}, err
	}
	c, err := config.Load(l)
	if err != nil {
		return c, config.Credentials{}, err
	}
	if err := apisReachable(c); err != nil {
		return c, config.Credentials{}, err
	}
	keys, err := config.LoadCredentials(l)
	return c, keys, err
}

func awsEnvironment(c config.Config, keys config.Credentials) [][2]string {
	return [][2]string{
		{"AWS_ENDPOINT_URL", "http://" + c.RegionAddr},
		{"AWS_ACCESS_KEY_ID", keys.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", keys.SecretAccessKey},
		{"AWS_REGION", c.Region},
		{"AWS_DEFAULT_REGION", c.Region},
		{"AWS_EC2_METADATA_DISABLED", "true"},
	}
}

func (a *app) envCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: `Print the shell lines that point AWS clients and omnistrate-ctl here: eval "$(daybreak env)"`,
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, keys, err := a.installation()
			if err != nil {
				return err
			}
			pairs := append(awsEnvironment(c, keys),
				[2]string{"OMNISTRATE_HOST", c.PlatformAddr}, [2]string{"OMNISTRATE_HOST_SCHEME", "http"})
			if a.view.json {
				values := map[string]string{}
				for _, p := range pairs {
					values[p[0]] = p[1]
				}
				return a.view.JSON(values)
			}
			a.view.Line("# Keys of this installation only; they open nothing at AWS.")
			a.view.Line("unset AWS_PROFILE AWS_SESSION_TOKEN")
			for _, p := range pairs {
				a.view.Line("export %s='%s'", p[0], p[1])
			}
			a.warnIgnoringCLI(c)
			return nil
		},
	}
}

// warnIgnoringCLI says which AWS CLIs do not listen to AWS_ENDPOINT_URL and
// would go to AWS itself.
func (a *app) warnIgnoringCLI(c config.Config) {
	if c.Region == "us-east-1" {
		a.view.Note("warning: AWS CLI version 1 sends 'aws rds' in us-east-1 to AWS itself, whatever AWS_ENDPOINT_URL says; use 'daybreak aws …'.")
	}
	if launch.Look("aws") == "" {
		return
	}
	version, err := launch.Output("aws", "--version")
	if err != nil || knowsEndpointURL(version) {
		return
	}
	a.view.Note("warning: %s ignores AWS_ENDPOINT_URL and would go to AWS itself; use 'daybreak aws …'.", strings.Fields(version)[0])
}
