package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/test/harness"
)

// lostForGood is how long hosts are missed in these scenarios before the copies of
// the log that they have are made elsewhere.
const lostForGood = 10 * time.Second

// deployFourHosts makes a cluster of a writer and a reader on four hosts, of which the
// last two stand for one zone, and have a copy each and no server.
func deployFourHosts(t *testing.T) *cluster {
	t.Helper()
	network := harness.NewNetwork(t, "a", "b", "c", "c")
	c := deployAt(t, network.Hosts[0], network, 1)
	for _, h := range network.Hosts {
		c.must(haveSettings(h, func(settings map[string]any) { settings["hostPatience"] = int(lostForGood.Seconds()) }))
		signal(syscall.SIGKILL, processOf(h, "control")) // it reads them when it begins again
	}
	return c
}

// haveSettings edits a host's config.json.
func haveSettings(h *harness.Installation, edit func(map[string]any)) error {
	path := filepath.Join(h.Dir, "data", "config.json")
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var settings map[string]any
	if err := json.Unmarshal(content, &settings); err != nil {
		return err
	}
	edit(settings)
	if content, err = json.Marshal(settings); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

// copiesOn counts the copies of the log that a host has on its disk.
func copiesOn(h *harness.Installation) int {
	found, _ := filepath.Glob(filepath.Join(h.Dir, "data", "zones", "*", "*", "wal-*", "control"))
	return len(found)
}

// hasCopies waits until a host has so many copies.
func (c *cluster) hasCopies(h *harness.Installation, want int) {
	c.t.Helper()
	began := time.Now()
	harness.Eventually(c.t, limit, fmt.Sprintf("the host %s has %d copies of the log", h.Addr, want), func() error {
		if n := copiesOn(h); n != want {
			return fmt.Errorf("it has %d", n)
		}
		return nil
	})
	c.t.Logf("the host %s has %d copies after %v", h.Addr, want, time.Since(began))
}

// hostID is what the installation calls a host.
func (c *cluster) hostID(h *harness.Installation) string {
	c.t.Helper()
	for _, known := range c.listHosts() {
		if known.LinkAddr == h.Addr+":8430" {
			return known.ID
		}
	}
	c.t.Fatalf("the host %s is not known", h.Addr)
	return ""
}

type knownHost struct {
	ID, LinkAddr, Etcd string
	Present            bool
}

func (c *cluster) listHosts() (all []knownHost) {
	c.t.Helper()
	c.in.JSON(&all, "server", "hosts")
	return all
}

// removeHost takes a host out of the installation for good.
func (c *cluster) removeHost(h *harness.Installation) {
	c.t.Helper()
	id := c.hostID(h)
	harness.Eventually(c.t, limit, "the host is missed", func() error {
		for _, known := range c.listHosts() {
			if known.ID == id && known.Present {
				return errors.New("it is still there")
			}
		}
		return nil
	})
	began := time.Now()
	c.in.Run("server", "remove-host", id, "--timeout", "2m")
	c.removed[h] = true
	c.t.Logf("the host %s was removed in %v", h.Addr, time.Since(began))
}

var lostHostScenarios = []scenario{
	{numbers: "66", name: "a host is lost for long, comes back, and is lost again for good, and then another one", do: func(c *cluster, _ *oracle) {
		second, lost, other := c.net.Hosts[1], c.net.Hosts[2], c.net.Hosts[3]
		lose := func() {
			c.net.Isolate(lost)
			c.net.Kill(lost)
		}
		lose()
		c.hasCopies(other, 2)
		c.commits()
		c.net.Heal()
		c.startHost(lost)
		c.hasCopies(lost, 0)
		c.healthy(2 * limit)
		lose()
		c.removeHost(lost)
		harness.Eventually(c.t, limit, "three hosts vote", func() error {
			for _, h := range c.listHosts() {
				if h.Etcd != "voter" {
					return fmt.Errorf("%+v", h)
				}
			}
			return nil
		})
		c.during(10*time.Second, second, func() { c.net.Isolate(second); c.net.Kill(second) })
		c.startHost(second)
	}},
	{numbers: "66", name: "a host with copies is removed", do: func(c *cluster, _ *oracle) {
		goes := c.net.Hosts[3]
		c.hasCopies(goes, 2) // spread again after a host was lost
		id := c.hostID(goes)
		if _, _, err := c.in.Try("server", "remove-host", id); err == nil {
			c.t.Error("a host was removed that is there")
		}
		goes.Run("server", "stop")
		c.removeHost(goes)
		copies := 0
		for _, h := range c.hosts() {
			copies += copiesOn(h)
		}
		if copies != 6 {
			c.t.Errorf("the others have %d copies of the log, want all 6", copies)
		}
		c.commits()
		if _, _, err := c.in.Try("server", "remove-host", c.hostID(c.net.Hosts[1])); err == nil {
			c.t.Error("a host with a server was removed")
		}
	}},
}

func TestLostHostScenarios(t *testing.T) {
	if !harness.InNetwork() {
		t.Log("hosts cannot have networks of their own here")
		return
	}
	runScenarios(t, lostHostScenarios, deployFourHosts)
}
