package ec2

import (
	"slices"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

// DBSubnetGroup is a DB subnet group of RDS, which alone writes it. It stands here
// because it says in which subnets DB instances are.
type DBSubnetGroup struct {
	Account     string   `json:"account"`
	Region      string   `json:"region"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	VpcID       string   `json:"vpcId"`
	SubnetIDs   []string `json:"subnetIds"`
	// Zones are the availability zones of SubnetIDs, in their order. Groups of the
	// default VPC's subnets may lack them.
	Zones []string     `json:"zones,omitempty"`
	Tags  []aurora.Tag `json:"tags,omitempty"`
}

// DBSubnetGroups is keyed by Key.
func DBSubnetGroups(s *state.Store) state.Table[DBSubnetGroup] {
	return state.NewTable[DBSubnetGroup](s, "region/db-subnet-groups")
}

// Key is the group's key in the table.
func (g DBSubnetGroup) Key() string { return g.Account + "/" + g.Region + "/" + g.Name }

// Placed returns the group with the zones of its subnets.
func (g DBSubnetGroup) Placed() DBSubnetGroup {
	if len(g.Zones) == len(g.SubnetIDs) {
		return g
	}
	n := DefaultNetwork(g.Account, g.Region)
	g.Zones = make([]string, len(g.SubnetIDs))
	for i, id := range g.SubnetIDs {
		s, _ := n.Subnet(id)
		g.Zones[i] = s.Zone.Name
	}
	return g
}

// SubnetIn is the group's subnet in an availability zone; empty if it has none.
func (g DBSubnetGroup) SubnetIn(zone string) string {
	placed := g.Placed()
	if i := slices.Index(placed.Zones, zone); i >= 0 {
		return placed.SubnetIDs[i]
	}
	return ""
}
