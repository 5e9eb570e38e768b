package ec2

import (
	"context"
	"net/netip"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// CreateSubnet makes a subnet in a part of the VPC's block that no other has.
func (a *API) CreateSubnet(ctx context.Context, in *api.CreateSubnetInput) (*api.CreateSubnetOutput, error) {
	if aws.ToBool(in.Ipv6Native) || in.Ipv6CidrBlock != nil || in.Ipv6IpamPoolId != nil {
		return nil, noIPv6()
	}
	if aws.ToString(in.OutpostArn) != "" || in.Ipv4IpamPoolId != nil {
		return nil, awswire.BadRequestf("UnsupportedOperation", "This region has no Outposts and no IPAM pools.")
	}
	block, err := blockOf(aws.ToString(in.CidrBlock), "InvalidSubnet.Range")
	if err != nil {
		return nil, err
	}
	zone, err := zoneOf(ctx, in.AvailabilityZone, in.AvailabilityZoneId)
	if err != nil {
		return nil, err
	}
	tags, err := specifiedTags(in.TagSpecifications, types.ResourceTypeSubnet)
	if err != nil {
		return nil, err
	}
	vpc := aws.ToString(in.VpcId)
	s := Subnet{ID: newID("subnet"), CIDR: block.String(), Zone: zone, HostnameType: string(types.HostnameTypeIpName)}
	var made types.Subnet
	err = a.change(ctx, withVPC(vpc), noVPC(vpc), func(n *Network) ([]state.Op, error) {
		if err := fits(*n, block); err != nil {
			return nil, err
		}
		n.Subnets = append(slices.Clone(n.Subnets), s)
		made = wireSubnet(placedSubnet{*n, s}, tags)
		return []state.Op{a.putTags(*n, s.ID, tags)}, nil
	})
	return &api.CreateSubnetOutput{Subnet: &made}, err
}

// fits refuses a block that is not in the VPC's, or overlaps another subnet's.
func fits(n Network, block netip.Prefix) error {
	vpc, err := netip.ParsePrefix(n.CIDR)
	if err != nil {
		return err
	}
	if !vpc.Contains(block.Addr()) || block.Bits() < vpc.Bits() {
		return awswire.BadRequestf("InvalidSubnet.Range", "The CIDR '%s' is invalid: it is not in the VPC's, %s.", block, n.CIDR)
	}
	for _, s := range n.Subnets {
		if other, err := netip.ParsePrefix(s.CIDR); err != nil || other.Overlaps(block) {
			return awswire.BadRequestf("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", block)
		}
	}
	if len(n.Subnets) >= maxSubnets {
		return awswire.BadRequestf("SubnetLimitExceeded", "The maximum number of subnets has been reached.")
	}
	return nil
}

// zoneOf is the zone that was asked for by name or by id, or the first one.
func zoneOf(ctx context.Context, name, id *string) (Zone, error) {
	zones := Zones(awswire.IdentityFrom(ctx).Region)
	if aws.ToString(name) == "" && aws.ToString(id) == "" {
		return zones[0], nil
	}
	for _, z := range zones {
		if (aws.ToString(name) == "" || *name == z.Name) && (aws.ToString(id) == "" || *id == z.ID) {
			return z, nil
		}
	}
	return Zone{}, awswire.InvalidParameterValue("Value (%.60s) for parameter availabilityZone is invalid. "+
		"Subnets can currently only be created in the following availability zones: %s, %s, %s.",
		aws.ToString(name)+aws.ToString(id), zones[0].Name, zones[1].Name, zones[2].Name)
}

// DeleteSubnet removes a subnet that no DB cluster's instances may be in.
func (a *API) DeleteSubnet(ctx context.Context, in *api.DeleteSubnetInput) (*api.DeleteSubnetOutput, error) {
	id := aws.ToString(in.SubnetId)
	return nil, a.change(ctx, withSubnet(id), noSubnet(id), func(n *Network) ([]state.Op, error) {
		i := n.subnetIndex(id)
		if n.Subnets[i].Default {
			return nil, awswire.BadRequestf("OperationNotPermitted", "The default subnets of this region are always there and cannot be deleted.")
		}
		unused, err := a.withoutClusters(ctx, *n, id)
		if err != nil {
			return nil, err
		}
		forget, err := a.dropTags(ctx, *n, id)
		n.Subnets = slices.Delete(slices.Clone(n.Subnets), i, i+1)
		return append(unused, forget...), err
	})
}

// withoutClusters refuses a subnet in which a DB cluster may have its instances,
// and returns the conditions under which there is none.
func (a *API) withoutClusters(ctx context.Context, n Network, subnetID string) ([]state.Op, error) {
	clusters, clustersAt, err := a.clusters.List(ctx, "")
	if err != nil {
		return nil, err
	}
	groups, groupsAt, err := a.dbSubnets.List(ctx, n.Account+"/"+n.Region+"/")
	for _, g := range groups {
		if !slices.Contains(g.Value.SubnetIDs, subnetID) {
			continue
		}
		for _, c := range clusters {
			if c.Value.Account == n.Account && c.Value.Region == n.Region && c.Value.Spec.DBSubnetGroupName == g.Value.Name {
				return nil, awswire.BadRequestf("DependencyViolation",
					"The subnet '%s' has dependencies and cannot be deleted: DB cluster %s is in it.", subnetID, c.Value.Spec.Identifier)
			}
		}
	}
	return []state.Op{a.clusters.UnchangedOp(clustersAt), a.dbSubnets.UnchangedOp(groupsAt)}, err
}

func noSubnet(id string) error {
	return awswire.BadRequestf("InvalidSubnetID.NotFound", "The subnet ID '%.60s' does not exist", id)
}

// ModifySubnetAttribute changes one attribute.
func (a *API) ModifySubnetAttribute(ctx context.Context, in *api.ModifySubnetAttributeInput) (*api.ModifySubnetAttributeOutput, error) {
	id := aws.ToString(in.SubnetId)
	if isTrue(in.AssignIpv6AddressOnCreation) || isTrue(in.EnableDns64) || isTrue(in.EnableResourceNameDnsAAAARecordOnLaunch) {
		return nil, noIPv6()
	}
	if isTrue(in.MapCustomerOwnedIpOnLaunch) || in.CustomerOwnedIpv4Pool != nil || in.EnableLniAtDeviceIndex != nil {
		return nil, awswire.BadRequestf("UnsupportedOperation", "This region has no Outposts.")
	}
	return nil, a.change(ctx, withSubnet(id), noSubnet(id), func(n *Network) ([]state.Op, error) {
		n.Subnets = slices.Clone(n.Subnets)
		s := &n.Subnets[n.subnetIndex(id)]
		if v := in.MapPublicIpOnLaunch; v != nil {
			s.PublicIP = aws.ToBool(v.Value)
		}
		if v := in.EnableResourceNameDnsARecordOnLaunch; v != nil {
			s.ARecord = aws.ToBool(v.Value)
		}
		if v := in.PrivateDnsHostnameTypeOnLaunch; v != "" {
			if !slices.Contains(v.Values(), v) {
				return nil, awswire.InvalidParameterValue("Value (%.60s) for parameter PrivateDnsHostnameType is invalid.", v)
			}
			s.HostnameType = string(v)
		}
		return nil, nil
	})
}

func isTrue(v *types.AttributeBooleanValue) bool { return v != nil && aws.ToBool(v.Value) }

// placedSubnet is a subnet with its VPC.
type placedSubnet struct {
	network Network
	Subnet
}

// DescribeSubnets answers subnets.
func (a *API) DescribeSubnets(ctx context.Context, in *api.DescribeSubnetsInput) (*api.DescribeSubnetsOutput, error) {
	networks, err := a.networks(ctx)
	if err != nil {
		return nil, err
	}
	var subnets []placedSubnet
	for _, n := range networks {
		for _, s := range n.Subnets {
			subnets = append(subnets, placedSubnet{n, s})
		}
	}
	subnets, err = selected(subnets, in.SubnetIds, func(s placedSubnet) string { return s.ID }, noSubnet)
	if err != nil {
		return nil, err
	}
	tags, err := a.tagsOf(ctx, network(ctx))
	if err != nil {
		return nil, err
	}
	subnets, err = filtered(subnets, in.Filters, func(s placedSubnet) attributes { return subnetAttributes(s, tags[s.ID]) })
	if err != nil {
		return nil, err
	}
	page, next, err := awswire.Page(subnets, in.NextToken, in.MaxResults, pages(), func(s placedSubnet) string { return s.ID })
	out := &api.DescribeSubnetsOutput{NextToken: next}
	for _, s := range page {
		out.Subnets = append(out.Subnets, wireSubnet(s, tags[s.ID]))
	}
	return out, err
}

// freeAddresses of a block: AWS keeps five of them.
func freeAddresses(cidr string) int {
	block, err := netip.ParsePrefix(cidr)
	if err != nil {
		return 0
	}
	return 1<<(32-block.Bits()) - 5
}

func subnetAttributes(s placedSubnet, tags []aurora.Tag) attributes {
	return attributes{
		"subnet-id": {s.ID}, "vpc-id": {s.network.VpcID}, "owner-id": {s.network.Account}, "state": {"available"},
		"availability-zone": {s.Zone.Name}, "availabilityZone": {s.Zone.Name}, "availability-zone-id": {s.Zone.ID},
		"cidr": {s.CIDR}, "cidr-block": {s.CIDR}, "cidrBlock": {s.CIDR}, "default-for-az": {truth(s.Default)}, "defaultForAz": {truth(s.Default)},
		"map-public-ip-on-launch": {truth(s.PublicIP)}, "available-ip-address-count": {strconv.Itoa(freeAddresses(s.CIDR))}, "ipv6-native": {"false"},
		"subnet-arn": {arn(s.network.Account, s.network.Region, "subnet/"+s.ID)},
	}.tagged(tags)
}

func wireSubnet(s placedSubnet, tags []aurora.Tag) types.Subnet {
	return types.Subnet{
		SubnetId: &s.ID, SubnetArn: aws.String(arn(s.network.Account, s.network.Region, "subnet/"+s.ID)), VpcId: &s.network.VpcID, OwnerId: &s.network.Account,
		CidrBlock: &s.CIDR, AvailabilityZone: &s.Zone.Name, AvailabilityZoneId: &s.Zone.ID, State: types.SubnetStateAvailable,
		AvailableIpAddressCount: aws.Int32(int32(freeAddresses(s.CIDR))), DefaultForAz: &s.Default, MapPublicIpOnLaunch: &s.PublicIP,
		AssignIpv6AddressOnCreation: aws.Bool(false), Ipv6Native: aws.Bool(false), EnableDns64: aws.Bool(false),
		MapCustomerOwnedIpOnLaunch: aws.Bool(false), Tags: wireTags(tags),
		PrivateDnsNameOptionsOnLaunch: &types.PrivateDnsNameOptionsOnLaunch{
			HostnameType: types.HostnameType(s.HostnameType), EnableResourceNameDnsARecord: &s.ARecord, EnableResourceNameDnsAAAARecord: aws.Bool(false),
		},
	}
}

func truth(v bool) string { return strconv.FormatBool(v) }
