package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Network is hosts of one installation, each with a network namespace and an
// address of its own, on one switch. The test itself is one more host there.
type Network struct {
	Hosts  []*Installation
	t      testing.TB
	bridge string
}

// networks counts them, for names.
var networks int

const (
	linkPort = "8430"
	ownNet   = "DAYBREAK_TEST_NETWORK" // set in tests that have a network namespace of their own
	prebuilt = "DAYBREAK_TEST_BINARY"
)

// MainInNetwork runs the tests of a package as Main does, in a network namespace
// of their own where that is allowed.
func MainInNetwork(m *testing.M) int {
	if os.Getenv(ownNet) != "" {
		binary = os.Getenv(prebuilt)
		if err := run("ip", "link", "set", "lo", "up"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}
	if os.Geteuid() != 0 {
		return Main(m)
	}
	return build(func() int {
		cmd := exec.Command("unshare", append([]string{"--net", "--"}, os.Args...)...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.Env = append(os.Environ(), ownNet+"=1", prebuilt+"="+binary)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
		if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return cmd.ProcessState.ExitCode()
	})
}

func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// Namespace is the network namespace of a host of a Network.
func (in *Installation) Namespace() string { return in.ns }

// InNetwork says whether the tests may make a Network.
func InNetwork() bool { return os.Getenv(ownNet) != "" }

// NewNetwork starts an installation of one host for each zone (a, b, …). Their
// addresses are in the default VPC, which the shipped plan lets in.
func NewNetwork(t testing.TB, zones ...string) *Network {
	t.Helper()
	n := &Network{t: t}
	must := func(name string, args ...string) {
		t.Helper()
		if err := run(name, args...); err != nil {
			t.Fatal(err)
		}
	}
	// The hosts are stopped before their directories are removed.
	hosts := make([]*Installation, len(zones))
	for i := range hosts {
		hosts[i] = newIn(t, 0)
	}
	t.Cleanup(n.Close)
	networks++
	n.bridge = fmt.Sprintf("switch%d", networks)
	must("ip", "link", "add", n.bridge, "type", "bridge")
	must("ip", "addr", "add", "172.31.77.100/24", "dev", n.bridge)
	must("ip", "link", "set", n.bridge, "up")
	for i, zone := range zones {
		in := hosts[i]
		in.ns, in.Addr = fmt.Sprintf("dbk%d-%d%s%d", os.Getpid(), networks, zone, i), fmt.Sprintf("172.31.77.%d", i+1)
		in.Env = append(in.Env, "DAYBREAK_REGION_ADDR="+in.Addr+":4566", "DAYBREAK_PLATFORM_ADDR="+in.Addr+":8420")
		must("ip", "netns", "add", in.ns)
		port := fmt.Sprintf("%s-%s%d", n.bridge, zone, i)
		must("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", in.ns)
		must("ip", "link", "set", port, "master", n.bridge, "up")
		must("ip", "-n", in.ns, "addr", "add", in.Addr+"/24", "dev", "eth0")
		must("ip", "-n", in.ns, "link", "set", "eth0", "up")
		must("ip", "-n", in.ns, "link", "set", "lo", "up")
		n.Hosts = append(n.Hosts, in)
		n.join(in, zone)
	}
	return n
}

// Close stops the hosts and takes the network away.
func (n *Network) Close() {
	n.Heal()
	for _, in := range n.Hosts {
		if n.t.Failed() {
			n.t.Logf("host %s:", in.Addr)
			in.showLogs()
		}
		in.Try("server", "stop")
	}
	for _, in := range n.Hosts {
		_ = run("ip", "netns", "del", in.ns)
	}
	_ = run("ip", "link", "del", n.bridge)
	n.Hosts = nil
}

// join starts a host: the first one alone, the others by a token of it.
func (n *Network) join(in *Installation, zone string) {
	n.t.Helper()
	args := []string{"server", "start", "--link-addr", in.Addr + ":" + linkPort, "--zones", zone, "--endpoint-bind", in.Addr}
	if first := n.Hosts[0]; in != first {
		args = append(args, "--join", strings.TrimSpace(first.Run("server", "token")))
	}
	in.Run(args...)
}

// Drop has a host drop what matches a rule of nft: at the hook input or output.
// It lasts until Heal.
func (n *Network) Drop(host *Installation, hook, rule string) {
	n.t.Helper()
	for _, args := range [][]string{
		{"add", "table", "inet", "faults"},
		{"add", "chain", "inet", "faults", hook, "{", "type", "filter", "hook", hook, "priority", "0", ";", "}"},
		append(append([]string{"add", "rule", "inet", "faults", hook}, strings.Fields(rule)...), "drop"),
	} {
		if err := run("ip", append([]string{"netns", "exec", host.ns, "nft"}, args...)...); err != nil {
			n.t.Fatal(err)
		}
	}
}

// Isolate drops everything that goes to a host or comes from it.
func (n *Network) Isolate(host *Installation) {
	n.t.Helper()
	n.Drop(host, "input", "iifname eth0")
	n.Drop(host, "output", "oifname eth0")
}

// Cut drops everything between two hosts, or what goes to a port of the one.
func (n *Network) Cut(a, b *Installation, ports ...string) {
	n.t.Helper()
	if len(ports) == 0 {
		n.Drop(a, "input", "ip saddr "+b.Addr)
		n.Drop(a, "output", "ip daddr "+b.Addr)
	}
	for _, port := range ports {
		for _, side := range []string{"sport", "dport"} {
			n.Drop(a, "input", "ip saddr "+b.Addr+" tcp "+side+" "+port)
			n.Drop(a, "output", "ip daddr "+b.Addr+" tcp "+side+" "+port)
		}
	}
}

// Heal ends everything that Drop began.
func (n *Network) Heal() {
	for _, in := range n.Hosts {
		_ = run("ip", "netns", "exec", in.ns, "nft", "delete", "table", "inet", "faults") // there may be none
	}
}

// Kill ends every process of a host at once, as a power cut does.
func (n *Network) Kill(host *Installation) {
	for _, name := range []string{"supervisor", "control", "link", "node", "log", "endpoint", "etcd"} {
		content, err := os.ReadFile(filepath.Join(host.Dir, "data", "run", name+".lock"))
		pid := 0
		if _, scanErr := fmt.Sscan(string(content), &pid); err == nil && scanErr == nil && pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	for _, pid := range host.Postmasters() {
		for _, child := range children(pid) {
			_ = syscall.Kill(child, syscall.SIGKILL)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func children(pid int) []int {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	var all []int
	for _, field := range strings.Fields(string(content)) {
		child := 0
		if _, err := fmt.Sscan(field, &child); err == nil && child > 1 {
			all = append(all, child)
		}
	}
	return all
}
