package ec2

import (
	"cmp"
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// networkInterface is what a DB instance has in its subnet.
type networkInterface struct {
	id       string
	instance aurora.DBInstance
	groups   []string
	subnet   string
	vpc      string
}

// DescribeNetworkInterfaces answers the interfaces of DB instances: RDS owns them.
func (a *API) DescribeNetworkInterfaces(ctx context.Context, in *api.DescribeNetworkInterfacesInput) (*api.DescribeNetworkInterfacesOutput, error) {
	all, err := a.interfaces(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range in.NetworkInterfaceIds {
		if !slices.ContainsFunc(all, func(i networkInterface) bool { return i.id == id }) {
			return nil, awswire.BadRequestf("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%.60s' does not exist", id)
		}
	}
	all = slices.DeleteFunc(all, func(i networkInterface) bool {
		return len(in.NetworkInterfaceIds) > 0 && !slices.Contains(in.NetworkInterfaceIds, i.id)
	})
	if all, err = filtered(all, in.Filters, networkInterface.attributes); err != nil {
		return nil, err
	}
	page, next, err := awswire.Page(all, in.NextToken, in.MaxResults, pages(), func(i networkInterface) string { return i.id })
	if err != nil {
		return nil, err
	}
	names, err := a.groupNames(ctx)
	out := &api.DescribeNetworkInterfacesOutput{NextToken: next}
	for _, i := range page {
		out.NetworkInterfaces = append(out.NetworkInterfaces, i.wire(names))
	}
	return out, err
}

// interfaces derives them from the DB instances of the caller.
func (a *API) interfaces(ctx context.Context) ([]networkInterface, error) {
	n := network(ctx)
	clusters, _, err := a.clusters.List(ctx, "")
	if err != nil {
		return nil, err
	}
	subnets, err := a.dbSubnetGroups(ctx)
	if err != nil {
		return nil, err
	}
	specs := map[string]aurora.DBClusterSpec{}
	for _, c := range clusters {
		specs[c.Key] = c.Value.Spec
	}
	instances, _, err := a.instances.List(ctx, "")
	var all []networkInterface
	for _, item := range instances {
		db := item.Value
		if db.Account != n.Account || db.Region != n.Region {
			continue
		}
		cluster := specs[db.Spec.ClusterResourceID]
		all = append(all, networkInterface{
			id: "eni-" + derivedID(db.ResourceID), instance: db, groups: cluster.VpcSecurityGroupIDs, vpc: cmp.Or(cluster.VpcID, n.VpcID),
			subnet: subnets[cluster.DBSubnetGroupName].SubnetIn(db.Status.AvailabilityZone),
		})
	}
	return all, err
}

// dbSubnetGroups are the caller's by name, with that of the default VPC.
func (a *API) dbSubnetGroups(ctx context.Context) (map[string]DBSubnetGroup, error) {
	n := network(ctx)
	items, _, err := a.dbSubnets.List(ctx, n.Account+"/"+n.Region+"/")
	groups := map[string]DBSubnetGroup{}
	for _, item := range items {
		groups[item.Value.Name] = item.Value
	}
	for _, name := range []string{"", "default"} {
		g := DBSubnetGroup{Account: n.Account, Region: n.Region}
		for _, s := range n.Subnets {
			g.SubnetIDs = append(g.SubnetIDs, s.ID)
		}
		groups[name] = g
	}
	return groups, err
}

func (i networkInterface) attributes() attributes {
	return attributes{
		"network-interface-id": {i.id}, "group-id": i.groups, "vpc-id": {i.vpc}, "subnet-id": {i.subnet},
		"availability-zone": {i.instance.Status.AvailabilityZone}, "description": {"RDSNetworkInterface"}, "owner-id": {i.instance.Account},
		"requester-id": {"amazon-rds"}, "requester-managed": {"true"}, "status": {"in-use"}, "interface-type": {"interface"},
		"private-ip-address": {i.instance.Status.Endpoint.Host}, "addresses.private-ip-address": {i.instance.Status.Endpoint.Host},
		"attachment.instance-id": nil, "attachment.instance-owner-id": {"amazon-rds"}, "attachment.status": {"attached"},
	}.tagged(nil)
}

func (i networkInterface) wire(names map[string]string) types.NetworkInterface {
	wire := types.NetworkInterface{
		NetworkInterfaceId: &i.id, Description: aws.String("RDSNetworkInterface"), InterfaceType: types.NetworkInterfaceTypeInterface,
		OwnerId: &i.instance.Account, RequesterId: aws.String("amazon-rds"), RequesterManaged: aws.Bool(true),
		Status: types.NetworkInterfaceStatusInUse, VpcId: &i.vpc, SubnetId: optional(i.subnet),
		AvailabilityZone: optional(i.instance.Status.AvailabilityZone), PrivateIpAddress: optional(i.instance.Status.Endpoint.Host),
		SourceDestCheck: aws.Bool(true), TagSet: []types.Tag{},
		Attachment: &types.NetworkInterfaceAttachment{
			AttachmentId: aws.String("eni-attach-" + derivedID(i.id)), InstanceOwnerId: aws.String("amazon-rds"),
			DeviceIndex: aws.Int32(1), Status: types.AttachmentStatusAttached, DeleteOnTermination: aws.Bool(false),
		},
	}
	for _, id := range i.groups {
		wire.Groups = append(wire.Groups, types.GroupIdentifier{GroupId: &id, GroupName: optional(names[id])})
	}
	return wire
}

// groupNames are the names of the caller's security groups by id.
func (a *API) groupNames(ctx context.Context) (map[string]string, error) {
	groups, err := a.groupsOf(ctx)
	names := make(map[string]string, len(groups))
	for _, g := range groups {
		names[g.GroupID] = g.Name
	}
	return names, err
}
