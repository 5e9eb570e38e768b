package endpoint

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// Firewall is the union of a cluster's security groups. Without a group, and
// without a rule that allows it, nobody gets in.
type Firewall struct {
	groups []string // ids, as asked for; some may not exist
	rules  []rule
	// defaults are the ids of the groups that a loopback client is a member of.
	defaults []string
}

// rule is an ingress rule that could be about TCP.
type rule struct {
	aurora.SecurityGroupRule
	group string
}

// defaultGroupName is the name that AWS reserves for a VPC's default group.
const defaultGroupName = "default"

func newFirewall(ids []string, all map[string]aurora.SecurityGroup) Firewall {
	f := Firewall{groups: ids}
	vpcs := map[string]bool{}
	for _, id := range ids {
		g, ok := all[id]
		if !ok {
			continue
		}
		vpcs[g.VpcID] = true
		for _, r := range g.Ingress {
			f.rules = append(f.rules, rule{r, id})
		}
	}
	for _, g := range all {
		if g.Name == defaultGroupName && vpcs[g.VpcID] {
			f.defaults = append(f.defaults, g.GroupID)
		}
	}
	slices.Sort(f.defaults)
	return f
}

// Allows says whether a client may reach the port.
func (f Firewall) Allows(c Client, port int) bool {
	return slices.ContainsFunc(f.rules, func(r rule) bool {
		return r.coversPort(port) && f.covers(r, c)
	})
}

// Client is who connects, as rules see it.
type Client struct {
	Addr netip.Addr
	// Loopback says that Addr is what a client on loopback counts as, and that it
	// is a member of the default security group.
	Loopback bool
}

// newClient says what a client at an address counts as.
func newClient(addr, loopbackAs netip.Addr) Client {
	addr = addr.Unmap().WithZone("")
	if addr.IsLoopback() && loopbackAs.IsValid() {
		return Client{Addr: loopbackAs, Loopback: true}
	}
	return Client{Addr: addr}
}

// covers says whether a client is among the sources of a rule.
func (f Firewall) covers(r rule, c Client) bool {
	if r.CIDR != "" {
		prefix, err := netip.ParsePrefix(r.CIDR)
		return err == nil && prefix.Contains(c.Addr)
	}
	return c.Loopback && r.SourceGroupID != "" && slices.Contains(f.defaults, r.SourceGroupID)
}

func (r rule) coversPort(port int) bool {
	switch r.Protocol {
	case "-1", "all":
		return true
	case "tcp", "6":
		return r.FromPort == -1 || r.FromPort <= port && port <= r.ToPort
	}
	return false
}

func (r rule) String() string {
	ports := "all ports"
	switch {
	case r.Protocol == "-1" || r.FromPort == -1:
	case r.FromPort == r.ToPort:
		ports = strconv.Itoa(r.FromPort)
	default:
		ports = fmt.Sprintf("%d-%d", r.FromPort, r.ToPort)
	}
	protocol := r.Protocol
	if protocol == "-1" {
		protocol = "all traffic"
	}
	source := r.CIDR
	switch {
	case r.SourceGroupID != "":
		source = "members of " + r.SourceGroupID
	case r.PrefixListID != "":
		source = "prefix list " + r.PrefixListID + ", which is not supported"
	}
	return fmt.Sprintf("%s %s from %s", protocol, ports, source)
}

// maxRulesShown keeps the refusal of a client short.
const maxRulesShown = 10

// Describe lists the groups with their rules, for people.
func (f Firewall) Describe() string {
	if len(f.groups) == 0 {
		return "none, the cluster has no security group"
	}
	shown := 0
	var groups []string
	for _, id := range f.groups {
		var rules []string
		for _, r := range f.rules {
			if r.group != id {
				continue
			}
			if shown++; shown > maxRulesShown {
				rules = append(rules, "…")
				break
			}
			rules = append(rules, r.String())
		}
		if len(rules) == 0 {
			rules = []string{"no ingress rules"}
		}
		groups = append(groups, fmt.Sprintf("%s (%s)", id, strings.Join(rules, "; ")))
	}
	return strings.Join(groups, ", ")
}
