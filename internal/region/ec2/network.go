package ec2

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Network is the default VPC of an account in a region, with all that is in it.
// Its ids follow from the names, so that it need not be stored.
type Network struct {
	Account string
	Region  string
	VpcID   string
	CIDR    string
	Subnets []Subnet
	// DefaultSecurityGroupID is stored by EnsureDefaults.
	DefaultSecurityGroupID string
	MainRouteTableID       string
	InternetGatewayID      string
	DHCPOptionsID          string
}

// Subnet is a part of a VPC in one availability zone.
type Subnet struct {
	ID   string
	CIDR string
	Zone Zone
}

// Zone is an availability zone.
type Zone struct {
	Name string // us-west-2a
	ID   string // usw2-az1
}

// DefaultNetwork returns the default VPC.
func DefaultNetwork(account, region string) Network {
	id := func(prefix, name string) string { return prefix + "-" + derivedID(account, region, prefix, name) }
	n := Network{
		Account: account, Region: region,
		VpcID:                  id("vpc", "default"),
		CIDR:                   "172.31.0.0/16",
		DefaultSecurityGroupID: id("sg", "default"),
		MainRouteTableID:       id("rtb", "main"),
		InternetGatewayID:      id("igw", "default"),
		DHCPOptionsID:          id("dopt", "default"),
	}
	for i, zone := range Zones(region) {
		n.Subnets = append(n.Subnets, Subnet{
			ID: id("subnet", zone.Name), CIDR: fmt.Sprintf("172.31.%d.0/20", 16*i), Zone: zone,
		})
	}
	return n
}

// Subnet returns the subnet with an id.
func (n Network) Subnet(id string) (Subnet, bool) {
	for _, s := range n.Subnets {
		if s.ID == id {
			return s, true
		}
	}
	return Subnet{}, false
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
