package ec2

import (
	"context"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// freeAddresses of a /20: AWS keeps five of them.
const freeAddresses = 4091

// DescribeVpcs answers the default VPC.
func (a *API) DescribeVpcs(ctx context.Context, in *api.DescribeVpcsInput) (*api.DescribeVpcsOutput, error) {
	n := network(ctx)
	for _, id := range in.VpcIds {
		if id != n.VpcID {
			return nil, noVPC(id)
		}
	}
	tags, err := a.tagsOf(ctx, n)
	if err != nil {
		return nil, err
	}
	association := "vpc-cidr-assoc-" + derivedID(n.VpcID, n.CIDR)
	vpcs, err := filtered([]Network{n}, in.Filters, func(n Network) attributes {
		return attributes{
			"vpc-id": {n.VpcID}, "cidr": {n.CIDR}, "cidr-block": {n.CIDR}, "cidrBlock": {n.CIDR}, "owner-id": {n.Account},
			"is-default": {"true"}, "isDefault": {"true"}, "state": {"available"}, "dhcp-options-id": {n.DHCPOptionsID},
			"cidr-block-association.cidr-block": {n.CIDR}, "cidr-block-association.association-id": {association},
			"cidr-block-association.state": {"associated"},
		}.tagged(tags[n.VpcID])
	})
	out := &api.DescribeVpcsOutput{}
	for _, n := range vpcs {
		out.Vpcs = append(out.Vpcs, types.Vpc{
			VpcId: &n.VpcID, CidrBlock: &n.CIDR, OwnerId: &n.Account, IsDefault: aws.Bool(true), State: types.VpcStateAvailable,
			InstanceTenancy: types.TenancyDefault, DhcpOptionsId: &n.DHCPOptionsID, Tags: wireTags(tags[n.VpcID]),
			CidrBlockAssociationSet: []types.VpcCidrBlockAssociation{{
				AssociationId: &association, CidrBlock: &n.CIDR,
				CidrBlockState: &types.VpcCidrBlockState{State: types.VpcCidrBlockStateCodeAssociated},
			}},
		})
	}
	return out, err
}

// DescribeVpcAttribute answers one attribute of the default VPC.
func (a *API) DescribeVpcAttribute(ctx context.Context, in *api.DescribeVpcAttributeInput) (*api.DescribeVpcAttributeOutput, error) {
	n := network(ctx)
	if aws.ToString(in.VpcId) != n.VpcID {
		return nil, noVPC(aws.ToString(in.VpcId))
	}
	out := &api.DescribeVpcAttributeOutput{VpcId: &n.VpcID}
	yes, no := &types.AttributeBooleanValue{Value: aws.Bool(true)}, &types.AttributeBooleanValue{Value: aws.Bool(false)}
	switch in.Attribute {
	case types.VpcAttributeNameEnableDnsSupport:
		out.EnableDnsSupport = yes
	case types.VpcAttributeNameEnableDnsHostnames:
		out.EnableDnsHostnames = yes
	case types.VpcAttributeNameEnableNetworkAddressUsageMetrics:
		out.EnableNetworkAddressUsageMetrics = no
	default:
		return nil, awswire.InvalidParameterValue("Value (%.60s) for parameter attribute is invalid. Unknown VPC attribute.", in.Attribute)
	}
	return out, nil
}

// DescribeSubnets answers the default subnets.
func (a *API) DescribeSubnets(ctx context.Context, in *api.DescribeSubnetsInput) (*api.DescribeSubnetsOutput, error) {
	n := network(ctx)
	for _, id := range in.SubnetIds {
		if _, ok := n.Subnet(id); !ok {
			return nil, awswire.BadRequestf("InvalidSubnetID.NotFound", "The subnet ID '%.60s' does not exist", id)
		}
	}
	tags, err := a.tagsOf(ctx, n)
	if err != nil {
		return nil, err
	}
	subnets := slices.DeleteFunc(n.Subnets, func(s Subnet) bool {
		return len(in.SubnetIds) > 0 && !slices.Contains(in.SubnetIds, s.ID)
	})
	subnets, err = filtered(subnets, in.Filters, func(s Subnet) attributes { return subnetAttributes(n, s, tags[s.ID]) })
	if err != nil {
		return nil, err
	}
	page, next, err := awswire.Page(subnets, in.NextToken, in.MaxResults, pages(), func(s Subnet) string { return s.ID })
	out := &api.DescribeSubnetsOutput{NextToken: next}
	for _, s := range page {
		out.Subnets = append(out.Subnets, wireSubnet(n, s, tags[s.ID]))
	}
	return out, err
}

func subnetAttributes(n Network, s Subnet, tags []aurora.Tag) attributes {
	return attributes{
		"subnet-id": {s.ID}, "vpc-id": {n.VpcID}, "owner-id": {n.Account}, "state": {"available"},
		"availability-zone": {s.Zone.Name}, "availabilityZone": {s.Zone.Name}, "availability-zone-id": {s.Zone.ID},
		"cidr": {s.CIDR}, "cidr-block": {s.CIDR}, "cidrBlock": {s.CIDR}, "default-for-az": {"true"}, "defaultForAz": {"true"},
		"map-public-ip-on-launch": {"true"}, "available-ip-address-count": {strconv.Itoa(freeAddresses)}, "ipv6-native": {"false"},
		"subnet-arn": {arn(n.Account, n.Region, "subnet/"+s.ID)},
	}.tagged(tags)
}

func wireSubnet(n Network, s Subnet, tags []aurora.Tag) types.Subnet {
	return types.Subnet{
		SubnetId: &s.ID, SubnetArn: aws.String(arn(n.Account, n.Region, "subnet/"+s.ID)), VpcId: &n.VpcID, OwnerId: &n.Account,
		CidrBlock: &s.CIDR, AvailabilityZone: &s.Zone.Name, AvailabilityZoneId: &s.Zone.ID, State: types.SubnetStateAvailable,
		AvailableIpAddressCount: aws.Int32(freeAddresses), DefaultForAz: aws.Bool(true), MapPublicIpOnLaunch: aws.Bool(true),
		AssignIpv6AddressOnCreation: aws.Bool(false), Ipv6Native: aws.Bool(false), EnableDns64: aws.Bool(false),
		MapCustomerOwnedIpOnLaunch: aws.Bool(false), Tags: wireTags(tags),
		PrivateDnsNameOptionsOnLaunch: &types.PrivateDnsNameOptionsOnLaunch{
			HostnameType: types.HostnameTypeIpName, EnableResourceNameDnsARecord: aws.Bool(false), EnableResourceNameDnsAAAARecord: aws.Bool(false),
		},
	}
}

// DescribeRouteTables answers the main route table of the default VPC.
func (a *API) DescribeRouteTables(ctx context.Context, in *api.DescribeRouteTablesInput) (*api.DescribeRouteTablesOutput, error) {
	n := network(ctx)
	for _, id := range in.RouteTableIds {
		if id != n.MainRouteTableID {
			return nil, awswire.BadRequestf("InvalidRouteTableID.NotFound", "The routeTable ID '%.60s' does not exist", id)
		}
	}
	tags, err := a.tagsOf(ctx, n)
	if err != nil {
		return nil, err
	}
	association := "rtbassoc-" + derivedID(n.VpcID, "main")
	tables, err := filtered([]Network{n}, in.Filters, func(n Network) attributes {
		return attributes{
			"route-table-id": {n.MainRouteTableID}, "vpc-id": {n.VpcID}, "owner-id": {n.Account}, "association.main": {"true"},
			"association.route-table-association-id": {association}, "association.route-table-id": {n.MainRouteTableID},
			"association.subnet-id": nil, "association.gateway-id": nil,
			"route.destination-cidr-block": {n.CIDR, "0.0.0.0/0"}, "route.gateway-id": {"local", n.InternetGatewayID}, "route.state": {"active"},
		}.tagged(tags[n.MainRouteTableID])
	})
	out := &api.DescribeRouteTablesOutput{}
	for _, n := range tables {
		out.RouteTables = append(out.RouteTables, types.RouteTable{
			RouteTableId: &n.MainRouteTableID, VpcId: &n.VpcID, OwnerId: &n.Account, Tags: wireTags(tags[n.MainRouteTableID]),
			Associations: []types.RouteTableAssociation{{
				Main: aws.Bool(true), RouteTableId: &n.MainRouteTableID, RouteTableAssociationId: &association,
				AssociationState: &types.RouteTableAssociationState{State: types.RouteTableAssociationStateCodeAssociated},
			}},
			PropagatingVgws: []types.PropagatingVgw{},
			Routes: []types.Route{
				{DestinationCidrBlock: &n.CIDR, GatewayId: aws.String("local"), Origin: types.RouteOriginCreateRouteTable, State: types.RouteStateActive},
				{DestinationCidrBlock: aws.String("0.0.0.0/0"), GatewayId: &n.InternetGatewayID, Origin: types.RouteOriginCreateRoute, State: types.RouteStateActive},
			},
		})
	}
	return out, err
}
