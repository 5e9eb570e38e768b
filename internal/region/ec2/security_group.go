package ec2

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// CreateSecurityGroup makes a group that lets everything out and nothing in.
func (a *API) CreateSecurityGroup(ctx context.Context, in *api.CreateSecurityGroupInput) (*api.CreateSecurityGroupOutput, error) {
	vpc := aws.ToString(in.VpcId)
	if vpc == "" {
		vpc = network(ctx).VpcID
	}
	found, err := a.networkWith(ctx, withVPC(vpc), noVPC(vpc))
	if err != nil {
		return nil, err
	}
	n := found.Value
	group := aurora.SecurityGroup{
		GroupID: newID("sg"), Account: n.Account, Region: n.Region, VpcID: n.VpcID,
		Name: aws.ToString(in.GroupName), Description: aws.ToString(in.Description),
		Egress: []aurora.SecurityGroupRule{everywhere(newID("sgr"))},
	}
	if err := checkGroupName(group.Name, group.Description); err != nil {
		return nil, err
	}
	if group.Tags, err = specifiedTags(in.TagSpecifications, "security-group"); err != nil {
		return nil, err
	}
	if err := EnsureDefaults(ctx, a.store, n.Account, n.Region); err != nil {
		return nil, err
	}
	_, err = a.groups.Create(ctx, group.GroupID, group, groupName(group).Claim(group.GroupID), a.vpcs.CheckOp(found.Key, found.Revision))
	if errors.Is(err, state.ErrExists) {
		if _, lookup := a.store.Lookup(ctx, groupName(group)); errors.Is(lookup, state.ErrNotFound) {
			return a.CreateSecurityGroup(ctx, in) // the VPC changed
		}
	}
	if errors.Is(err, state.ErrExists) {
		return nil, awswire.BadRequestf("InvalidGroup.Duplicate",
			"The security group '%s' already exists for VPC '%s'", group.Name, group.VpcID)
	}
	if err != nil {
		return nil, err
	}
	return &api.CreateSecurityGroupOutput{
		GroupId: &group.GroupID, SecurityGroupArn: groupARN(group), Tags: wireTags(group.Tags),
	}, nil
}

func checkGroupName(name, description string) error {
	allowed := regexp.MustCompile(`^[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}$`)
	for _, p := range []struct{ parameter, value string }{{"GroupName", name}, {"GroupDescription", description}} {
		if !allowed.MatchString(p.value) {
			return awswire.InvalidParameterValue("Value (%.255s) for parameter %s is invalid. "+
				"It must have 1 to 255 characters: a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*", p.value, p.parameter)
		}
	}
	if strings.HasPrefix(strings.ToLower(name), "sg-") {
		return awswire.InvalidParameterValue(
			"Value (%s) for parameter GroupName is invalid. Group names may not be in the format sg-*.", name)
	}
	if strings.EqualFold(name, "default") {
		return awswire.InvalidParameterValue("Cannot use reserved security group name: %s", name)
	}
	return nil
}

// DeleteSecurityGroup removes a group that nothing refers to.
func (a *API) DeleteSecurityGroup(ctx context.Context, in *api.DeleteSecurityGroupInput) (*api.DeleteSecurityGroupOutput, error) {
	item, err := a.group(ctx, in.GroupId, in.GroupName)
	if err != nil {
		return nil, err
	}
	group := item.Value
	if group.Name == "default" {
		return nil, awswire.BadRequestf("CannotDelete",
			`the specified group: "%s" name: "default" cannot be deleted by a user`, group.GroupID)
	}
	unused, err := a.unused(ctx, group)
	if err != nil {
		return nil, err
	}
	_, err = a.store.Commit(ctx, append(unused, a.groups.DeleteOp(group.GroupID, item.Revision), groupName(group).Release(group.GroupID))...)
	if errors.Is(err, state.ErrConflict) {
		return a.DeleteSecurityGroup(ctx, in)
	}
	return &api.DeleteSecurityGroupOutput{Return: aws.Bool(true), GroupId: &group.GroupID}, err
}

// unused refuses a group that a DB cluster or a rule of another group refers to.
// Otherwise it returns the conditions under which that is still so.
func (a *API) unused(ctx context.Context, group aurora.SecurityGroup) ([]state.Op, error) {
	used := awswire.BadRequestf("DependencyViolation", "resource %s has a dependent object", group.GroupID)
	clusters, clustersAt, err := a.clusters.List(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, c := range clusters {
		if slices.Contains(c.Value.Spec.VpcSecurityGroupIDs, group.GroupID) {
			return nil, used
		}
	}
	groups, groupsAt, err := a.groups.List(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		for _, rule := range slices.Concat(g.Value.Ingress, g.Value.Egress) {
			if rule.SourceGroupID == group.GroupID && g.Key != group.GroupID {
				return nil, used
			}
		}
	}
	return []state.Op{a.clusters.UnchangedOp(clustersAt), a.groups.UnchangedOp(groupsAt)}, nil
}

// DescribeSecurityGroups answers the groups of the caller's account and region.
func (a *API) DescribeSecurityGroups(ctx context.Context, in *api.DescribeSecurityGroupsInput) (*api.DescribeSecurityGroupsOutput, error) {
	all, err := a.groupsOf(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range in.GroupIds {
		if err := checkID("sg", id, "InvalidGroupId.Malformed"); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(all, func(g aurora.SecurityGroup) bool { return g.GroupID == id }) {
			return nil, noGroup(id)
		}
	}
	for _, name := range in.GroupNames {
		if !slices.ContainsFunc(all, func(g aurora.SecurityGroup) bool { return g.Name == name }) {
			return nil, noGroupName(name, network(ctx).VpcID)
		}
	}
	all = slices.DeleteFunc(all, func(g aurora.SecurityGroup) bool {
		return len(in.GroupIds)+len(in.GroupNames) > 0 && !slices.Contains(in.GroupIds, g.GroupID) && !slices.Contains(in.GroupNames, g.Name)
	})
	if all, err = filtered(all, in.Filters, groupAttributes); err != nil {
		return nil, err
	}
	page, next, err := awswire.Page(all, in.NextToken, in.MaxResults, pages(), func(g aurora.SecurityGroup) string { return g.GroupID })
	if err != nil {
		return nil, err
	}
	out := &api.DescribeSecurityGroupsOutput{NextToken: next}
	for _, g := range page {
		out.SecurityGroups = append(out.SecurityGroups, wireGroup(g))
	}
	return out, nil
}

func groupAttributes(g aurora.SecurityGroup) attributes {
	a := attributes{
		"description": {g.Description}, "group-id": {g.GroupID}, "group-name": {g.Name},
		"owner-id": {g.Account}, "vpc-id": {g.VpcID},
	}
	ruleAttributes(a, "ip-permission.", g.Ingress)
	ruleAttributes(a, "egress.ip-permission.", g.Egress)
	return a.tagged(g.Tags)
}

// groupsOf are all groups of the caller's account and region.
func (a *API) groupsOf(ctx context.Context) ([]aurora.SecurityGroup, error) {
	id := awswire.IdentityFrom(ctx)
	if err := EnsureDefaults(ctx, a.store, id.Account, id.Region); err != nil {
		return nil, err
	}
	items, _, err := a.groups.List(ctx, "")
	if err != nil {
		return nil, err
	}
	var groups []aurora.SecurityGroup
	for _, item := range items {
		if item.Value.Account == id.Account && item.Value.Region == id.Region {
			groups = append(groups, item.Value)
		}
	}
	return groups, nil
}

// group finds the caller's group by id or, in the default VPC, by name.
func (a *API) group(ctx context.Context, groupID, name *string) (state.Item[aurora.SecurityGroup], error) {
	var none state.Item[aurora.SecurityGroup]
	n := network(ctx)
	if err := EnsureDefaults(ctx, a.store, n.Account, n.Region); err != nil {
		return none, err
	}
	id := aws.ToString(groupID)
	switch {
	case id != "":
		if err := checkID("sg", id, "InvalidGroupId.Malformed"); err != nil {
			return none, err
		}
	case aws.ToString(name) == "":
		return none, awswire.BadRequestf("MissingParameter", "The request must contain the parameter groupName or groupId")
	default:
		var err error
		id, err = a.store.Lookup(ctx, groupName(aurora.SecurityGroup{Account: n.Account, Region: n.Region, VpcID: n.VpcID, Name: *name}))
		if errors.Is(err, state.ErrNotFound) {
			return none, noGroupName(*name, n.VpcID)
		}
		if err != nil {
			return none, err
		}
	}
	item, err := a.groups.Get(ctx, id)
	if errors.Is(err, state.ErrNotFound) || err == nil && (item.Value.Account != n.Account || item.Value.Region != n.Region) {
		return none, noGroup(id)
	}
	return item, err
}

func noGroup(id string) error {
	return awswire.BadRequestf("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
}

func noGroupName(name, vpc string) error {
	return awswire.BadRequestf("InvalidGroup.NotFound", "The security group '%.255s' does not exist in default VPC '%s'", name, vpc)
}

func noVPC(id string) error {
	return awswire.BadRequestf("InvalidVpcID.NotFound", "The vpc ID '%.60s' does not exist", id)
}

func wireGroup(g aurora.SecurityGroup) types.SecurityGroup {
	return types.SecurityGroup{
		GroupId: &g.GroupID, GroupName: &g.Name, Description: &g.Description, OwnerId: &g.Account, VpcId: &g.VpcID,
		SecurityGroupArn: groupARN(g), Tags: wireTags(g.Tags),
		IpPermissions: wirePermissions(g.Account, g.Ingress), IpPermissionsEgress: wirePermissions(g.Account, g.Egress),
	}
}

func groupARN(g aurora.SecurityGroup) *string {
	return aws.String(arn(g.Account, g.Region, "security-group/"+g.GroupID))
}

// newID is a random id of AWS's shape.
func newID(kind string) string {
	var b [9]byte
	_, _ = rand.Read(b[:]) // never fails
	return kind + "-" + hex.EncodeToString(b[:])[:17]
}
