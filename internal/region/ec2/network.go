package ec2

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Network is a VPC with all that is in it, so that what must fit together changes
// in one write. The default VPC of an account in a region follows from their
// names, ids included; it is stored only when something of it was changed.
type Network struct {
	Account      string `json:"account"`
	Region       string `json:"region"`
	VpcID        string `json:"vpcId"`
	CIDR         string `json:"cidr"`
	Default      bool   `json:"default,omitempty"`
	DNSSupport   bool   `json:"dnsSupport"`
	DNSHostnames bool   `json:"dnsHostnames"`
	UsageMetrics bool   `json:"usageMetrics"`

	Subnets     []Subnet     `json:"subnets,omitempty"`
	RouteTables []RouteTable `json:"routeTables"`
	// Every subnet without a table of its own has the main one.
	MainRouteTableID  string `json:"mainRouteTableId"`
	MainAssociationID string `json:"mainAssociationId"`
	// There is one network ACL, the default one, for all subnets.
	NetworkACLID string     `json:"networkAclId"`
	ACLEntries   []ACLEntry `json:"aclEntries"`
	// The group named default; it is stored with other security groups.
	DefaultSecurityGroupID string `json:"defaultSecurityGroupId"`
	DHCPOptionsID          string `json:"dhcpOptionsId"`
	// InternetGatewayID is only that of the default VPC, which it never leaves.
	InternetGatewayID string `json:"internetGatewayId,omitempty"`
}

// Subnet is a part of a VPC in one availability zone.
type Subnet struct {
	ID      string `json:"id"`
	CIDR    string `json:"cidr"`
	Zone    Zone   `json:"zone"`
	Default bool   `json:"default,omitempty"`
	// What instances in it get; nothing here runs any.
	PublicIP     bool   `json:"publicIp,omitempty"`
	HostnameType string `json:"hostnameType"`
	ARecord      bool   `json:"aRecord,omitempty"`
	// RouteTableID is empty where the main table applies.
	RouteTableID  string `json:"routeTableId,omitempty"`
	AssociationID string `json:"associationId,omitempty"`
}

// Zone is an availability zone.
type Zone struct {
	Name string `json:"name"` // us-west-2a
	ID   string `json:"id"`   // usw2-az1
}

// RouteTable has routes beside that to the VPC itself.
type RouteTable struct {
	ID     string  `json:"id"`
	Routes []Route `json:"routes,omitempty"`
}

// Route goes to an internet gateway.
type Route struct {
	CIDR      string `json:"cidr"`
	GatewayID string `json:"gatewayId"`
}

// DefaultNetwork returns the default VPC as it is when nothing was changed.
func DefaultNetwork(account, region string) Network {
	id := func(prefix, name string) string { return prefix + "-" + derivedID(account, region, prefix, name) }
	n := Network{
		Account: account, Region: region, Default: true, DNSSupport: true, DNSHostnames: true,
		VpcID:                  id("vpc", "default"),
		CIDR:                   "172.31.0.0/16",
		DefaultSecurityGroupID: id("sg", "default"),
		MainRouteTableID:       id("rtb", "main"),
		NetworkACLID:           id("acl", "default"),
		ACLEntries:             newACLEntries(),
		InternetGatewayID:      id("igw", "default"),
		DHCPOptionsID:          id("dopt", "default"),
	}
	n.MainAssociationID = "rtbassoc-" + derivedID(n.VpcID, "main")
	n.RouteTables = []RouteTable{{ID: n.MainRouteTableID, Routes: []Route{{CIDR: "0.0.0.0/0", GatewayID: n.InternetGatewayID}}}}
	for i, zone := range Zones(region) {
		n.Subnets = append(n.Subnets, Subnet{
			ID: id("subnet", zone.Name), CIDR: fmt.Sprintf("172.31.%d.0/20", 16*i), Zone: zone,
			Default: true, PublicIP: true, HostnameType: string(types.HostnameTypeIpName),
		})
	}
	return n
}

// Subnet returns the subnet with an id.
func (n Network) Subnet(id string) (Subnet, bool) {
	if i := n.subnetIndex(id); i >= 0 {
		return n.Subnets[i], true
	}
	return Subnet{}, false
}

func (n Network) subnetIndex(id string) int {
	return slices.IndexFunc(n.Subnets, func(s Subnet) bool { return s.ID == id })
}

func (n Network) tableIndex(id string) int {
	return slices.IndexFunc(n.RouteTables, func(t RouteTable) bool { return t.ID == id })
}

// ids are those of all that has tags in it, but of security groups.
func (n Network) ids() []string {
	ids := []string{n.VpcID, n.NetworkACLID, n.DHCPOptionsID}
	for _, s := range n.Subnets {
		ids = append(ids, s.ID)
	}
	for _, t := range n.RouteTables {
		ids = append(ids, t.ID)
	}
	return ids
}

// Zones are the availability zones of a region.
func Zones(region string) []Zone {
	zones := make([]Zone, 3)
	for i := range zones {
		zones[i] = Zone{Name: region + string("abc"[i]), ID: fmt.Sprintf("%s-az%d", shortRegion(region), i+1)}
	}
	return zones
}

// shortRegion is usw2 for us-west-2, as in zone ids.
func shortRegion(region string) string {
	parts := strings.Split(region, "-")
	short := parts[0]
	for _, part := range parts[1:] {
		switch part {
		case "northeast", "southeast", "northwest", "southwest":
			short += part[:1] + part[5:6]
		default:
			short += part[:1]
		}
	}
	return short
}

func arn(account, region, resource string) string {
	return "arn:aws:ec2:" + region + ":" + account + ":" + resource
}

// derivedID is 17 hex digits, as in AWS's ids.
func derivedID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "/")))
	return hex.EncodeToString(sum[:])[:17]
}
