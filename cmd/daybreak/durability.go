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
	for _, item := range clusters {
		c := item.Value
		if len(c.Status.LogZones) == 0 || c.DeleteRequested {
			continue
		}
		if r := c.Volume.Log; disks == 0 || len(c.Status.LogZones) < len(copies) || r.Disks < disks {
			copies, disks = c.Status.LogZones, r.Disks
		}
		if r := c.Volume.Log; r.Problem != "" {
			problem = fmt.Sprintf("%s: %d of %d copies of the log get every commit; %s", c.Spec.Identifier, r.Whole, len(c.Status.LogZones), r.Problem)
		}
	}
	return survives(copies, disks), problem
}

// survives says what the loss of a disk means for a log with copies in zones.
func survives(copies []string, disks int) string {
	zones := len(slices.Compact(slices.Sorted(slices.Values(copies))))
	text := fmt.Sprintf("every commit is on disk in %s before it is acknowledged; any process may die at any moment; ", counted(len(copies), zones))
	switch {
	case disks <= 1:
		return text + "all of it is on one disk of this machine, whose loss loses everything"
	case disks < 3:
		return text + fmt.Sprintf("it is on %d disks of this machine: the loss of one can stop commits", disks)
	}
	return text + fmt.Sprintf("it is on %d disks of this machine: the loss of any one loses nothing, the loss of the machine everything", disks)
}

func counted(copies, zones int) string {
	if copies == 1 {
		return "one copy of the log"
	}
	return fmt.Sprintf("%d of %d copies of the log, in %d zones,", copies/2+1, copies, zones)
}
