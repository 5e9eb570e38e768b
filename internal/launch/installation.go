package launch

import (
	"time"

	"github.com/daybreakdb/daybreak/internal/layout"
)

// Names of the processes of an installation.
const (
	Link       = "link"       // the sockets of other hosts, where there can be others
	Etcd       = "etcd"       // the state
	Log        = "log"        // the copies of the databases' WAL on this host
	Node       = "node"       // PostgreSQL servers of this host
	Endpoint   = "endpoint"   // the addresses that applications connect to
	Control    = "control"    // the AWS API, the platform's API, the controllers
	supervisor = "supervisor" // keeps the others running
)

// Processes returns the processes of a host in the order of their start; linked:
// there can be other hosts. Each is a command of our binary, by its name.
func Processes(l layout.Layout, linked bool) []Process {
	names := []string{Etcd, Log, Node, Endpoint, Control}
	if linked {
		names = append([]string{Link}, names...)
	}
	var ps []Process
	for _, name := range names {
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
// being stopped: a clean shutdown's last record goes to the log, and to copies of
// it on other hosts.
func KeepForDatabases(linked bool) int {
	if linked {
		return 3
	}
	return 2
}

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
