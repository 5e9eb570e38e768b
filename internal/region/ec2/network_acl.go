package ec2

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// ACLEntry is a rule of a network ACL. Nothing here enforces network ACLs, so that
// only entries are taken that let everything through.
type ACLEntry struct {
	Number int    `json:"number"`
	Egress bool   `json:"egress,omitempty"`
	CIDR   string `json:"cidr"`
}

// lastACLEntry is the number of the rule that ends every list; it denies.
const lastACLEntry = 32767

// newACLEntries let everything through, as AWS's default network ACLs.
func newACLEntries() []ACLEntry {
	return []ACLEntry{{Number: 100, Egress: true, CIDR: "0.0.0.0/0"}, {Number: 100, CIDR: "0.0.0.0/0"}}
}

func (n Network) aclIndex(e ACLEntry) int {
	return slices.IndexFunc(n.ACLEntries, func(o ACLEntry) bool { return o.Number == e.Number && o.Egress == e.Egress })
}

// aclEntryOf refuses what would not be enforced.
func aclEntryOf(number *int32, egress *bool, protocol *string, action types.RuleAction, cidr, cidr6 *string) (ACLEntry, error) {
	e := ACLEntry{Number: int(aws.ToInt32(number)), Egress: aws.ToBool(egress), CIDR: cmp.Or(aws.ToString(cidr), aws.ToString(cidr6))}
	if e.Number < 1 || e.Number >= lastACLEntry {
		return e, awswire.InvalidParameterValue("Value (%d) for parameter ruleNumber is invalid. It must be 1 to 32766.", e.Number)
	}
	if protocol := aws.ToString(protocol); action != types.RuleActionAllow || protocol != "-1" && protocol != "all" || e.CIDR != "0.0.0.0/0" && e.CIDR != "::/0" {
		return e, awswire.BadRequestf("UnsupportedOperation", "Network ACLs are not enforced in this region: an entry can only allow "+
			"all protocols for 0.0.0.0/0 or ::/0. Use security groups, which are enforced.")
	}
	return e, nil
}

func (a *API) changeACL(ctx context.Context, id *string, f func(*Network) error) error {
	acl := aws.ToString(id)
	has := func(n Network) bool { return n.NetworkACLID == acl }
	return a.change(ctx, has, noACL(acl), func(n *Network) ([]state.Op, error) {
		n.ACLEntries = slices.Clone(n.ACLEntries)
		return nil, f(n)
	})
}

func noACL(id string) error {
	return awswire.BadRequestf("InvalidNetworkAclID.NotFound", "The networkAcl ID '%.60s' does not exist", id)
}

func noACLEntry(e ACLEntry) error {
	return awswire.BadRequestf("InvalidNetworkAclEntry.NotFound", "The network acl entry with rule number %d and egress %t does not exist", e.Number, e.Egress)
}

// CreateNetworkAclEntry adds an entry that lets everything through.
func (a *API) CreateNetworkAclEntry(ctx context.Context, in *api.CreateNetworkAclEntryInput) (*api.CreateNetworkAclEntryOutput, error) {
	e, err := aclEntryOf(in.RuleNumber, in.Egress, in.Protocol, in.RuleAction, in.CidrBlock, in.Ipv6CidrBlock)
	if err != nil {
		return nil, err
	}
	return nil, a.changeACL(ctx, in.NetworkAclId, func(n *Network) error {
		if n.aclIndex(e) >= 0 {
			return awswire.BadRequestf("NetworkAclEntryAlreadyExists", "The network acl entry identified by %d already exists.", e.Number)
		}
		if len(n.ACLEntries) >= 2*20 {
			return awswire.BadRequestf("NetworkAclEntryLimitExceeded", "The maximum number of network ACL entries has been reached.")
		}
		n.ACLEntries = append(n.ACLEntries, e)
		return nil
	})
}

// ReplaceNetworkAclEntry replaces an entry.
func (a *API) ReplaceNetworkAclEntry(ctx context.Context, in *api.ReplaceNetworkAclEntryInput) (*api.ReplaceNetworkAclEntryOutput, error) {
	e, err := aclEntryOf(in.RuleNumber, in.Egress, in.Protocol, in.RuleAction, in.CidrBlock, in.Ipv6CidrBlock)
	if err != nil {
		return nil, err
	}
	return nil, a.changeACL(ctx, in.NetworkAclId, func(n *Network) error {
		i := n.aclIndex(e)
		if i < 0 {
			return noACLEntry(e)
		}
		n.ACLEntries[i] = e
		return nil
	})
}

// DeleteNetworkAclEntry removes an entry. Terraform's aws_default_network_acl does
// so for a moment with all of them; nothing is shut out by that here.
func (a *API) DeleteNetworkAclEntry(ctx context.Context, in *api.DeleteNetworkAclEntryInput) (*api.DeleteNetworkAclEntryOutput, error) {
	e := ACLEntry{Number: int(aws.ToInt32(in.RuleNumber)), Egress: aws.ToBool(in.Egress)}
	return nil, a.changeACL(ctx, in.NetworkAclId, func(n *Network) error {
		i := n.aclIndex(e)
		if i < 0 {
			return noACLEntry(e)
		}
		n.ACLEntries = slices.Delete(n.ACLEntries, i, i+1)
		return nil
	})
}

// DescribeNetworkAcls answers the one network ACL of each VPC.
func (a *API) DescribeNetworkAcls(ctx context.Context, in *api.DescribeNetworkAclsInput) (*api.DescribeNetworkAclsOutput, error) {
	networks, err := a.networks(ctx)
	if err != nil {
		return nil, err
	}
	networks, err = selected(networks, in.NetworkAclIds, func(n Network) string { return n.NetworkACLID }, noACL)
	if err != nil {
		return nil, err
	}
	tags, err := a.tagsOf(ctx, network(ctx))
	if err != nil {
		return nil, err
	}
	networks, err = filtered(networks, in.Filters, func(n Network) attributes {
		a := attributes{
			"network-acl-id": {n.NetworkACLID}, "vpc-id": {n.VpcID}, "owner-id": {n.Account}, "default": {"true"},
			"association.association-id": nil, "association.network-acl-id": {n.NetworkACLID}, "association.subnet-id": nil,
			"entry.cidr": nil, "entry.rule-action": {"allow", "deny"}, "entry.egress": {"true", "false"}, "entry.rule-number": nil,
		}
		for _, s := range n.Subnets {
			add(a, "association.subnet-id", &s.ID)
			add(a, "association.association-id", aws.String(aclAssociation(s)))
		}
		for _, e := range n.ACLEntries {
			add(a, "entry.cidr", &e.CIDR)
			add(a, "entry.rule-number", aws.String(strconv.Itoa(e.Number)))
		}
		return a.tagged(tags[n.NetworkACLID])
	})
	if err != nil {
		return nil, err
	}
	page, next, err := awswire.Page(networks, in.NextToken, in.MaxResults, pages(), func(n Network) string { return n.NetworkACLID })
	out := &api.DescribeNetworkAclsOutput{NextToken: next}
	for _, n := range page {
		acl := wireACL(n)
		acl.Tags = wireTags(tags[n.NetworkACLID])
		out.NetworkAcls = append(out.NetworkAcls, acl)
	}
	return out, err
}

func aclAssociation(s Subnet) string { return "aclassoc-" + derivedID(s.ID, "acl") }

func wireACL(n Network) types.NetworkAcl {
	wire := types.NetworkAcl{NetworkAclId: &n.NetworkACLID, VpcId: &n.VpcID, OwnerId: &n.Account, IsDefault: aws.Bool(true)}
	for _, s := range n.Subnets {
		wire.Associations = append(wire.Associations, types.NetworkAclAssociation{
			NetworkAclAssociationId: aws.String(aclAssociation(s)), NetworkAclId: &n.NetworkACLID, SubnetId: &s.ID,
		})
	}
	entry := func(number int, egress bool, cidr string, action types.RuleAction) types.NetworkAclEntry {
		e := types.NetworkAclEntry{RuleNumber: aws.Int32(int32(number)), Egress: &egress, Protocol: aws.String("-1"), RuleAction: action}
		if cidr == "::/0" {
			e.Ipv6CidrBlock = &cidr
		} else {
			e.CidrBlock = &cidr
		}
		return e
	}
	for _, e := range n.ACLEntries {
		wire.Entries = append(wire.Entries, entry(e.Number, e.Egress, e.CIDR, types.RuleActionAllow))
	}
	for _, egress := range []bool{true, false} {
		wire.Entries = append(wire.Entries, entry(lastACLEntry, egress, "0.0.0.0/0", types.RuleActionDeny))
	}
	return wire
}
