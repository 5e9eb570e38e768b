package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/state"
)

// durability says in plain words what commits survive here, and what is not as it
// should be.
func durability(ctx context.Context, store *state.Store) (promise, problem string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	clusters, _, err := state.DBClusters(store).List(ctx, "")
	if err != nil {
		return "not known: the state store does not answer", ""
	}
	copies, disks := []string{"a", "a", "b", "b", "c", "c"}, 0 // a new cluster's
	var hosts []string
	for _, item := range clusters {
		c := item.Value
		if len(c.Status.LogZones) == 0 || c.DeleteRequested {
			continue
		}
		if r := c.Volume.Log; disks == 0 || len(c.Status.LogZones) < len(copies) || r.Disks < disks {
			copies, hosts, disks = c.Status.LogZones, c.Status.LogHosts, r.Disks
		}
		if r := c.Volume.Log; r.Problem != "" {
			problem = fmt.Sprintf("%s: %d of %d copies of the log get every commit; %s", c.Spec.Identifier, r.Whole, len(c.Status.LogZones), r.Problem)
		}
	}
	return survives(copies, hosts, disks), problem
}

// survives says what the loss of a disk or a host means for a log with copies in
// zones on hosts.
func survives(copies, hosts []string, disks int) string {
	zones := len(slices.Compact(slices.Sorted(slices.Values(copies))))
	text := fmt.Sprintf("every commit is on disk in %s before it is acknowledged; any process may die at any moment; ", counted(len(copies), zones))
	if n := most(hosts); n < len(hosts) {
		return text + survivesHost(len(hosts), n)
	}
	switch {
	case disks <= 1:
		return text + "all of it is on one disk of this machine, whose loss loses everything"
	case disks < 3:
		return text + fmt.Sprintf("it is on %d disks of this machine: the loss of one can stop commits", disks)
	}
	return text + fmt.Sprintf("it is on %d disks of this machine: the loss of any one loses nothing, the loss of the machine everything", disks)
}

// most is how many of the copies are on the host that has most of them.
func most(hosts []string) int {
	count, top := map[string]int{}, 0
	for _, h := range hosts {
		count[h]++
		top = max(top, count[h])
	}
	return top
}

func survivesHost(copies, most int) string {
	left := copies - most
	switch {
	case left > copies/2:
		return "the loss of any host loses nothing and stops nothing"
	case left >= copies-copies/2:
		return "the loss of any host loses nothing, but can stop commits until it is back"
	}
	return "the loss of a host can lose commits: there are too few hosts for the copies"
}

func counted(copies, zones int) string {
	if copies == 1 {
		return "one copy of the log"
	}
	return fmt.Sprintf("%d of %d copies of the log, in %d zones,", copies/2+1, copies, zones)
}
