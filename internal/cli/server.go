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
	cmd.AddCommand(a.serverStartCommand(), a.serverStopCommand(), a.serverStatusCommand(), a.serverRunCommand(), a.serverUninstallCommand(),
		a.serverHostsCommand(), a.serverTokenCommand(), a.serverRemoveHostCommand())
	return cmd
}

func (a *app) serverStartCommand() *cobra.Command {
	var settings serverSettings
	var token string
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Start the server in the background; everything that ran before runs again",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if token != "" {
				token, err := secretArgument(token, cmd.InOrStdin())
				if err != nil {
					return err
				}
				if err := a.joinInstallation(cmd.Context(), &settings, token); err != nil {
					return err
				}
			}
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
	cmd.Flags().StringVar(&token, "join", "", "token of an installation ('daybreak server token'), of which this host becomes one; with --link-addr; -: read it from standard input, where nobody else on this host sees it")
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
	if err := addressesFree(l, c); err != nil {
		return false, err
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
func addressesFree(l layout.Layout, c config.Config) error {
	type address struct{ process, addr, what, another string }
	var all []address
	if !c.Joined() {
		all = append(all, address{launch.Control, c.RegionAddr, "the AWS API", "DAYBREAK_REGION_ADDR=127.0.0.1:14566 daybreak server start"},
			address{launch.Control, c.PlatformAddr, "the platform's API", "DAYBREAK_PLATFORM_ADDR=127.0.0.1:18420 daybreak server start"})
	}
	if c.Linked() {
		const another = "daybreak server start --link-addr HOST:PORT"
		all = append(all, address{launch.Link, c.LinkAddr, "the link to other hosts", another}, address{launch.Etcd, c.PeerAddr(), "etcd", another})
	}
	for _, it := range all {
		if launch.Holder(l.Lock(it.process)) != 0 {
			continue // it is ours that has it
		}
		listener, err := net.Listen("tcp", it.addr)
		if err != nil {
			return withHint(fmt.Errorf("the address of %s cannot be used: %w", it.what, err),
				"If another program has it, choose another, as: "+it.another)
		}
		_ = listener.Close()
	}
	return nil
}

// aloneTimeout is how long a start waits for other hosts.
const aloneTimeout = 10 * time.Second

// waitsForOthers says whether all that is missing is other hosts.
func (a *app) waitsForOthers(l layout.Layout, c config.Config) bool {
	others, err := a.Hosts.Known(l)
	if err != nil || others == 0 {
		return false
	}
	for _, p := range launch.Processes(l, c.Linked()) {
		if launch.Holder(p.Lock) == 0 {
			return false
		}
	}
	return true
}

// errServerEnded: it was running a moment ago.
var errServerEnded = errors.New("the server has ended")

// awaitServer waits until the server works, or says from the logs why it does not.
func (a *app) awaitServer(ctx context.Context, l layout.Layout, c config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var last error
	ended, begun := 0, time.Now()
	for {
		if last = a.ping(ctx, l, c); last == nil {
			return nil
		}
		if errors.Is(last, ErrNoState) && time.Since(begun) > aloneTimeout && a.waitsForOthers(l, c) {
			a.view.Note("This host runs. The installation begins to work when a majority of its hosts is there: start the others too.")
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
			process := launch.Control
			if c.Joined() {
				process = launch.Link
			}
			return withHint(fmt.Errorf("the server does not answer: %w", last),
				"Its logs are in "+l.Logs()+"; the last lines:\n"+tail(l.Log(process), 5))
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
	launch.KeepLog(ctx, launch.SupervisorProcess(l).Log)
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
		Binary: bin, Processes: launch.Processes(l, c.Linked()), Logger: newLogger(),
		BeforeStop: func(ctx context.Context) error { return a.StopDatabases(ctx, l) },
		KeepUntil:  launch.KeepForDatabases(c.Linked()),
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
	HostID      string         `json:"hostId"`
	Zones       []string       `json:"zones"`
	LinkAddr    string         `json:"linkAddr,omitempty"`
	FirstHost   string         `json:"firstHost,omitempty"` // link address of the host that has the APIs, where it is another
	RegionURL   string         `json:"regionUrl,omitempty"`
	Region      string         `json:"region"`
	PlatformURL string         `json:"platformUrl,omitempty"`
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
		DataDir: l.Root, Region: c.Region, HostID: c.HostID, Zones: zonesOf(c), LinkAddr: c.LinkAddr, FirstHost: c.FirstHost,
	}
	if apisReachable(c) == nil {
		s.RegionURL, s.PlatformURL = "http://"+c.RegionAddr, "http://"+c.PlatformAddr
	}
	up := 0
	for _, p := range append([]launch.Process{launch.SupervisorProcess(l)}, launch.Processes(l, c.Linked())...) {
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
	pairs := [][2]string{{"Server", a.view.status(s.Status)}}
	if s.LinkAddr != "" {
		pairs = append(pairs, [2]string{"Host", fmt.Sprintf("%s  (zones %s, link address %s)", s.HostID, strings.Join(s.Zones, ","), s.LinkAddr)})
	}
	if s.FirstHost != "" {
		pairs = append(pairs, [2]string{"First host", s.FirstHost + "  (has the APIs)"})
	}
	if s.RegionURL != "" {
		pairs = append(pairs, [2]string{"AWS API", s.RegionURL + "  (region " + s.Region + ")"}, [2]string{"Platform API", s.PlatformURL})
	}
	if err := a.view.Pairs(append(pairs, [2]string{"Data", s.DataDir})); err != nil {
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
