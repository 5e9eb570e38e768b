package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/daybreakdb/daybreak/internal/config"
	"github.com/daybreakdb/daybreak/internal/launch"
	"github.com/daybreakdb/daybreak/internal/layout"
)

// startTimeout bounds how long a start waits for the server to answer.
const startTimeout = 60 * time.Second

func (a *app) serverCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "server", Short: "Start, stop and look at the server of this installation"}
	cmd.AddCommand(a.serverStartCommand(), a.serverStopCommand(), a.serverStatusCommand(), a.serverRunCommand(), a.serverUninstallCommand())
	return cmd
}

// serverSettings are the flags that a start may change settings with.
type serverSettings struct {
	regionAddr, platformAddr, region, endpointBind string
}

func (s *serverSettings) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.regionAddr, "region-addr", "", "address of the AWS API (default $DAYBREAK_REGION_ADDR or "+config.DefaultRegionAddr+")")
	f.StringVar(&s.platformAddr, "platform-addr", "", "address of the platform's API (default $DAYBREAK_PLATFORM_ADDR or "+config.DefaultPlatformAddr+")")
	f.StringVar(&s.region, "region", "", "name of the embedded region (default "+config.DefaultRegion+")")
	f.StringVar(&s.endpointBind, "endpoint-bind", "", "IP address that endpoints are published at too, a port each, for other hosts and containers")
}

// apply returns the settings to start with and whether they differ from those
// stored.
func (s *serverSettings) apply(l layout.Layout) (config.Config, bool, error) {
	c, err := config.Load(l)
	fresh := errors.Is(err, config.ErrNone)
	if fresh {
		c, err = config.New(l), nil
	}
	if err != nil {
		return c, false, err
	}
	changed := fresh
	set := func(field *string, flag, env string) {
		value := flag
		if value == "" && env != "" {
			value = os.Getenv(env)
		}
		if value != "" && value != *field {
			*field, changed = value, true
		}
	}
	set(&c.RegionAddr, s.regionAddr, "DAYBREAK_REGION_ADDR")
	set(&c.PlatformAddr, s.platformAddr, "DAYBREAK_PLATFORM_ADDR")
	set(&c.Region, s.region, "")
	set(&c.EndpointBind, s.endpointBind, "")
	return c, changed, nil
}

func (a *app) serverStartCommand() *cobra.Command {
	var settings serverSettings
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Start the server in the background; everything that ran before runs again",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			started, err := a.startServer(cmd.Context(), &settings)
			if err != nil {
				return err
			}
			if !started && !a.view.json {
				a.view.Note("The server is running already.")
			}
			return a.showServer()
		},
	}
	settings.flags(cmd)
	return cmd
}

// startServer starts the server unless it runs, and waits until it answers. It
// reports whether it started anything.
func (a *app) startServer(ctx context.Context, settings *serverSettings) (bool, error) {
	l, err := a.layout()
	if err != nil {
		return false, err
	}
	supervisor := launch.SupervisorProcess(l)
	c, changed, err := settings.apply(l)
	if err != nil {
		return false, err
	}
	if launch.Holder(supervisor.Lock) != 0 {
		if changed {
			return false, withHint(errors.New("the server is running with other settings"),
				"Stop it first: daybreak server stop")
		}
		err := a.awaitServer(ctx, l, c)
		if !errors.Is(err, errServerEnded) {
			return false, err
		}
	}
	if err := a.checkHost(ctx, l); err != nil {
		return false, err
	}
	if err := l.Create(); err != nil {
		return false, err
	}
	if launch.Holder(l.Lock(launch.Control)) == 0 {
		if err := addressesFree(c); err != nil {
			return false, err
		}
	}
	if changed {
		if err := c.Save(l); err != nil {
			return false, err
		}
	}
	if _, err := config.LoadCredentials(l); err != nil {
		return false, err
	}
	bin, err := binary()
	if err != nil {
		return false, err
	}
	if _, err := launch.Start(bin, supervisor); err != nil {
		return false, err
	}
	a.view.Note("Starting the server in %s …", l.Root)
	return true, a.awaitServer(ctx, l, c)
}

// checkHost refuses to start where the server cannot work.
func (a *app) checkHost(ctx context.Context, l layout.Layout) error {
	for _, check := range a.Checks(ctx, l) {
		if check.Needed && !check.OK {
			return withHint(fmt.Errorf("%s: %s", check.Name, check.Detail), check.Hint)
		}
	}
	return nil
}

// addressesFree finds out early that somebody else has our addresses.
func addressesFree(c config.Config) error {
	for _, it := range []struct{ addr, what, env string }{
		{c.RegionAddr, "the AWS API", "DAYBREAK_REGION_ADDR"},
		{c.PlatformAddr, "the platform's API", "DAYBREAK_PLATFORM_ADDR"},
	} {
		listener, err := net.Listen("tcp", it.addr)
		if err != nil {
			return withHint(fmt.Errorf("the address of %s cannot be used: %w", it.what, err),
				fmt.Sprintf("If another program has it, choose another, as: %s=127.0.0.1:14566 daybreak server start", it.env))
		}
		_ = listener.Close()
	}
	return nil
}

// errServerEnded: it was running a moment ago.
var errServerEnded = errors.New("the server has ended")

// awaitServer waits until both APIs answer, or says from the logs why not.
func (a *app) awaitServer(ctx context.Context, l layout.Layout, c config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var last error
	ended := 0
	for {
		if last = a.ping(ctx, l, c); last == nil {
			return nil
		}
		if launch.Holder(launch.SupervisorProcess(l).Lock) == 0 {
			ended++
		}
		if ended > 20 { // one that was just started takes its lock in a moment
			return errServerEnded
		}
		select {
		case <-ctx.Done():
			return withHint(fmt.Errorf("the server does not answer: %w", last),
				"Its logs are in "+l.Logs()+"; the last lines:\n"+tail(l.Log(launch.Control), 5))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "(" + err.Error() + ")"
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func (a *app) serverStopCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stop",
		Short: "Stop the server and every database it runs; the data stays",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := a.layout()
			if err != nil {
				return err
			}
			supervisor := launch.SupervisorProcess(l)
			if launch.Holder(supervisor.Lock) == 0 {
				a.view.Note("The server is not running.")
				return nil
			}
			a.view.Note("Stopping the server and its databases …")
			if err := launch.Stop(cmd.Context(), supervisor); err != nil {
				return err
			}
			a.view.Note("Stopped. The data stays in %s.", l.Root)
			return nil
		},
	}
}

func (a *app) serverRunCommand() *cobra.Command {
	var settings serverSettings
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the server in the foreground, for a service manager",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.runServer(cmd.Context(), &settings)
		},
	}
	settings.flags(cmd)
	return cmd
}

func (a *app) runServer(ctx context.Context, settings *serverSettings) error {
	l, err := a.layout()
	if err != nil {
		return err
	}
	if err := l.Create(); err != nil {
		return err
	}
	lock, err := launch.Acquire(launch.SupervisorProcess(l).Lock)
	if errors.Is(err, launch.ErrRunning) {
		return errors.New("the server is running already")
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	if err := launch.Beat(ctx, launch.SupervisorProcess(l).Pulse); err != nil {
		return err
	}
	c, changed, err := settings.apply(l)
	if err != nil {
		return err
	}
	if changed {
		if err := c.Save(l); err != nil {
			return err
		}
	}
	bin, err := binary()
	if err != nil {
		return err
	}
	s := launch.Supervisor{
		Binary: bin, Processes: launch.Processes(l), Logger: newLogger(),
		BeforeStop: func(ctx context.Context) error { return a.StopDatabases(ctx, l) },
		KeepUntil:  launch.KeepForDatabases,
	}
	return s.Run(ctx)
}

func (a *app) serverStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the processes and addresses of this installation",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return a.showServer() },
	}
}

// serverState is the JSON of server start and server status.
type serverState struct {
	Status      string         `json:"status"` // running, degraded or stopped
	DataDir     string         `json:"dataDir"`
	RegionURL   string         `json:"regionUrl"`
	Region      string         `json:"region"`
	PlatformURL string         `json:"platformUrl"`
	Processes   []processState `json:"processes"`
}

type processState struct {
	Name string `json:"name"`
	PID  int    `json:"pid,omitempty"`
	Log  string `json:"log"`
}

func (a *app) showServer() error {
	l, err := a.layout()
	if err != nil {
		return err
	}
	c, err := config.Load(l)
	if err != nil {
		return err
	}
	s := serverState{
		DataDir: l.Root, Region: c.Region,
		RegionURL: "http://" + c.RegionAddr, PlatformURL: "http://" + c.PlatformAddr,
	}
	up := 0
	for _, p := range append([]launch.Process{launch.SupervisorProcess(l)}, launch.Processes(l)...) {
		pid := launch.Holder(p.Lock)
		if pid != 0 {
			up++
		}
		s.Processes = append(s.Processes, processState{Name: p.Name, PID: pid, Log: p.Log})
	}
	switch up {
	case len(s.Processes):
		s.Status = "running"
	case 0:
		s.Status = "stopped"
	default:
		s.Status = "degraded"
	}
	if a.view.json {
		return a.view.JSON(s)
	}
	return a.viewServer(s)
}

func (a *app) viewServer(s serverState) error {
	err := a.view.Pairs([][2]string{
		{"Server", a.view.status(s.Status)},
		{"AWS API", s.RegionURL + "  (region " + s.Region + ")"},
		{"Platform API", s.PlatformURL},
		{"Data", s.DataDir},
	})
	if err != nil {
		return err
	}
	a.view.Line("")
	var rows [][]string
	for _, p := range s.Processes {
		pid := "not running"
		if p.PID != 0 {
			pid = fmt.Sprint(p.PID)
		}
		rows = append(rows, []string{p.Name, pid, p.Log})
	}
	return a.view.Table([]string{"PROCESS", "PID", "LOG"}, rows)
}
