package node

import (
	"slices"
	"testing"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/dataplane/wal"
)

func TestOnlyCopiesThatNobodyCountsOnAreSuperfluous(t *testing.T) {
	n := &node{config: Config{HostID: "here"}}
	held := []wal.HeldCopy{{Zone: "a", Number: 0}, {Zone: "a", Number: 1}}
	list := func(hosts ...string) aurora.DBCluster {
		var c aurora.DBCluster
		c.Status.LogHosts = hosts
		for range hosts {
			c.Status.LogZones = append(c.Status.LogZones, "a")
		}
		return c
	}
	with := func(c aurora.DBCluster, change func(*aurora.DBCluster)) aurora.DBCluster {
		change(&c)
		return c
	}
	for name, c := range map[string]struct {
		cluster aurora.DBCluster
		want    []int // numbers of the copies that can go
	}{
		"both are in the list":         {list("here", "here", "other"), nil},
		"none is":                      {list("other", "other", "here"), []int{0, 1}},
		"one is":                       {list("here", "other", "other"), []int{1}},
		"it is in another zone now":    {with(list("here", "here"), func(c *aurora.DBCluster) { c.Status.LogZones[1] = "b" }), []int{1}},
		"the list is shorter":          {list("here"), []int{1}},
		"there is no list yet":         {aurora.DBCluster{}, nil},
		"the cluster is being deleted": {with(list("other", "other"), func(c *aurora.DBCluster) { c.DeleteRequested = true }), nil},
		"one is ordered to be here": {with(list("other", "other"), func(c *aurora.DBCluster) {
			c.Status.LogMove = &aurora.LogMove{Zones: []string{"b", "a"}, Hosts: []string{"here", "here"}}
		}), []int{0}},
		"there may be an order from before": {with(list("other", "other"), func(c *aurora.DBCluster) { c.Status.LogMove = &aurora.LogMove{Again: true} }), nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []int
			for _, h := range n.superfluous(c.cluster, held) {
				got = append(got, h.Number)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("copies %v can go, want %v", got, c.want)
			}
		})
	}
}
