package rds

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/ec2"
	"github.com/daybreakdb/daybreak/internal/state"
)

// place checks and sets what a cluster takes from other resources, and returns
// the conditions under which that stays true.
func (s *service) place(ctx context.Context, c scope, cluster *aurora.DBCluster, in *rds.CreateDBClusterInput) ([]state.Op, error) {
	spec := &cluster.Spec
	spec.DBSubnetGroupName = defaultSubnetGroup
	if in.DBSubnetGroupName != nil {
		spec.DBSubnetGroupName = lower(*in.DBSubnetGroupName)
	}
	group, err := s.subnetGroup(c, spec.DBSubnetGroupName)
	if err != nil {
		return nil, err
	}
	var checks []state.Op
	if item, ok := s.subnetGroups.Get(group.Key()); ok {
		checks = append(checks, subnetGroupTable(s.store).CheckOp(item.Key, item.Revision))
	}
	network, networkUnchanged, err := ec2.FindNetwork(ctx, s.store, c.account, c.region, group.VpcID)
	if err != nil && !errors.Is(err, ec2.ErrNoNetwork) {
		return nil, err
	}
	for _, id := range group.SubnetIDs {
		if _, ok := network.Subnet(id); !ok {
			return nil, awswire.BadRequestf("InvalidVPCNetworkStateFault", "The subnet %s of DB subnet group %s does not exist any more.", id, group.Name)
		}
	}
	checks = append(checks, networkUnchanged)
	spec.VpcID = group.VpcID
	zones, err := zonesFor(c, in.AvailabilityZones)
	if err != nil {
		return nil, err
	}
	spec.AvailabilityZones = zones
	parameters, parameterChecks, err := s.groupFor(c, clusterGroup, in.DBClusterParameterGroupName)
	if err != nil {
		return nil, err
	}
	spec.ParameterGroupName = parameters.Name
	groups, groupChecks, err := s.securityGroups(ctx, c, in.VpcSecurityGroupIds, group.VpcID)
	spec.VpcSecurityGroupIDs = groups
	return slices.Concat(checks, parameterChecks, groupChecks), err
}

func zonesFor(c scope, asked []string) ([]string, error) {
	var all []string
	for _, z := range ec2.Zones(c.region) {
		all = append(all, z.Name)
	}
	for _, z := range asked {
		if !slices.Contains(all, z) {
			return nil, awswire.BadRequestf("InvalidVPCNetworkStateFault", "Availability zone %s is not in this region.", z)
		}
	}
	return all, nil
}

// securityGroups checks security groups, the VPC's default one if none are
// given.
func (s *service) securityGroups(ctx context.Context, c scope, ids []string, vpc string) ([]string, []state.Op, error) {
	if err := ec2.EnsureDefaults(ctx, s.store, c.account, c.region); err != nil {
		return nil, nil, err
	}
	if len(ids) == 0 {
		n, _, err := ec2.FindNetwork(ctx, s.store, c.account, c.region, vpc)
		if err != nil {
			return nil, nil, err
		}
		ids = []string{n.DefaultSecurityGroupID}
	}
	table := state.SecurityGroups(s.store)
	var checks []state.Op
	for _, id := range ids {
		item, err := table.Get(ctx, id)
		if errors.Is(err, state.ErrNotFound) || (err == nil && (item.Value.Account != c.account || item.Value.Region != c.region)) {
			return nil, nil, awswire.InvalidParameterValue("Invalid security group , groupId= %s, groupName=.", id)
		}
		if err != nil {
			return nil, nil, err
		}
		if item.Value.VpcID != vpc {
			return nil, nil, awswire.BadRequestf("InvalidVPCNetworkStateFault", "The security group %s is not in the VPC of the DB subnet group.", id)
		}
		checks = append(checks, table.CheckOp(id, item.Revision))
	}
	return ids, checks, nil
}
