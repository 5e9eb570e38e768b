package rds

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/ec2"
	"github.com/daybreakdb/daybreak/internal/state"
)

// SubnetGroup is a DB subnet group.
type SubnetGroup = ec2.DBSubnetGroup

func subnetGroupTable(s *state.Store) state.Table[SubnetGroup] { return ec2.DBSubnetGroups(s) }

// defaultSubnetGroup is there without being stored: the subnets of the default
// VPC.
const defaultSubnetGroup = "default"

func subnetGroupNotFound(name string) error {
	return awswire.Errorf(404, "DBSubnetGroupNotFoundFault", "DB subnet group '%s' does not exist.", name)
}

func (s *service) subnetGroup(c scope, name string) (SubnetGroup, error) {
	name = strings.ToLower(name)
	if name == defaultSubnetGroup {
		n := ec2.DefaultNetwork(c.account, c.region)
		g := SubnetGroup{Account: c.account, Region: c.region, Name: name, Description: "default", VpcID: n.VpcID}
		for _, subnet := range n.Subnets {
			g.SubnetIDs = append(g.SubnetIDs, subnet.ID)
		}
		return g, nil
	}
	item, ok := s.subnetGroups.Get(SubnetGroup{Account: c.account, Region: c.region, Name: name}.Key())
	if !ok {
		return SubnetGroup{}, subnetGroupNotFound(name)
	}
	return item.Value, nil
}

func (s *service) updateSubnetGroup(ctx context.Context, key string, change func(*SubnetGroup) error) (SubnetGroup, error) {
	item, err := subnetGroupTable(s.store).Update(ctx, key, change)
	if err != nil {
		return item.Value, err
	}
	return item.Value, s.subnetGroups.WaitRevision(ctx, item.Revision)
}

var subnetGroupName = regexp.MustCompile(`^[a-z0-9._ -]{1,255}$`)

// placeSubnets refuses subnets that do not exist, are not in one VPC, or in one
// zone only. It sets where the others are, and returns the condition for that.
func (s *service) placeSubnets(ctx context.Context, g *SubnetGroup, ids []string) (state.Op, error) {
	if len(ids) == 0 {
		return state.Op{}, awswire.InvalidParameterValue("The parameter SubnetIds must be provided and must not be blank.")
	}
	n, unchanged, err := ec2.FindNetworkOfSubnet(ctx, s.store, g.Account, g.Region, ids[0])
	if err != nil && !errors.Is(err, ec2.ErrNoNetwork) {
		return state.Op{}, err
	}
	var zones []string
	for _, id := range ids {
		subnet, ok := n.Subnet(id)
		if !ok {
			return state.Op{}, awswire.BadRequestf("InvalidSubnet",
				"The requested subnet is invalid, or multiple subnets were requested that are not all in a common VPC: %s", id)
		}
		zones = append(zones, subnet.Zone.Name)
	}
	g.VpcID, g.SubnetIDs, g.Zones = n.VpcID, ids, zones
	if distinct := slices.Compact(slices.Sorted(slices.Values(zones))); len(distinct) < 2 {
		return state.Op{}, awswire.BadRequestf("DBSubnetGroupDoesNotCoverEnoughAZs",
			"The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage: %s. Add subnets to cover at least 2 AZs.", strings.Join(distinct, ", "))
	}
	return unchanged, nil
}

// CreateDBSubnetGroup makes a subnet group.
func (s *service) CreateDBSubnetGroup(ctx context.Context, in *rds.CreateDBSubnetGroupInput) (*rds.CreateDBSubnetGroupOutput, error) {
	c := scopeOf(ctx)
	name := strings.ToLower(aws.ToString(in.DBSubnetGroupName))
	if !subnetGroupName.MatchString(name) || name == defaultSubnetGroup {
		return nil, awswire.InvalidParameterValue("The parameter DBSubnetGroupName must be provided and must not be blank, must not be 'default', "+
			"and must contain only letters, digits, periods, underscores, spaces, or hyphens: %s", name)
	}
	tags, err := checkTags(in.Tags)
	if err != nil {
		return nil, err
	}
	g := SubnetGroup{Account: c.account, Region: c.region, Name: name, Description: aws.ToString(in.DBSubnetGroupDescription), Tags: tags}
	placed, err := s.placeSubnets(ctx, &g, in.SubnetIds)
	if err != nil {
		return nil, err
	}
	rev, err := subnetGroupTable(s.store).Create(ctx, g.Key(), g, placed)
	if errors.Is(err, state.ErrExists) {
		if _, err := subnetGroupTable(s.store).Get(ctx, g.Key()); errors.Is(err, state.ErrNotFound) {
			return s.CreateDBSubnetGroup(ctx, in) // the VPC changed
		}
		return nil, awswire.BadRequestf("DBSubnetGroupAlreadyExists", "The DB subnet group '%s' already exists.", name)
	}
	if err != nil {
		return nil, err
	}
	if err := s.subnetGroups.WaitRevision(ctx, rev); err != nil {
		return nil, err
	}
	return &rds.CreateDBSubnetGroupOutput{DBSubnetGroup: c.showSubnetGroup(g)}, nil
}

func (c scope) showSubnetGroup(g SubnetGroup) *types.DBSubnetGroup {
	out := &types.DBSubnetGroup{
		DBSubnetGroupArn: aws.String(c.arn("subgrp", g.Name)), DBSubnetGroupName: aws.String(g.Name),
		DBSubnetGroupDescription: aws.String(g.Description), VpcId: aws.String(g.VpcID),
		SubnetGroupStatus: aws.String("Complete"), SupportedNetworkTypes: []string{"IPV4"},
	}
	for i, zone := range g.Placed().Zones {
		out.Subnets = append(out.Subnets, types.Subnet{
			SubnetIdentifier: aws.String(g.SubnetIDs[i]), SubnetStatus: aws.String("Active"),
			SubnetAvailabilityZone: &types.AvailabilityZone{Name: aws.String(zone)},
		})
	}
	return out
}

// DescribeDBSubnetGroups answers one group, or all.
func (s *service) DescribeDBSubnetGroups(ctx context.Context, in *rds.DescribeDBSubnetGroupsInput) (*rds.DescribeDBSubnetGroupsOutput, error) {
	c := scopeOf(ctx)
	var groups []SubnetGroup
	if in.DBSubnetGroupName != nil {
		g, err := s.subnetGroup(c, *in.DBSubnetGroupName)
		if err != nil {
			return nil, err
		}
		groups = []SubnetGroup{g}
	} else {
		for _, item := range s.subnetGroups.All() {
			if item.Value.Account == c.account && item.Value.Region == c.region {
				groups = append(groups, item.Value)
			}
		}
	}
	page, marker, err := awswire.Page(groups, in.Marker, in.MaxRecords, awswire.RDSPages(), func(g SubnetGroup) string { return g.Name })
	if err != nil {
		return nil, err
	}
	out := &rds.DescribeDBSubnetGroupsOutput{Marker: marker}
	for _, g := range page {
		out.DBSubnetGroups = append(out.DBSubnetGroups, *c.showSubnetGroup(g))
	}
	return out, nil
}

// ModifyDBSubnetGroup changes the subnets or the description.
func (s *service) ModifyDBSubnetGroup(ctx context.Context, in *rds.ModifyDBSubnetGroupInput) (*rds.ModifyDBSubnetGroupOutput, error) {
	c := scopeOf(ctx)
	g, err := s.subnetGroup(c, aws.ToString(in.DBSubnetGroupName))
	if err != nil {
		return nil, err
	}
	if g.Name == defaultSubnetGroup {
		return nil, awswire.BadRequestf("InvalidDBSubnetGroupStateFault", "The default DB subnet group cannot be modified.")
	}
	vpc := g.VpcID
	if _, err := s.placeSubnets(ctx, &g, in.SubnetIds); err != nil {
		return nil, err
	}
	if g.VpcID != vpc {
		return nil, awswire.BadRequestf("InvalidSubnet", "The subnets of a DB subnet group stay in its VPC, %s.", vpc)
	}
	placed := g
	g, err = s.updateSubnetGroup(ctx, g.Key(), func(v *SubnetGroup) error {
		v.SubnetIDs, v.Zones = placed.SubnetIDs, placed.Zones
		if in.DBSubnetGroupDescription != nil {
			v.Description = *in.DBSubnetGroupDescription
		}
		return nil
	})
	if errors.Is(err, state.ErrNotFound) {
		return nil, subnetGroupNotFound(g.Name)
	}
	return &rds.ModifyDBSubnetGroupOutput{DBSubnetGroup: c.showSubnetGroup(g)}, err
}

// DeleteDBSubnetGroup removes a group that no cluster uses.
func (s *service) DeleteDBSubnetGroup(ctx context.Context, in *rds.DeleteDBSubnetGroupInput) (*rds.DeleteDBSubnetGroupOutput, error) {
	c := scopeOf(ctx)
	g, err := s.subnetGroup(c, aws.ToString(in.DBSubnetGroupName))
	if err != nil {
		return nil, err
	}
	table := subnetGroupTable(s.store)
	for {
		item, err := table.Get(ctx, g.Key())
		if errors.Is(err, state.ErrNotFound) {
			return nil, subnetGroupNotFound(g.Name)
		}
		if err != nil {
			return nil, err
		}
		clusters, revision, err := state.DBClusters(s.store).List(ctx, "")
		if err != nil {
			return nil, err
		}
		for _, cluster := range clusters {
			if c.has(&cluster.Value.Meta) && cluster.Value.Spec.DBSubnetGroupName == g.Name {
				return nil, awswire.BadRequestf("InvalidDBSubnetGroupStateFault",
					"Cannot delete the subnet group '%s' because at least one database instance: %s is still using it.", g.Name, cluster.Value.Spec.Identifier)
			}
		}
		rev, err := s.store.Commit(ctx, table.DeleteOp(g.Key(), item.Revision), state.DBClusters(s.store).UnchangedOp(revision))
		if errors.Is(err, state.ErrConflict) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("delete DB subnet group: %w", err)
		}
		return nil, s.subnetGroups.WaitRevision(ctx, rev)
	}
}
