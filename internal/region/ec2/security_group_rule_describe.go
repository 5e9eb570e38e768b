package ec2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// groupRule is a rule with where it stands.
type groupRule struct {
	group     aurora.SecurityGroup
	rule      aurora.SecurityGroupRule
	direction direction
}

// DescribeSecurityGroupRules answers rules with their ids.
func (a *API) DescribeSecurityGroupRules(ctx context.Context, in *api.DescribeSecurityGroupRulesInput) (*api.DescribeSecurityGroupRulesOutput, error) {
	groups, err := a.groupsOf(ctx)
	if err != nil {
		return nil, err
	}
	var rules []groupRule
	for _, g := range groups {
		for _, d := range []direction{ingress, egress} {
			for _, rule := range *d.of(&g) {
				rules = append(rules, groupRule{g, rule, d})
			}
		}
	}
	for _, id := range in.SecurityGroupRuleIds {
		if !slices.ContainsFunc(rules, func(r groupRule) bool { return r.rule.RuleID == id }) {
			return nil, noRule(id)
		}
	}
	rules = slices.DeleteFunc(rules, func(r groupRule) bool {
		return len(in.SecurityGroupRuleIds) > 0 && !slices.Contains(in.SecurityGroupRuleIds, r.rule.RuleID)
	})
	rules, err = filtered(rules, in.Filters, func(r groupRule) attributes {
		return attributes{"group-id": {r.group.GroupID}, "security-group-rule-id": {r.rule.RuleID}}.tagged(r.rule.Tags)
	})
	if err != nil {
		return nil, err
	}
	page, next, err := awswire.Page(rules, in.NextToken, in.MaxResults, pages(), func(r groupRule) string { return r.rule.RuleID })
	if err != nil {
		return nil, err
	}
	out := &api.DescribeSecurityGroupRulesOutput{NextToken: next}
	for _, rule := range page {
		out.SecurityGroupRules = append(out.SecurityGroupRules, wireRule(rule))
	}
	return out, nil
}

func wireRule(r groupRule) types.SecurityGroupRule {
	wire := types.SecurityGroupRule{
		SecurityGroupRuleId: &r.rule.RuleID, GroupId: &r.group.GroupID, GroupOwnerId: &r.group.Account,
		SecurityGroupRuleArn: aws.String(arn(r.group.Account, r.group.Region, "security-group-rule/"+r.rule.RuleID)),
		IsEgress:             aws.Bool(bool(r.direction)),
		IpProtocol:           &r.rule.Protocol,
		FromPort:             aws.Int32(int32(r.rule.FromPort)),
		ToPort:               aws.Int32(int32(r.rule.ToPort)),
		Description:          optional(r.rule.Description),
		Tags:                 wireTags(r.rule.Tags),
	}
	switch {
	case r.rule.SourceGroupID != "":
		wire.ReferencedGroupInfo = &types.ReferencedSecurityGroup{
			GroupId: &r.rule.SourceGroupID, UserId: &r.group.Account, VpcId: &r.group.VpcID,
		}
	case r.rule.PrefixListID != "":
		wire.PrefixListId = &r.rule.PrefixListID
	case strings.Contains(r.rule.CIDR, ":"):
		wire.CidrIpv6 = &r.rule.CIDR
	default:
		wire.CidrIpv4 = &r.rule.CIDR
	}
	return wire
}

func revokedRule(r types.SecurityGroupRule) types.RevokedSecurityGroupRule {
	revoked := types.RevokedSecurityGroupRule{
		SecurityGroupRuleId: r.SecurityGroupRuleId, GroupId: r.GroupId, IsEgress: r.IsEgress, IpProtocol: r.IpProtocol,
		FromPort: r.FromPort, ToPort: r.ToPort, CidrIpv4: r.CidrIpv4, CidrIpv6: r.CidrIpv6, PrefixListId: r.PrefixListId,
		Description: r.Description,
	}
	if r.ReferencedGroupInfo != nil {
		revoked.ReferencedGroupId = r.ReferencedGroupInfo.GroupId
	}
	return revoked
}

// ruleText is how AWS writes a rule in an error.
func ruleText(r aurora.SecurityGroupRule) string {
	peer, protocol := r.CIDR+r.PrefixListID+r.SourceGroupID, strings.ToUpper(r.Protocol)
	if r.Protocol == "-1" {
		return fmt.Sprintf("peer: %s, ALL, ALLOW", peer)
	}
	return fmt.Sprintf("peer: %s, %s, from port: %d, to port: %d, ALLOW", peer, protocol, r.FromPort, r.ToPort)
}

func noRule(id string) error {
	return awswire.BadRequestf("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%.60s' does not exist", id)
}

// gone turns the error of an update of a group that was deleted meanwhile into
// AWS's.
func gone(err error, groupID string) error {
	if errors.Is(err, state.ErrNotFound) {
		return noGroup(groupID)
	}
	return err
}
