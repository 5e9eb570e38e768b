package launch

import (
	"time"

	"github.com/daybreakdb/daybreak/internal/layout"
)

// Names of the processes of an installation.
const (
	Etcd       = "etcd"       // the state
	Log        = "log"        // the copies of the databases' WAL on this host
	Node       = "node"       // PostgreSQL servers of this host
	Endpoint   = "endpoint"   // the addresses that applications connect to
	Control    = "control"    // the AWS API, the platform's API, the controllers
	supervisor = "supervisor" // keeps the others running
)

// Processes returns the processes of an installation in the order of their
// start. Each is a command of our binary, by its name.
func Processes(l layout.Layout) []Process {
	var ps []Process
	for _, name := range []string{Etcd, Log, Node, Endpoint, Control} {
		p := process(l, name, name)
		if name == Control {
			p.StopAfter = terraformStop
		}
		ps = append(ps, p)
	}
	return ps
}

// terraformStop is how long Terraform may take to end a run in order.
const terraformStop = 75 * time.Second

// KeepForDatabases is how many of Processes must run while the databases are
// being stopped: a clean shutdown's last record goes to the log.
const KeepForDatabases = 2

// SupervisorProcess is the process that keeps the others running.
func SupervisorProcess(l layout.Layout) Process {
	p := process(l, supervisor, "server", "run")
	p.StopAfter = 3 * time.Minute
	return p
}

func process(l layout.Layout, name string, command ...string) Process {
	return Process{
		Name: name,
		Args: append(command, "--data-dir", l.Root),
		Lock: l.Lock(name), Pulse: l.Pulse(name),
		Log: l.Log(name),
	}
}
