package faults

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybreakdb/daybreak/test/harness"
)

var losses = flag.Int("losses", 0, "how often the writer's host is cut off, and lost, to be timed")

// TestHostLosses times how long clients of the other hosts get no commit when the
// writer's host goes without a word: cut off while it runs, or with all its
// processes. It is a measurement, and on a busy machine one of the machine.
func TestHostLosses(t *testing.T) {
	if *losses == 0 {
		return // nobody asked for it
	}
	if !harness.InNetwork() {
		t.Fatal("hosts cannot have networks of their own here")
	}
	c := deployHosts(t)
	for _, how := range []struct {
		name string
		dies bool
	}{{"writer's host cut off", false}, {"writer's host lost", true}} {
		var gaps, back []time.Duration
		for range *losses {
			gap, well := c.loseHost(how.dies)
			gaps, back = append(gaps, gap), append(back, well)
			t.Logf("%s: %.2f s, well %.1f s after it is back", how.name, gap.Seconds(), well.Seconds())
		}
		slices.Sort(gaps)
		slices.Sort(back)
		t.Logf("%s, %d times: median %.2f s, worst %.2f s; all members back: median %.1f s, worst %.1f s", how.name, len(gaps),
			gaps[len(gaps)/2].Seconds(), gaps[len(gaps)-1].Seconds(), back[len(back)/2].Seconds(), back[len(back)-1].Seconds())
	}
}

// loseHost returns the longest time without an acknowledged commit, and how long
// after the host's return everything is well.
func (c *cluster) loseHost(dies bool) (gap, well time.Duration) {
	c.t.Helper()
	c.healthy(2 * limit)
	host, others := c.writersHost()
	through := func(e harness.Endpoint) harness.Endpoint {
		var addrs []string
		for _, h := range others {
			addrs = append(addrs, h.Addr)
		}
		e.Host = strings.Join(addrs, ",")
		return e
	}
	o := newOracle(c.t, others[0], through(c.writer), through(c.reader))
	defer o.end()
	acked := func(since time.Time) func() error {
		return func() error {
			if last := time.Unix(0, o.lastAck.Load()); !last.After(since) {
				return fmt.Errorf("the last commit was at %v", last)
			}
			return nil
		}
	}
	harness.Eventually(c.t, limit, "commits for a second", acked(time.Now().Add(time.Second)))
	o.takeGap()
	c.net.Isolate(host)
	if dies {
		c.net.Kill(host)
	}
	// A second more, so that what was under way at the moment of the fault is over.
	harness.Eventually(c.t, limit, "commits go on", acked(time.Now().Add(time.Second)))
	harness.Eventually(c.t, limit, "commits for a second", acked(time.Now().Add(time.Second)))
	gap = o.takeGap()
	c.net.Heal()
	began := time.Now()
	if dies {
		c.startHost(host)
	}
	c.healthy(4 * limit)
	well = time.Since(began)
	c.t.Log(o.verify(c.t))
	return gap, well
}
