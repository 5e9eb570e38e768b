package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// maxRules is AWS's default quota of rules of a group in one direction.
const maxRules = 60

// direction is ingress or egress.
type direction bool

const (
	ingress direction = false
	egress  direction = true
)

func (d direction) of(g *aurora.SecurityGroup) *[]aurora.SecurityGroupRule {
	if d == egress {
		return &g.Egress
	}
	return &g.Ingress
}

// permissionRequest is what Authorize and Revoke have in common, in both
// directions.
type permissionRequest struct {
	groupID, groupName *string
	permissions        []types.IpPermission
	ruleIDs            []string
	tags               []types.TagSpecification
}

// oldStyle is a permission given by members of the request itself.
func oldStyle(protocol, cidr, group *string, from, to *int32) []types.IpPermission {
	if protocol == nil && cidr == nil && group == nil {
		return nil
	}
	p := types.IpPermission{IpProtocol: protocol, FromPort: from, ToPort: to}
	if cidr != nil {
		p.IpRanges = []types.IpRange{{CidrIp: cidr}}
	}
	if group != nil {
		p.UserIdGroupPairs = []types.UserIdGroupPair{{GroupName: group}}
		if protocol == nil {
			p.IpProtocol = aws.String("-1")
		}
	}
	return []types.IpPermission{p}
}

// AuthorizeSecurityGroupIngress lets addresses in.
func (a *API) AuthorizeSecurityGroupIngress(ctx context.Context, in *api.AuthorizeSecurityGroupIngressInput) (*api.AuthorizeSecurityGroupIngressOutput, error) {
	old := oldStyle(in.IpProtocol, in.CidrIp, in.SourceSecurityGroupName, in.FromPort, in.ToPort)
	rules, err := a.authorize(ctx, ingress, permissionRequest{
		groupID: in.GroupId, groupName: in.GroupName, permissions: slices.Concat(in.IpPermissions, old), tags: in.TagSpecifications,
	})
	return &api.AuthorizeSecurityGroupIngressOutput{Return: aws.Bool(true), SecurityGroupRules: rules}, err
}

// AuthorizeSecurityGroupEgress lets traffic out.
func (a *API) AuthorizeSecurityGroupEgress(ctx context.Context, in *api.AuthorizeSecurityGroupEgressInput) (*api.AuthorizeSecurityGroupEgressOutput, error) {
	old := oldStyle(in.IpProtocol, in.CidrIp, in.SourceSecurityGroupName, in.FromPort, in.ToPort)
	rules, err := a.authorize(ctx, egress, permissionRequest{
		groupID: in.GroupId, permissions: slices.Concat(in.IpPermissions, old), tags: in.TagSpecifications,
	})
	return &api.AuthorizeSecurityGroupEgressOutput{Return: aws.Bool(true), SecurityGroupRules: rules}, err
}

func (a *API) authorize(ctx context.Context, d direction, r permissionRequest) ([]types.SecurityGroupRule, error) {
	item, err := a.group(ctx, r.groupID, r.groupName)
	if err != nil {
		return nil, err
	}
	rules, err := a.requestedRules(ctx, item.Value.VpcID, r)
	if err != nil {
		return nil, err
	}
	tags, err := specifiedTags(r.tags, "security-group-rule")
	if err != nil {
		return nil, err
	}
	for i := range rules {
		rules[i].RuleID, rules[i].Tags = newID("sgr"), tags
	}
	item, err = a.groups.Update(ctx, item.Key, func(g *aurora.SecurityGroup) error {
		return addRules(d.of(g), rules)
	})
	if err != nil {
		return nil, gone(err, item.Key)
	}
	added := make([]types.SecurityGroupRule, len(rules))
	for i, rule := range rules {
		added[i] = wireRule(groupRule{item.Value, rule, d})
	}
	return added, nil
}

func addRules(to *[]aurora.SecurityGroupRule, rules []aurora.SecurityGroupRule) error {
	for _, rule := range rules {
		if slices.ContainsFunc(*to, func(r aurora.SecurityGroupRule) bool { return sameRule(r, rule) }) {
			return awswire.BadRequestf("InvalidPermission.Duplicate", "the specified rule %q already exists", ruleText(rule))
		}
		*to = append(*to, rule)
	}
	if len(*to) > maxRules {
		return awswire.BadRequestf("RulesPerSecurityGroupLimitExceeded",
			"The maximum number of rules per security group has been reached.")
	}
	return nil
}

// requestedRules are the rules that permissions describe, with groups that exist.
func (a *API) requestedRules(ctx context.Context, vpc string, r permissionRequest) ([]aurora.SecurityGroupRule, error) {
	rules, err := rulesOf(r.permissions)
	if err != nil {
		return nil, err
	}
	if len(rules) == 0 {
		return nil, awswire.BadRequestf("MissingParameter", "The request must contain the parameter ipPermissions")
	}
	for i, rule := range rules {
		if rule.SourceGroupID == "" {
			continue
		}
		id, name := &rule.SourceGroupID, (*string)(nil)
		if !strings.HasPrefix(rule.SourceGroupID, "sg-") {
			id, name = nil, id
		}
		source, err := a.group(ctx, id, name)
		if err != nil {
			return nil, err
		}
		if source.Value.VpcID != vpc {
			return nil, awswire.BadRequestf("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
		}
		rules[i].SourceGroupID = source.Key
	}
	return rules, nil
}

// RevokeSecurityGroupIngress takes permissions back.
func (a *API) RevokeSecurityGroupIngress(ctx context.Context, in *api.RevokeSecurityGroupIngressInput) (*api.RevokeSecurityGroupIngressOutput, error) {
	old := oldStyle(in.IpProtocol, in.CidrIp, in.SourceSecurityGroupName, in.FromPort, in.ToPort)
	revoked, err := a.revoke(ctx, ingress, permissionRequest{
		groupID: in.GroupId, groupName: in.GroupName, permissions: slices.Concat(in.IpPermissions, old), ruleIDs: in.SecurityGroupRuleIds,
	})
	return &api.RevokeSecurityGroupIngressOutput{Return: aws.Bool(true), RevokedSecurityGroupRules: revoked}, err
}

// RevokeSecurityGroupEgress takes permissions back.
func (a *API) RevokeSecurityGroupEgress(ctx context.Context, in *api.RevokeSecurityGroupEgressInput) (*api.RevokeSecurityGroupEgressOutput, error) {
	old := oldStyle(in.IpProtocol, in.CidrIp, in.SourceSecurityGroupName, in.FromPort, in.ToPort)
	revoked, err := a.revoke(ctx, egress, permissionRequest{
		groupID: in.GroupId, permissions: slices.Concat(in.IpPermissions, old), ruleIDs: in.SecurityGroupRuleIds,
	})
	return &api.RevokeSecurityGroupEgressOutput{Return: aws.Bool(true), RevokedSecurityGroupRules: revoked}, err
}

func (a *API) revoke(ctx context.Context, d direction, r permissionRequest) ([]types.RevokedSecurityGroupRule, error) {
	item, err := a.group(ctx, r.groupID, r.groupName)
	if err != nil {
		return nil, err
	}
	var rules []aurora.SecurityGroupRule
	if len(r.ruleIDs) == 0 {
		if rules, err = a.requestedRules(ctx, item.Value.VpcID, r); err != nil {
			return nil, err
		}
	}
	var removed []aurora.SecurityGroupRule
	_, err = a.groups.Update(ctx, item.Key, func(g *aurora.SecurityGroup) (err error) {
		removed, err = removeRules(d.of(g), rules, r.ruleIDs)
		return err
	})
	if err != nil {
		return nil, gone(err, item.Key)
	}
	revoked := make([]types.RevokedSecurityGroupRule, len(removed))
	for i, rule := range removed {
		revoked[i] = revokedRule(wireRule(groupRule{item.Value, rule, d}))
	}
	return revoked, nil
}

// removeRules removes the rules that are equal to one of some, or have one of
// some ids; each must be there.
func removeRules(from *[]aurora.SecurityGroupRule, rules []aurora.SecurityGroupRule, ids []string) ([]aurora.SecurityGroupRule, error) {
	var removed []aurora.SecurityGroupRule
	remove := func(is func(aurora.SecurityGroupRule) bool, missing error) error {
		i := slices.IndexFunc(*from, is)
		if i < 0 {
			return missing
		}
		removed = append(removed, (*from)[i])
		*from = slices.Delete(*from, i, i+1)
		return nil
	}
	for _, rule := range rules {
		if err := remove(func(r aurora.SecurityGroupRule) bool { return sameRule(r, rule) }, awswire.BadRequestf(
			"InvalidPermission.NotFound", "The specified rule does not exist in this security group.")); err != nil {
			return nil, err
		}
	}
	for _, id := range ids {
		if err := remove(func(r aurora.SecurityGroupRule) bool { return r.RuleID == id }, noRule(id)); err != nil {
			return nil, err
		}
	}
	return removed, nil
}

// ModifySecurityGroupRules replaces rules and keeps their ids and tags.
func (a *API) ModifySecurityGroupRules(ctx context.Context, in *api.ModifySecurityGroupRulesInput) (*api.ModifySecurityGroupRulesOutput, error) {
	item, err := a.group(ctx, in.GroupId, nil)
	if err != nil {
		return nil, err
	}
	changed := map[string]aurora.SecurityGroupRule{}
	for _, update := range in.SecurityGroupRules {
		if update.SecurityGroupRule == nil {
			return nil, awswire.BadRequestf("MissingParameter", "The request must contain the parameter SecurityGroupRule")
		}
		rules, err := a.requestedRules(ctx, item.Value.VpcID, permissionRequest{permissions: []types.IpPermission{ruleRequest(*update.SecurityGroupRule)}})
		if err != nil {
			return nil, err
		}
		if len(rules) != 1 {
			return nil, awswire.InvalidParameterCombination("A security group rule has exactly one source.")
		}
		changed[aws.ToString(update.SecurityGroupRuleId)] = rules[0]
	}
	_, err = a.groups.Update(ctx, item.Key, func(g *aurora.SecurityGroup) error { return replaceRules(g, changed) })
	return &api.ModifySecurityGroupRulesOutput{Return: aws.Bool(true)}, gone(err, item.Key)
}

func replaceRules(g *aurora.SecurityGroup, changed map[string]aurora.SecurityGroupRule) error {
	for id, rule := range changed {
		found := false
		for _, rules := range [][]aurora.SecurityGroupRule{g.Ingress, g.Egress} {
			i := slices.IndexFunc(rules, func(r aurora.SecurityGroupRule) bool { return r.RuleID == id })
			if i < 0 {
				continue
			}
			if j := slices.IndexFunc(rules, func(r aurora.SecurityGroupRule) bool { return sameRule(r, rule) }); j >= 0 && j != i {
				return awswire.BadRequestf("InvalidPermission.Duplicate", "the specified rule %q already exists", ruleText(rule))
			}
			rule.RuleID, rule.Tags, found = id, rules[i].Tags, true
			rules[i] = rule
		}
		if !found {
			return noRule(id)
		}
	}
	return nil
}

func ruleRequest(r types.SecurityGroupRuleRequest) types.IpPermission {
	p := types.IpPermission{IpProtocol: r.IpProtocol, FromPort: r.FromPort, ToPort: r.ToPort}
	if r.CidrIpv4 != nil {
		p.IpRanges = []types.IpRange{{CidrIp: r.CidrIpv4, Description: r.Description}}
	}
	if r.CidrIpv6 != nil {
		p.Ipv6Ranges = []types.Ipv6Range{{CidrIpv6: r.CidrIpv6, Description: r.Description}}
	}
	if r.PrefixListId != nil {
		p.PrefixListIds = []types.PrefixListId{{PrefixListId: r.PrefixListId, Description: r.Description}}
	}
	if r.ReferencedGroupId != nil {
		p.UserIdGroupPairs = []types.UserIdGroupPair{{GroupId: r.ReferencedGroupId, Description: r.Description}}
	}
	return p
}
