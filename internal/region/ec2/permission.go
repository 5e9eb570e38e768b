package ec2

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// rulesOf takes permissions apart into rules with one source each. The groups
// that they name are still to be checked.
func rulesOf(permissions []types.IpPermission) ([]aurora.SecurityGroupRule, error) {
	var rules []aurora.SecurityGroupRule
	for _, p := range permissions {
		base, err := portRange(aws.ToString(p.IpProtocol), p.FromPort, p.ToPort)
		if err != nil {
			return nil, err
		}
		sources, err := sourcesOf(p)
		if err != nil {
			return nil, err
		}
		for _, source := range sources {
			rule := base
			rule.CIDR, rule.PrefixListID, rule.SourceGroupID = source.CIDR, source.PrefixListID, source.SourceGroupID
			rule.Description = source.Description
			if slices.ContainsFunc(rules, func(r aurora.SecurityGroupRule) bool { return sameRule(r, rule) }) {
				return nil, awswire.InvalidParameterValue("The same permission must not appear multiple times")
			}
			rules = append(rules, rule)
		}
	}
	return rules, nil
}

// sourcesOf are the sources of a permission, in rules without protocol.
func sourcesOf(p types.IpPermission) ([]aurora.SecurityGroupRule, error) {
	var sources []aurora.SecurityGroupRule
	add := func(source aurora.SecurityGroupRule, description *string) error {
		source.Description = aws.ToString(description)
		if err := checkRuleDescription(source.Description); err != nil {
			return err
		}
		sources = append(sources, source)
		return nil
	}
	for _, r := range p.IpRanges {
		cidr, err := canonicalCIDR(aws.ToString(r.CidrIp), netip.Addr.Is4)
		if err != nil {
			return nil, err
		}
		if err := add(aurora.SecurityGroupRule{CIDR: cidr}, r.Description); err != nil {
			return nil, err
		}
	}
	for _, r := range p.Ipv6Ranges {
		cidr, err := canonicalCIDR(aws.ToString(r.CidrIpv6), netip.Addr.Is6)
		if err != nil {
			return nil, err
		}
		if err := add(aurora.SecurityGroupRule{CIDR: cidr}, r.Description); err != nil {
			return nil, err
		}
	}
	for _, r := range p.PrefixListIds { // there are none in this region
		return nil, noPrefixList(aws.ToString(r.PrefixListId))
	}
	for _, r := range p.UserIdGroupPairs {
		source := cmp.Or(aws.ToString(r.GroupId), aws.ToString(r.GroupName))
		if err := add(aurora.SecurityGroupRule{SourceGroupID: source}, r.Description); err != nil {
			return nil, err
		}
	}
	if len(sources) == 0 {
		return nil, awswire.BadRequestf("MissingParameter",
			"Missing source specification: include source security group or CIDR information")
	}
	return sources, nil
}

func noPrefixList(id string) error {
	return awswire.BadRequestf("InvalidPrefixListID.NotFound", "The prefix list ID '%.60s' does not exist", id)
}

func checkRuleDescription(text string) error {
	const allowed = " ._-:/()#,@[]+=&;{}!$*"
	for _, r := range text {
		if r > 126 || !strings.ContainsRune(allowed, r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return awswire.InvalidParameterValue("Invalid rule description. Valid descriptions are strings less than 256 characters " +
				"from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
		}
	}
	if len(text) > 255 {
		return awswire.InvalidParameterValue("Invalid rule description. It has more than 255 characters.")
	}
	return nil
}

// canonicalCIDR clears the bits of the host, as AWS does.
func canonicalCIDR(text string, family func(netip.Addr) bool) (string, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil || !family(prefix.Addr()) || prefix.Addr().Is4In6() {
		return "", awswire.InvalidParameterValue("CIDR block %.60s is malformed", text)
	}
	return prefix.Masked().String(), nil
}

// portRange is a rule with protocol and ports and nothing else.
func portRange(protocol string, from, to *int32) (aurora.SecurityGroupRule, error) {
	var none aurora.SecurityGroupRule
	name, err := protocolName(protocol)
	if err != nil {
		return none, err
	}
	rule := aurora.SecurityGroupRule{Protocol: name, FromPort: -1, ToPort: -1}
	switch name {
	case "tcp", "udp":
		if from == nil || to == nil {
			return none, awswire.InvalidParameterValue("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
		}
		if *from == -1 && *to == -1 {
			break
		}
		for _, port := range []int32{*from, *to} {
			if port < 0 || port > 65535 {
				return none, awswire.InvalidParameterValue("TCP/UDP port (%d) out of range", port)
			}
		}
		if *from > *to {
			return none, awswire.InvalidParameterValue("Invalid TCP/UDP port range (%d:%d)", *from, *to)
		}
		rule.FromPort, rule.ToPort = int(*from), int(*to)
	case "icmp", "icmpv6":
		for _, value := range []*int32{from, to} {
			if value != nil && (*value < -1 || *value > 255) {
				return none, awswire.InvalidParameterValue("ICMP code (%d) out of range", *value)
			}
		}
		if from != nil && to != nil {
			rule.FromPort, rule.ToPort = int(*from), int(*to)
		}
	}
	return rule, nil
}

func protocolName(protocol string) (string, error) {
	switch name := strings.ToLower(protocol); name {
	case "":
		return "", awswire.BadRequestf("MissingParameter", "The request must contain the parameter ipProtocol")
	case "tcp", "udp", "icmp", "icmpv6", "-1":
		return name, nil
	case "all":
		return "-1", nil
	case "1", "6", "17", "58":
		return map[string]string{"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6"}[name], nil
	}
	if n, err := strconv.Atoi(protocol); err != nil || n < 0 || n > 255 {
		return "", awswire.InvalidParameterValue("Invalid value '%.40s' for IP protocol. Unknown protocol.", protocol)
	}
	return protocol, nil
}

// sameRule is true if two rules permit the same, whatever they are called.
func sameRule(a, b aurora.SecurityGroupRule) bool {
	return a.Protocol == b.Protocol && a.FromPort == b.FromPort && a.ToPort == b.ToPort &&
		a.CIDR == b.CIDR && a.PrefixListID == b.PrefixListID && a.SourceGroupID == b.SourceGroupID
}

// wirePermissions puts rules with the same protocol and ports together.
func wirePermissions(account string, rules []aurora.SecurityGroupRule) []types.IpPermission {
	rules = slices.Clone(rules)
	slices.SortStableFunc(rules, func(a, b aurora.SecurityGroupRule) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.FromPort, b.FromPort), cmp.Compare(a.ToPort, b.ToPort),
			cmp.Compare(a.CIDR, b.CIDR), cmp.Compare(a.SourceGroupID, b.SourceGroupID))
	})
	permissions := []types.IpPermission{}
	for i, r := range rules {
		if i == 0 || r.Protocol != rules[i-1].Protocol || r.FromPort != rules[i-1].FromPort || r.ToPort != rules[i-1].ToPort {
			p := types.IpPermission{IpProtocol: &r.Protocol,
				IpRanges: []types.IpRange{}, Ipv6Ranges: []types.Ipv6Range{}, PrefixListIds: []types.PrefixListId{}, UserIdGroupPairs: []types.UserIdGroupPair{}}
			if r.Protocol != "-1" {
				p.FromPort, p.ToPort = aws.Int32(int32(r.FromPort)), aws.Int32(int32(r.ToPort))
			}
			permissions = append(permissions, p)
		}
		addSource(&permissions[len(permissions)-1], account, r)
	}
	return permissions
}

func addSource(p *types.IpPermission, account string, r aurora.SecurityGroupRule) {
	description := optional(r.Description)
	switch {
	case r.SourceGroupID != "":
		p.UserIdGroupPairs = append(p.UserIdGroupPairs, types.UserIdGroupPair{GroupId: &r.SourceGroupID, UserId: &account, Description: description})
	case r.PrefixListID != "":
		p.PrefixListIds = append(p.PrefixListIds, types.PrefixListId{PrefixListId: &r.PrefixListID, Description: description})
	case strings.Contains(r.CIDR, ":"):
		p.Ipv6Ranges = append(p.Ipv6Ranges, types.Ipv6Range{CidrIpv6: &r.CIDR, Description: description})
	default:
		p.IpRanges = append(p.IpRanges, types.IpRange{CidrIp: &r.CIDR, Description: description})
	}
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// ruleAttributes adds what groups can be filtered by of their rules.
func ruleAttributes(a attributes, prefix string, rules []aurora.SecurityGroupRule) {
	for _, name := range []string{"cidr", "ipv6-cidr", "from-port", "to-port", "group-id", "prefix-list-id", "protocol", "user-id"} {
		a[prefix+name] = nil
	}
	add := func(name, value string) {
		if value != "" {
			a[prefix+name] = append(a[prefix+name], value)
		}
	}
	for _, r := range rules {
		family := "cidr"
		if strings.Contains(r.CIDR, ":") {
			family = "ipv6-cidr"
		}
		add(family, r.CIDR)
		add("from-port", strconv.Itoa(r.FromPort))
		add("to-port", strconv.Itoa(r.ToPort))
		add("group-id", r.SourceGroupID)
		add("prefix-list-id", r.PrefixListID)
		add("protocol", r.Protocol)
	}
}
