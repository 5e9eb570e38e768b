package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

// protocol is the form in which EC2 gives a protocol back.
func protocol(p string) string {
	switch p = strings.ToLower(p); p {
	case "all":
		return "-1"
	case "6":
		return "tcp"
	case "17":
		return "udp"
	case "1":
		return "icmp"
	case "58":
		return "icmpv6"
	}
	return p
}

// A permission is one source or destination of a rule. A rule of the configuration is any number of them
// with the same protocol, ports and description; EC2 groups them in its own way.
type permission struct {
	protocol    string
	from, to    int32
	description string
	kind, value string
}

const (
	kindCIDR   = "cidr_blocks"
	kindCIDR6  = "ipv6_cidr_blocks"
	kindPrefix = "prefix_list_ids"
	kindGroup  = "security_groups"
	kindSelf   = "self"
)

var kinds = [...]string{kindCIDR, kindCIDR6, kindPrefix, kindGroup}

// permissionsOf splits a rule of the configuration.
func permissionsOf(rule plugin.Object) []permission {
	p := permission{
		protocol: protocol(rule.String("protocol")), from: rule.Int("from_port"), to: rule.Int("to_port"), description: rule.String("description"),
	}
	var out []permission
	for _, p.kind = range kinds {
		for _, p.value = range rule.Strings(p.kind) {
			out = append(out, p)
		}
	}
	if rule.Bool("self") {
		p.kind, p.value = kindSelf, ""
		out = append(out, p)
	}
	return out
}

// permissionsIn splits what EC2 tells about a group.
func permissionsIn(g *types.SecurityGroup, all []types.IpPermission) []permission {
	var out []permission
	for _, ip := range all {
		base := permission{protocol: aws.ToString(ip.IpProtocol), from: aws.ToInt32(ip.FromPort), to: aws.ToInt32(ip.ToPort)}
		add := func(kind string, value, description *string) {
			p := base
			p.kind, p.value, p.description = kind, aws.ToString(value), aws.ToString(description)
			out = append(out, p)
		}
		for _, r := range ip.IpRanges {
			add(kindCIDR, r.CidrIp, r.Description)
		}
		for _, r := range ip.Ipv6Ranges {
			add(kindCIDR6, r.CidrIpv6, r.Description)
		}
		for _, r := range ip.PrefixListIds {
			add(kindPrefix, r.PrefixListId, r.Description)
		}
		for _, r := range ip.UserIdGroupPairs {
			switch owner := aws.ToString(r.UserId); {
			case aws.ToString(r.GroupId) == aws.ToString(g.GroupId):
				add(kindSelf, nil, r.Description)
			case owner != "" && owner != aws.ToString(g.OwnerId):
				add(kindGroup, aws.String(owner+"/"+aws.ToString(r.GroupId)), r.Description)
			default:
				add(kindGroup, r.GroupId, r.Description)
			}
		}
	}
	return out
}

// readRules puts what is there into rules. It keeps the rules that were known as they are, since only they
// tell how the configuration groups its permissions.
func readRules(g *types.SecurityGroup, all []types.IpPermission, knownRules []plugin.Object) []any {
	there := permissionsIn(g, all)
	rules := []any{}
	for _, rule := range knownRules {
		wanted := permissionsOf(rule)
		missing := slices.ContainsFunc(wanted, func(p permission) bool { return !slices.Contains(there, p) })
		if missing || len(wanted) == 0 {
			continue
		}
		there = slices.DeleteFunc(there, func(p permission) bool { return slices.Contains(wanted, p) })
		rules = append(rules, rule)
	}
	return append(rules, group(there)...)
}

// group makes one rule of the permissions that differ in their source only.
func group(permissions []permission) []any {
	rules := []any{}
	made := map[permission]plugin.Object{}
	for _, p := range permissions {
		key := permission{protocol: p.protocol, from: p.from, to: p.to, description: p.description}
		rule := made[key]
		if rule == nil {
			rule = plugin.Object{"protocol": p.protocol, "from_port": float64(p.from), "to_port": float64(p.to), "description": p.description, "self": false}
			for _, kind := range kinds {
				rule[kind] = []any{}
			}
			made[key] = rule
			rules = append(rules, rule)
		}
		if p.kind == kindSelf {
			rule["self"] = true
		} else {
			rule[p.kind] = append(rule[p.kind].([]any), p.value)
		}
	}
	return rules
}

// toEC2 says one permission in EC2's words.
func (p permission) toEC2(groupID string) types.IpPermission {
	ip := types.IpPermission{IpProtocol: aws.String(p.protocol), FromPort: aws.Int32(p.from), ToPort: aws.Int32(p.to)}
	var description *string
	if p.description != "" {
		description = aws.String(p.description)
	}
	switch p.kind {
	case kindCIDR:
		ip.IpRanges = []types.IpRange{{CidrIp: aws.String(p.value), Description: description}}
	case kindCIDR6:
		ip.Ipv6Ranges = []types.Ipv6Range{{CidrIpv6: aws.String(p.value), Description: description}}
	case kindPrefix:
		ip.PrefixListIds = []types.PrefixListId{{PrefixListId: aws.String(p.value), Description: description}}
	case kindSelf:
		ip.UserIdGroupPairs = []types.UserIdGroupPair{{GroupId: aws.String(groupID), Description: description}}
	case kindGroup:
		pair := types.UserIdGroupPair{GroupId: aws.String(p.value), Description: description}
		if owner, id, ok := strings.Cut(p.value, "/"); ok {
			pair.UserId, pair.GroupId = aws.String(owner), aws.String(id)
		}
		ip.UserIdGroupPairs = []types.UserIdGroupPair{pair}
	}
	return ip
}

// changeRules revokes what is no longer wanted, and then authorizes what is new.
func (c *client) changeRules(ctx context.Context, id string, prior, state plugin.Object) error {
	for _, direction := range []string{"ingress", "egress"} {
		was, wanted := splitRules(prior, direction), splitRules(state, direction)
		revoked := toEC2(id, without(was, wanted))
		added := toEC2(id, without(wanted, was))
		var err error
		if len(revoked) > 0 && direction == "ingress" {
			_, err = c.ec2.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: &id, IpPermissions: revoked})
		} else if len(revoked) > 0 {
			_, err = c.ec2.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: &id, IpPermissions: revoked})
		}
		if err != nil && !failed(err, "InvalidPermission.NotFound") {
			return fmt.Errorf("updating Security Group (%s) %s rules: revoking: %w", id, direction, err)
		}
		err = nil
		if len(added) > 0 && direction == "ingress" {
			_, err = c.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &id, IpPermissions: added})
		} else if len(added) > 0 {
			_, err = c.ec2.AuthorizeSecurityGroupEgress(ctx, &ec2.AuthorizeSecurityGroupEgressInput{GroupId: &id, IpPermissions: added})
		}
		if err != nil && !failed(err, "InvalidPermission.Duplicate") {
			return fmt.Errorf("updating Security Group (%s) %s rules: authorizing: %w", id, direction, err)
		}
	}
	return nil
}

func splitRules(o plugin.Object, direction string) []permission {
	var out []permission
	for _, rule := range o.Objects(direction) {
		out = append(out, permissionsOf(rule)...)
	}
	return out
}

func without(all, gone []permission) []permission {
	return slices.DeleteFunc(slices.Clone(all), func(p permission) bool { return slices.Contains(gone, p) })
}

func toEC2(id string, permissions []permission) []types.IpPermission {
	out := make([]types.IpPermission, 0, len(permissions))
	for _, p := range permissions {
		out = append(out, p.toEC2(id))
	}
	return out
}
