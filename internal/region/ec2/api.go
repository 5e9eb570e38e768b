package ec2

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"regexp"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// API holds the actions.
type API struct {
	store     *state.Store
	groups    state.Table[aurora.SecurityGroup]
	clusters  state.Table[aurora.DBCluster]
	instances state.Table[aurora.DBInstance]
	vpcs      state.Table[Network]
	gateways  state.Table[internetGateway]
	dbSubnets state.Table[DBSubnetGroup]
	tags      state.Table[[]aurora.Tag] // of all but security groups, by account/region/resource id
}

// New returns the EC2 service on a store.
func New(store *state.Store) *awswire.Service {
	a := &API{
		store:     store,
		groups:    state.SecurityGroups(store),
		clusters:  state.DBClusters(store),
		instances: state.DBInstances(store),
		vpcs:      networkTable(store),
		gateways:  state.NewTable[internetGateway](store, "region/ec2-internet-gateways"),
		dbSubnets: DBSubnetGroups(store),
		tags:      state.NewTable[[]aurora.Tag](store, "region/ec2-tags"),
	}
	s := awswire.EC2()
	register(s, a.CreateSecurityGroup)
	register(s, a.DeleteSecurityGroup)
	register(s, a.DescribeSecurityGroups)
	register(s, a.DescribeSecurityGroupRules)
	register(s, a.AuthorizeSecurityGroupIngress)
	register(s, a.AuthorizeSecurityGroupEgress)
	register(s, a.RevokeSecurityGroupIngress)
	register(s, a.RevokeSecurityGroupEgress)
	register(s, a.ModifySecurityGroupRules)
	register(s, a.CreateTags)
	register(s, a.DeleteTags)
	register(s, a.DescribeTags)
	register(s, a.CreateVpc)
	register(s, a.DeleteVpc)
	register(s, a.DescribeVpcs)
	register(s, a.DescribeVpcAttribute)
	register(s, a.ModifyVpcAttribute)
	register(s, a.CreateSubnet)
	register(s, a.DeleteSubnet)
	register(s, a.DescribeSubnets)
	register(s, a.ModifySubnetAttribute)
	register(s, a.CreateRouteTable)
	register(s, a.DeleteRouteTable)
	register(s, a.DescribeRouteTables)
	register(s, a.CreateRoute)
	register(s, a.ReplaceRoute)
	register(s, a.DeleteRoute)
	register(s, a.AssociateRouteTable)
	register(s, a.DisassociateRouteTable)
	register(s, a.ReplaceRouteTableAssociation)
	register(s, a.CreateInternetGateway)
	register(s, a.DeleteInternetGateway)
	register(s, a.AttachInternetGateway)
	register(s, a.DetachInternetGateway)
	register(s, a.DescribeInternetGateways)
	register(s, a.CreateNetworkAclEntry)
	register(s, a.DeleteNetworkAclEntry)
	register(s, a.ReplaceNetworkAclEntry)
	register(s, a.DescribeNetworkAcls)
	register(s, a.DescribeAvailabilityZones)
	register(s, a.DescribeRegions)
	register(s, a.DescribeNetworkInterfaces)
	s.Lack("CreateVpc", "Ipv6CidrBlockNetworkBorderGroup", "Ipv6NetmaskLength", "VpcEncryptionControl")
	s.Lack("CreateSubnet", "Ipv4NetmaskLength", "Ipv6NetmaskLength")
	s.Lack("ModifySubnetAttribute", "DisableLniAtDeviceIndex")
	for _, name := range []string{"AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress"} {
		s.Lack(name, "SourceSecurityGroupOwnerId")
	}
	return s
}

// register adds an action that ends, if DryRun is asked for, before it begins.
func register[I, O any](s *awswire.Service, f func(context.Context, *I) (*O, error)) {
	awswire.Register(s, func(ctx context.Context, in *I) (*O, error) {
		if dry := reflect.ValueOf(in).Elem().FieldByName("DryRun"); dry.IsValid() && !dry.IsNil() && dry.Elem().Bool() {
			return nil, awswire.Errorf(http.StatusPreconditionFailed, "DryRunOperation",
				"Request would have succeeded, but DryRun flag is set.")
		}
		return f(ctx, in)
	})
}

// network is the default VPC of the caller.
func network(ctx context.Context) Network {
	id := awswire.IdentityFrom(ctx)
	return DefaultNetwork(id.Account, id.Region)
}

// EnsureDefaults stores the default security group of an account and region, if
// it is not there yet. Call it before a security group is looked up.
func EnsureDefaults(ctx context.Context, store *state.Store, account, region string) error {
	n := DefaultNetwork(account, region)
	group := defaultGroup(n, "sgr-"+derivedID(account, region, "default-ingress"), "sgr-"+derivedID(account, region, "default-egress"))
	groups := state.SecurityGroups(store)
	if _, err := groups.Get(ctx, group.GroupID); !errors.Is(err, state.ErrNotFound) {
		return err
	}
	_, err := groups.Create(ctx, group.GroupID, group, groupName(group).Claim(group.GroupID))
	if err != nil && !errors.Is(err, state.ErrExists) {
		return fmt.Errorf("default security group: %w", err)
	}
	return nil
}

// defaultGroup is the security group that a VPC has from the beginning: its members
// reach each other.
func defaultGroup(n Network, in, out string) aurora.SecurityGroup {
	return aurora.SecurityGroup{
		GroupID: n.DefaultSecurityGroupID, Account: n.Account, Region: n.Region, VpcID: n.VpcID,
		Name: "default", Description: "default VPC security group",
		Ingress: []aurora.SecurityGroupRule{{RuleID: in, Protocol: "-1", FromPort: -1, ToPort: -1, SourceGroupID: n.DefaultSecurityGroupID}},
		Egress:  []aurora.SecurityGroupRule{everywhere(out)},
	}
}

// everywhere is the egress rule that new groups have.
func everywhere(id string) aurora.SecurityGroupRule {
	return aurora.SecurityGroupRule{RuleID: id, Protocol: "-1", FromPort: -1, ToPort: -1, CIDR: "0.0.0.0/0"}
}

func groupName(g aurora.SecurityGroup) state.Name {
	return state.Name{Kind: state.KindSecurityGroup, Account: g.Account, Region: g.Region, Name: g.VpcID + "/" + g.Name}
}

// pages are the limits of MaxResults; without it all is answered at once.
func pages() awswire.PageLimits {
	return awswire.PageLimits{Min: 5, Max: 1000, Default: math.MaxInt32, Parameter: "MaxResults"}
}

// checkID refuses an id that cannot be one of its kind ("sg").
func checkID(kind, id, code string) error {
	if !regexp.MustCompile(`^` + kind + `-([0-9a-f]{8}|[0-9a-f]{17})$`).MatchString(id) {
		return awswire.BadRequestf(code, `Invalid id: "%.60s" (expecting "%s-...")`, id, kind)
	}
	return nil
}
