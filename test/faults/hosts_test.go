package faults

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/test/harness"
)

// deployHosts makes a cluster of a writer and two readers on three hosts, a zone
// each. Clients know the addresses of all hosts.
func deployHosts(t *testing.T) *cluster {
	t.Helper()
	network := harness.NewNetwork(t, "a", "b", "c")
	return deployAt(t, network.Hosts[0], network, 2)
}

// published is an endpoint as clients on other hosts know it: at all hosts.
func (c *cluster) published(name string) harness.Endpoint {
	c.t.Helper()
	var shown map[string]struct{ Published string }
	c.in.JSON(&shown, "endpoints", "faults")
	_, port, err := net.SplitHostPort(shown[name].Published)
	if err != nil {
		c.t.Fatalf("the %s endpoint is not published: %v", name, shown)
	}
	e := harness.Endpoint{}
	e.Port, _ = strconv.Atoi(port)
	for i, host := range c.net.Hosts {
		e.Host += strings.Repeat(",", min(i, 1)) + host.Addr
	}
	return e
}

// writersHost is the host of the writer, and the others.
func (c *cluster) writersHost() (host *harness.Installation, others []*harness.Installation) {
	c.t.Helper()
	harness.Eventually(c.t, limit, "a writer", func() error {
		if host = c.primary().host; host == nil {
			return fmt.Errorf("none runs")
		}
		return nil
	})
	for _, h := range c.net.Hosts {
		if h != host {
			others = append(others, h)
		}
	}
	return host, others
}

// commits waits until one goes through.
func (c *cluster) commits() {
	c.t.Helper()
	harness.Eventually(c.t, limit, "commits go on", func() error {
		_, err := c.in.Query(c.writer, "INSERT INTO registers VALUES (-2, 1) ON CONFLICT (k) DO UPDATE SET v = registers.v + 1 RETURNING v::text")
		return err
	})
}

// term is that of the cluster: it counts changes of the writer and restarts.
func (c *cluster) term() int64 {
	c.t.Helper()
	var term int64
	harness.Eventually(c.t, limit, "the timeline", func() (err error) {
		text, err := c.in.Query(c.writer, "SELECT timeline_id::text FROM pg_control_checkpoint()")
		if err == nil {
			term, err = strconv.ParseInt(text, 10, 64)
		}
		return err
	})
	return term
}

// during makes something hold for a time, and has commits go on meanwhile through
// the hosts that are not hurt.
func (c *cluster) during(lasts time.Duration, hurt *harness.Installation, begin func()) {
	c.t.Helper()
	began := time.Now()
	begin()
	elsewhere := harness.Endpoint{Port: c.writer.Port}
	for _, h := range c.net.Hosts {
		if h != hurt {
			elsewhere.Host += "," + h.Addr
		}
	}
	elsewhere.Host = strings.TrimPrefix(elsewhere.Host, ",")
	harness.Eventually(c.t, limit, "commits go on through "+elsewhere.Host, func() error {
		_, err := c.in.Query(elsewhere, "INSERT INTO registers VALUES (-2, 1) ON CONFLICT (k) DO UPDATE SET v = registers.v + 1 RETURNING v::text")
		return err
	})
	c.t.Logf("a new session commits after %v", time.Since(began))
	time.Sleep(time.Until(began.Add(lasts))) // not synchronisation: how long it lasts
	c.net.Heal()
}

// start brings a killed host back.
func (c *cluster) startHost(h *harness.Installation) {
	c.t.Helper()
	harness.Eventually(c.t, limit, "the host "+h.Addr+" starts", func() error {
		if _, stderr, err := h.Try("server", "start"); err != nil {
			return fmt.Errorf("%w: %s", err, stderr)
		}
		return nil
	})
}

// hostScenarios happen between hosts.
var hostScenarios = []scenario{
	{numbers: "23", name: "the writer's host is cut off from everything", short: true, do: func(c *cluster, _ *oracle) {
		host, _ := c.writersHost()
		c.during(8*time.Second, host, func() { c.net.Isolate(host) })
		if now, _ := c.writersHost(); now == host {
			// Both may still think so; who is right shows in the end.
			c.t.Log("the cut-off server still runs")
		}
	}},
	{numbers: "28", name: "the writer's host is lost with all that is on it", short: true, do: func(c *cluster, _ *oracle) {
		host, _ := c.writersHost()
		c.during(5*time.Second, host, func() { c.net.Isolate(host); c.net.Kill(host) })
		c.startHost(host)
	}},
	{numbers: "25", name: "the writer reaches no log of another host, but etcd and clients", do: func(c *cluster, _ *oracle) {
		host, others := c.writersHost()
		c.during(10*time.Second, host, func() {
			for _, other := range others {
				c.net.Cut(host, other, "8430")
			}
		})
	}},
	{numbers: "27", name: "what others answer the writer's host is lost", do: func(c *cluster, _ *oracle) {
		host, others := c.writersHost()
		c.during(10*time.Second, host, func() {
			for _, other := range others {
				c.net.Drop(host, "input", "ip saddr "+other.Addr)
			}
		})
	}},
	{numbers: "29", name: "the writer's host and one copy more are lost", do: func(c *cluster, _ *oracle) {
		host, others := c.writersHost()
		c.net.Isolate(host)
		c.net.Kill(host)
		log := processOf(others[0], "log")
		signal(syscall.SIGSTOP, log)
		time.Sleep(2 * time.Second) // not synchronisation: how long it lasts
		signal(syscall.SIGCONT, log)
		c.commits()
		c.net.Heal()
		c.startHost(host)
	}},
	{numbers: "30", name: "clients beside a writer that is cut off are told soon", do: func(c *cluster, _ *oracle) {
		host, _ := c.writersHost()
		c.net.Isolate(host)
		harness.Eventually(c.t, 20*time.Second, "the cut-off endpoint serves nobody", func() error {
			return c.servesNobody(host)
		})
		c.commits()
		c.net.Heal()
	}},
	{numbers: "31", name: "three packets of ten are lost for 30 s", do: func(c *cluster, _ *oracle) {
		before := c.term()
		for _, h := range c.net.Hosts {
			c.net.Drop(h, "input", "iifname eth0 ip saddr != 172.31.77.100 numgen random mod 10 < 3")
		}
		time.Sleep(30 * time.Second) // not synchronisation: how long it lasts
		c.net.Heal()
		c.commits()
		if changes := c.term() - before; changes > 1 {
			c.t.Errorf("the writer changed %d times", changes)
		}
	}},
	{numbers: "32", name: "the writer's host is there for 2 s and away for 2 s, five times", do: func(c *cluster, _ *oracle) {
		host, _ := c.writersHost()
		before := c.term()
		for range 5 {
			c.net.Isolate(host)
			time.Sleep(2 * time.Second) // not synchronisation: how long it lasts
			c.net.Heal()
			time.Sleep(2 * time.Second) // not synchronisation: how long it lasts
		}
		c.commits()
		if changes := c.term() - before; changes > 2 {
			c.t.Errorf("the writer changed %d times", changes)
		}
	}},
	{numbers: "34", name: "large packets do not pass between the writer's host and the others", do: func(c *cluster, _ *oracle) {
		host, others := c.writersHost()
		c.during(10*time.Second, host, func() {
			for _, other := range others {
				c.net.Drop(host, "output", "ip daddr "+other.Addr+" meta length > 600")
			}
		})
	}},
	{numbers: "35", name: "one other host's endpoint does not reach the writer's host", do: func(c *cluster, _ *oracle) {
		host, others := c.writersHost()
		before := c.term()
		c.during(6*time.Second, others[0], func() { c.net.Drop(others[0], "output", "ip daddr "+host.Addr+" tcp dport 8430") })
		if changes := c.term() - before; changes > 0 {
			c.t.Errorf("the writer changed %d times", changes)
		}
	}},
	{numbers: "36", name: "each host's etcd is killed, one after another", do: func(c *cluster, _ *oracle) {
		before := c.term()
		for _, h := range c.net.Hosts {
			signal(syscall.SIGKILL, processOf(h, "etcd"))
			time.Sleep(3 * time.Second) // not synchronisation: the next one
		}
		c.commits()
		if changes := c.term() - before; changes > 0 {
			c.t.Errorf("the writer changed %d times", changes)
		}
	}},
	{numbers: "37", name: "etcd has no quorum for 15 s", do: func(c *cluster, _ *oracle) {
		c.during(15*time.Second, nil, func() {
			for _, h := range c.net.Hosts {
				for _, other := range c.net.Hosts {
					if h != other {
						c.net.Drop(h, "input", "ip saddr "+other.Addr+" tcp dport 8431")
						c.net.Drop(h, "input", "ip saddr "+other.Addr+" tcp sport 8431")
					}
				}
			}
		})
	}},
	{numbers: "61", name: "all hosts lose power and come back one after another, the writer's last", do: func(c *cluster, _ *oracle) {
		host, others := c.writersHost()
		for _, h := range c.net.Hosts {
			c.net.Kill(h)
		}
		for _, h := range append(others, host) {
			c.startHost(h)
			time.Sleep(time.Second) // not synchronisation: the next one
		}
		c.commits()
	}},
}

// servesNobody tries a session from inside a host, as a client there does. The
// endpoint must not lead it to data that may be old.
func (c *cluster) servesNobody(h *harness.Installation) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", h.Namespace(), "psql", "-XAtc", "SELECT count(*) FROM acks",
		fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres sslmode=require connect_timeout=4", h.Addr, c.writer.Port))
	cmd.Env = append(h.Env, "PGPASSWORD="+harness.Password)
	if out, err := cmd.CombinedOutput(); err == nil {
		return fmt.Errorf("it was read: %s", out)
	}
	return nil
}

func TestHostScenarios(t *testing.T) {
	if !harness.InNetwork() {
		t.Log("hosts cannot have networks of their own here")
		return
	}
	runScenarios(t, hostScenarios, deployHosts)
}
