package ec2

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Quotas. That of VPCs is larger than AWS's default of 5: many deployments may
// share a region here.
const (
	maxVPCs        = 100
	maxSubnets     = 200
	maxRouteTables = 200
	maxRoutes      = 50
)

// CreateVpc makes a VPC with a main route table, a network ACL and a security
// group of its own.
func (a *API) CreateVpc(ctx context.Context, in *api.CreateVpcInput) (*api.CreateVpcOutput, error) {
	cidr, err := blockOf(aws.ToString(in.CidrBlock), "InvalidVpc.Range")
	if err != nil {
		return nil, err
	}
	switch {
	case aws.ToBool(in.AmazonProvidedIpv6CidrBlock) || in.Ipv6CidrBlock != nil || in.Ipv6Pool != nil || in.Ipv6IpamPoolId != nil:
		return nil, noIPv6()
	case in.Ipv4IpamPoolId != nil || in.Ipv4NetmaskLength != nil:
		return nil, awswire.BadRequestf("UnsupportedOperation", "This region has no IPAM pools: give a CidrBlock.")
	case in.InstanceTenancy != "" && in.InstanceTenancy != types.TenancyDefault:
		return nil, awswire.BadRequestf("UnsupportedOperation", "This region has no dedicated hosts: the tenancy can only be default.")
	}
	tags, err := specifiedTags(in.TagSpecifications, types.ResourceTypeVpc)
	if err != nil {
		return nil, err
	}
	id := awswire.IdentityFrom(ctx)
	existing, err := a.networks(ctx)
	if err != nil {
		return nil, err
	}
	if len(existing) >= maxVPCs {
		return nil, awswire.BadRequestf("VpcLimitExceeded", "The maximum number of VPCs has been reached.")
	}
	n := newNetwork(id.Account, id.Region, cidr.String())
	group := defaultGroup(n, newID("sgr"), newID("sgr"))
	_, err = a.store.Commit(ctx, a.vpcs.PutOp(n.key(), n, 0), a.putTags(n, n.VpcID, tags),
		a.groups.PutOp(group.GroupID, group, 0), groupName(group).Claim(group.GroupID))
	if err != nil {
		return nil, err
	}
	return &api.CreateVpcOutput{Vpc: new(wireVPC(n, tags))}, nil
}

func newNetwork(account, region, cidr string) Network {
	n := Network{
		Account: account, Region: region, VpcID: newID("vpc"), CIDR: cidr, DNSSupport: true,
		MainRouteTableID: newID("rtb"), MainAssociationID: newID("rtbassoc"),
		NetworkACLID: newID("acl"), ACLEntries: newACLEntries(),
		DefaultSecurityGroupID: newID("sg"), DHCPOptionsID: DefaultNetwork(account, region).DHCPOptionsID,
	}
	n.RouteTables = []RouteTable{{ID: n.MainRouteTableID}}
	return n
}

// blockOf is the IPv4 block of a VPC or subnet: a /16 to /28, as AWS has it
// without the bits below the mask.
func blockOf(text, code string) (netip.Prefix, error) {
	if text == "" {
		return netip.Prefix{}, awswire.BadRequestf("MissingParameter", "The request must contain the parameter cidrBlock")
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || !p.Addr().Is4() {
		return p, awswire.InvalidParameterValue("Value (%.60s) for parameter cidrBlock is invalid. This is not a valid CIDR block.", text)
	}
	if p.Bits() < 16 || p.Bits() > 28 {
		return p, awswire.BadRequestf(code, "The CIDR '%s' is invalid: a block has a mask of /16 to /28.", text)
	}
	return p.Masked(), nil
}

func noIPv6() error {
	return awswire.BadRequestf("UnsupportedOperation", "VPCs of this region have no IPv6 addresses.")
}

// DeleteVpc removes a VPC in which nothing is left but what was made with it.
func (a *API) DeleteVpc(ctx context.Context, in *api.DeleteVpcInput) (*api.DeleteVpcOutput, error) {
	id := aws.ToString(in.VpcId)
	item, err := a.networkWith(ctx, withVPC(id), noVPC(id))
	if err != nil {
		return nil, err
	}
	n := item.Value
	if n.Default {
		return nil, awswire.BadRequestf("OperationNotPermitted", "The default VPC of this region is always there and cannot be deleted.")
	}
	if len(n.Subnets) > 0 || len(n.RouteTables) > 1 || n.InternetGatewayID != "" {
		return nil, vpcInUse(n)
	}
	ops, err := a.dropDefaultGroup(ctx, n)
	if err != nil {
		return nil, err
	}
	forget, err := a.dropTags(ctx, n, n.VpcID, n.MainRouteTableID, n.NetworkACLID)
	if err != nil {
		return nil, err
	}
	_, err = a.store.Commit(ctx, append(slices.Concat(ops, forget), a.vpcs.DeleteOp(item.Key, item.Revision))...)
	if errors.Is(err, state.ErrConflict) {
		return a.DeleteVpc(ctx, in)
	}
	return nil, err
}

func vpcInUse(n Network) error {
	return awswire.BadRequestf("DependencyViolation", "The vpc '%s' has dependencies and cannot be deleted.", n.VpcID)
}

// dropDefaultGroup removes the VPC's default security group, under the condition
// that it is its only one.
func (a *API) dropDefaultGroup(ctx context.Context, n Network) ([]state.Op, error) {
	groups, groupsAt, err := a.groups.List(ctx, "")
	ops := []state.Op{a.groups.UnchangedOp(groupsAt)}
	for _, item := range groups {
		if item.Value.VpcID != n.VpcID {
			continue
		}
		if item.Key != n.DefaultSecurityGroupID {
			return nil, vpcInUse(n)
		}
		ops = append(ops, a.groups.DeleteOp(item.Key, item.Revision), groupName(item.Value).Release(item.Key))
	}
	return ops, err
}

// ModifyVpcAttribute changes one attribute.
func (a *API) ModifyVpcAttribute(ctx context.Context, in *api.ModifyVpcAttributeInput) (*api.ModifyVpcAttributeOutput, error) {
	id := aws.ToString(in.VpcId)
	return nil, a.change(ctx, withVPC(id), noVPC(id), func(n *Network) ([]state.Op, error) {
		given := 0
		for value, field := range map[*types.AttributeBooleanValue]*bool{
			in.EnableDnsSupport: &n.DNSSupport, in.EnableDnsHostnames: &n.DNSHostnames, in.EnableNetworkAddressUsageMetrics: &n.UsageMetrics,
		} {
			if value != nil && value.Value != nil {
				*field = *value.Value
				given++
			}
		}
		if given != 1 {
			return nil, awswire.InvalidParameterCombination("The request must change exactly one attribute.")
		}
		return nil, nil
	})
}

// DescribeVpcs answers VPCs.
func (a *API) DescribeVpcs(ctx context.Context, in *api.DescribeVpcsInput) (*api.DescribeVpcsOutput, error) {
	networks, err := a.networks(ctx)
	if err != nil {
		return nil, err
	}
	networks, err = selected(networks, in.VpcIds, func(n Network) string { return n.VpcID }, noVPC)
	if err != nil {
		return nil, err
	}
	tags, err := a.tagsOf(ctx, network(ctx))
	if err != nil {
		return nil, err
	}
	networks, err = filtered(networks, in.Filters, func(n Network) attributes { return vpcAttributes(n, tags[n.VpcID]) })
	if err != nil {
		return nil, err
	}
	page, next, err := awswire.Page(networks, in.NextToken, in.MaxResults, pages(), func(n Network) string { return n.VpcID })
	out := &api.DescribeVpcsOutput{NextToken: next}
	for _, n := range page {
		out.Vpcs = append(out.Vpcs, wireVPC(n, tags[n.VpcID]))
	}
	return out, err
}

func cidrAssociation(n Network) string { return "vpc-cidr-assoc-" + derivedID(n.VpcID, n.CIDR) }

func vpcAttributes(n Network, tags []aurora.Tag) attributes {
	return attributes{
		"vpc-id": {n.VpcID}, "cidr": {n.CIDR}, "cidr-block": {n.CIDR}, "cidrBlock": {n.CIDR}, "owner-id": {n.Account},
		"is-default": {truth(n.Default)}, "isDefault": {truth(n.Default)}, "state": {"available"}, "dhcp-options-id": {n.DHCPOptionsID},
		"cidr-block-association.cidr-block": {n.CIDR}, "cidr-block-association.association-id": {cidrAssociation(n)},
		"cidr-block-association.state": {"associated"},
	}.tagged(tags)
}

func wireVPC(n Network, tags []aurora.Tag) types.Vpc {
	return types.Vpc{
		VpcId: &n.VpcID, CidrBlock: &n.CIDR, OwnerId: &n.Account, IsDefault: &n.Default, State: types.VpcStateAvailable,
		InstanceTenancy: types.TenancyDefault, DhcpOptionsId: &n.DHCPOptionsID, Tags: wireTags(tags),
		CidrBlockAssociationSet: []types.VpcCidrBlockAssociation{{
			AssociationId: aws.String(cidrAssociation(n)), CidrBlock: &n.CIDR,
			CidrBlockState: &types.VpcCidrBlockState{State: types.VpcCidrBlockStateCodeAssociated},
		}},
	}
}

// DescribeVpcAttribute answers one attribute of a VPC.
func (a *API) DescribeVpcAttribute(ctx context.Context, in *api.DescribeVpcAttributeInput) (*api.DescribeVpcAttributeOutput, error) {
	id := aws.ToString(in.VpcId)
	item, err := a.networkWith(ctx, withVPC(id), noVPC(id))
	if err != nil {
		return nil, err
	}
	n := item.Value
	out := &api.DescribeVpcAttributeOutput{VpcId: &n.VpcID}
	switch in.Attribute {
	case types.VpcAttributeNameEnableDnsSupport:
		out.EnableDnsSupport = &types.AttributeBooleanValue{Value: &n.DNSSupport}
	case types.VpcAttributeNameEnableDnsHostnames:
		out.EnableDnsHostnames = &types.AttributeBooleanValue{Value: &n.DNSHostnames}
	case types.VpcAttributeNameEnableNetworkAddressUsageMetrics:
		out.EnableNetworkAddressUsageMetrics = &types.AttributeBooleanValue{Value: &n.UsageMetrics}
	default:
		return nil, awswire.InvalidParameterValue("Value (%.60s) for parameter attribute is invalid. Unknown VPC attribute.", in.Attribute)
	}
	return out, nil
}

// selected are the items with some ids, all of which must be there; all items if
// no ids are given.
func selected[T any](items []T, ids []string, idOf func(T) string, missing func(string) error) ([]T, error) {
	for _, id := range ids {
		if !slices.ContainsFunc(items, func(item T) bool { return idOf(item) == id }) {
			return nil, missing(id)
		}
	}
	return slices.DeleteFunc(items, func(item T) bool {
		return len(ids) > 0 && !slices.Contains(ids, idOf(item))
	}), nil
}
