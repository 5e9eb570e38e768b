package ec2_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/ec2"
	"github.com/daybreakdb/daybreak/internal/region/rds"
	"github.com/daybreakdb/daybreak/internal/region/regiontest"
	"github.com/daybreakdb/daybreak/internal/state"
)

var str = aws.String

// wide is a client whose VPC is 10.0.0.0/16.
type wide struct {
	*api.Client
	t   *testing.T
	vpc string
}

func startWide(t *testing.T) (wide, *state.Store) {
	t.Helper()
	c, store := start(t)
	return wide{c, t, createVPC(t, c)}, store
}

func createVPC(t *testing.T, c *api.Client) string {
	t.Helper()
	out, err := c.CreateVpc(t.Context(), &api.CreateVpcInput{
		CidrBlock:         str("10.0.3.1/16"),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeVpc, Tags: []types.Tag{{Key: str("Name"), Value: str("wide")}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if *out.Vpc.CidrBlock != "10.0.0.0/16" || *out.Vpc.IsDefault || *out.Vpc.Tags[0].Value != "wide" {
		t.Errorf("new VPC: %+v", out.Vpc)
	}
	return *out.Vpc.VpcId
}

func (w wide) subnet(cidr, zone string) string {
	w.t.Helper()
	out, err := w.CreateSubnet(w.t.Context(), &api.CreateSubnetInput{VpcId: &w.vpc, CidrBlock: &cidr, AvailabilityZone: &zone})
	if err != nil {
		w.t.Fatal(err)
	}
	return *out.Subnet.SubnetId
}

func must(t *testing.T) func(_ any, err error) {
	return func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAVPCIsBornWithTableNetworkACLAndSecurityGroupAndDiesWithThem(t *testing.T) {
	w, store := startWide(t)
	ctx := t.Context()
	of := []types.Filter{{Name: str("vpc-id"), Values: []string{w.vpc}}}
	tables, err := w.DescribeRouteTables(ctx, &api.DescribeRouteTablesInput{Filters: append(of, types.Filter{Name: str("association.main"), Values: []string{"true"}})})
	if err != nil || len(tables.RouteTables) != 1 || *tables.RouteTables[0].Routes[0].GatewayId != "local" || len(tables.RouteTables[0].Routes) != 1 {
		t.Errorf("%+v, %v", tables, err)
	}
	acls, err := w.DescribeNetworkAcls(ctx, &api.DescribeNetworkAclsInput{Filters: append(of, types.Filter{Name: str("default"), Values: []string{"true"}})})
	if err != nil || len(acls.NetworkAcls) != 1 || len(acls.NetworkAcls[0].Entries) != 4 {
		t.Errorf("%+v, %v", acls, err)
	}
	groups, err := w.DescribeSecurityGroups(ctx, &api.DescribeSecurityGroupsInput{Filters: append(of, types.Filter{Name: str("group-name"), Values: []string{"default"}})})
	if err != nil || len(groups.SecurityGroups) != 1 {
		t.Fatalf("%+v, %v", groups, err)
	}
	must(t)(w.ModifyVpcAttribute(ctx, &api.ModifyVpcAttributeInput{VpcId: &w.vpc, EnableDnsHostnames: &types.AttributeBooleanValue{Value: aws.Bool(true)}}))
	attribute, err := w.DescribeVpcAttribute(ctx, &api.DescribeVpcAttributeInput{VpcId: &w.vpc, Attribute: types.VpcAttributeNameEnableDnsHostnames})
	if err != nil || !*attribute.EnableDnsHostnames.Value {
		t.Errorf("%+v, %v", attribute, err)
	}
	_, err = w.DeleteSecurityGroup(ctx, &api.DeleteSecurityGroupInput{GroupId: groups.SecurityGroups[0].GroupId})
	wantCode(t, "the default group of a VPC", err, "CannotDelete")
	must(t)(w.DeleteVpc(ctx, &api.DeleteVpcInput{VpcId: &w.vpc}))
	_, err = w.DescribeVpcs(ctx, &api.DescribeVpcsInput{VpcIds: []string{w.vpc}})
	wantCode(t, "a deleted VPC", err, "InvalidVpcID.NotFound")
	_, err = w.DescribeSecurityGroups(ctx, &api.DescribeSecurityGroupsInput{GroupIds: []string{*groups.SecurityGroups[0].GroupId}})
	wantCode(t, "its group", err, "InvalidGroup.NotFound")
	if tags, _, err := state.NewTable[[]aurora.Tag](store, "region/ec2-tags").List(ctx, ""); err != nil || len(tags) != 0 {
		t.Errorf("tags are left: %v, %v", tags, err)
	}
}

func TestSubnetsAreDisjointPartsOfTheirVPC(t *testing.T) {
	w, _ := startWide(t)
	ctx := t.Context()
	first := w.subnet("10.0.1.0/24", "us-west-2b")
	for name, test := range map[string]struct {
		in   api.CreateSubnetInput
		code string
	}{
		"overlap":      {api.CreateSubnetInput{VpcId: &w.vpc, CidrBlock: str("10.0.0.0/20")}, "InvalidSubnet.Conflict"},
		"outside":      {api.CreateSubnetInput{VpcId: &w.vpc, CidrBlock: str("10.1.0.0/24")}, "InvalidSubnet.Range"},
		"too small":    {api.CreateSubnetInput{VpcId: &w.vpc, CidrBlock: str("10.0.2.0/29")}, "InvalidSubnet.Range"},
		"no CIDR":      {api.CreateSubnetInput{VpcId: &w.vpc, CidrBlock: str("10.0.2.0")}, "InvalidParameterValue"},
		"unknown zone": {api.CreateSubnetInput{VpcId: &w.vpc, CidrBlock: str("10.0.2.0/24"), AvailabilityZone: str("us-west-2z")}, "InvalidParameterValue"},
		"unknown VPC":  {api.CreateSubnetInput{VpcId: str("vpc-1"), CidrBlock: str("10.0.2.0/24")}, "InvalidVpcID.NotFound"},
		"IPv6":         {api.CreateSubnetInput{VpcId: &w.vpc, CidrBlock: str("10.0.2.0/24"), Ipv6CidrBlock: str("2001:db8::/64")}, "UnsupportedOperation"},
	} {
		_, err := w.CreateSubnet(ctx, &test.in)
		wantCode(t, name, err, test.code)
	}
	must(t)(w.ModifySubnetAttribute(ctx, &api.ModifySubnetAttributeInput{SubnetId: &first, MapPublicIpOnLaunch: &types.AttributeBooleanValue{Value: aws.Bool(true)}}))
	must(t)(w.CreateTags(ctx, &api.CreateTagsInput{Resources: []string{first}, Tags: []types.Tag{{Key: str("Tier"), Value: str("db")}}}))
	out, err := w.DescribeSubnets(ctx, &api.DescribeSubnetsInput{Filters: []types.Filter{{Name: str("tag:Tier"), Values: []string{"db"}}}})
	if err != nil || len(out.Subnets) != 1 || !*out.Subnets[0].MapPublicIpOnLaunch || *out.Subnets[0].AvailableIpAddressCount != 251 || *out.Subnets[0].AvailabilityZone != "us-west-2b" {
		t.Errorf("%+v, %v", out, err)
	}
	_, err = w.DeleteVpc(ctx, &api.DeleteVpcInput{VpcId: &w.vpc})
	wantCode(t, "a VPC with a subnet", err, "DependencyViolation")
	must(t)(w.DeleteSubnet(ctx, &api.DeleteSubnetInput{SubnetId: &first}))
	must(t)(w.DeleteVpc(ctx, &api.DeleteVpcInput{VpcId: &w.vpc}))
}

func TestRoutesLeadToTheGatewayOfTheirVPC(t *testing.T) {
	w, _ := startWide(t)
	ctx := t.Context()
	subnet := w.subnet("10.0.1.0/24", "us-west-2a")
	made, err := w.CreateInternetGateway(ctx, &api.CreateInternetGatewayInput{})
	if err != nil {
		t.Fatal(err)
	}
	gateway := made.InternetGateway.InternetGatewayId
	table, err := w.CreateRouteTable(ctx, &api.CreateRouteTableInput{VpcId: &w.vpc})
	if err != nil {
		t.Fatal(err)
	}
	id := table.RouteTable.RouteTableId
	everything := &api.CreateRouteInput{RouteTableId: id, DestinationCidrBlock: str("0.0.0.0/0"), GatewayId: gateway}
	_, err = w.CreateRoute(ctx, everything)
	wantCode(t, "a gateway of no VPC", err, "InvalidParameterValue")
	must(t)(w.AttachInternetGateway(ctx, &api.AttachInternetGatewayInput{InternetGatewayId: gateway, VpcId: &w.vpc}))
	other := createVPC(t, w.Client)
	_, err = w.AttachInternetGateway(ctx, &api.AttachInternetGatewayInput{InternetGatewayId: gateway, VpcId: &other})
	wantCode(t, "a gateway of another VPC", err, "Resource.AlreadyAssociated")
	must(t)(w.CreateRoute(ctx, everything))
	_, err = w.CreateRoute(ctx, everything)
	wantCode(t, "the same destination", err, "RouteAlreadyExists")
	_, err = w.CreateRoute(ctx, &api.CreateRouteInput{RouteTableId: id, DestinationCidrBlock: str("192.168.0.0/16"), NatGatewayId: str("nat-1")})
	wantCode(t, "a NAT gateway", err, "UnsupportedOperation")
	_, err = w.CreateRoute(ctx, &api.CreateRouteInput{RouteTableId: id, DestinationCidrBlock: str("10.0.0.0/16"), GatewayId: gateway})
	wantCode(t, "the way inside", err, "InvalidParameterValue")

	association, err := w.AssociateRouteTable(ctx, &api.AssociateRouteTableInput{RouteTableId: id, SubnetId: &subnet})
	if err != nil {
		t.Fatal(err)
	}
	found, err := w.DescribeRouteTables(ctx, &api.DescribeRouteTablesInput{Filters: []types.Filter{
		{Name: str("association.route-table-association-id"), Values: []string{*association.AssociationId}},
		{Name: str("route.gateway-id"), Values: []string{*gateway}},
	}})
	if err != nil || len(found.RouteTables) != 1 || *found.RouteTables[0].Associations[0].SubnetId != subnet || found.RouteTables[0].Routes[1].State != types.RouteStateActive {
		t.Errorf("%+v, %v", found, err)
	}
	_, err = w.DeleteRouteTable(ctx, &api.DeleteRouteTableInput{RouteTableId: id})
	wantCode(t, "a table of a subnet", err, "DependencyViolation")
	_, err = w.DeleteInternetGateway(ctx, &api.DeleteInternetGatewayInput{InternetGatewayId: gateway})
	wantCode(t, "an attached gateway", err, "DependencyViolation")

	must(t)(w.DetachInternetGateway(ctx, &api.DetachInternetGatewayInput{InternetGatewayId: gateway, VpcId: &w.vpc}))
	found, err = w.DescribeRouteTables(ctx, &api.DescribeRouteTablesInput{RouteTableIds: []string{*id}})
	if err != nil || found.RouteTables[0].Routes[1].State != types.RouteStateBlackhole {
		t.Errorf("%+v, %v", found, err)
	}
	must(t)(w.DeleteRoute(ctx, &api.DeleteRouteInput{RouteTableId: id, DestinationCidrBlock: str("0.0.0.0/0")}))
	must(t)(w.DisassociateRouteTable(ctx, &api.DisassociateRouteTableInput{AssociationId: association.AssociationId}))
	must(t)(w.DeleteRouteTable(ctx, &api.DeleteRouteTableInput{RouteTableId: id}))
	must(t)(w.DeleteInternetGateway(ctx, &api.DeleteInternetGatewayInput{InternetGatewayId: gateway}))
}

func TestAnotherTableBecomesTheMainOne(t *testing.T) {
	w, _ := startWide(t)
	ctx := t.Context()
	main := []types.Filter{{Name: str("vpc-id"), Values: []string{w.vpc}}, {Name: str("association.main"), Values: []string{"true"}}}
	before, err := w.DescribeRouteTables(ctx, &api.DescribeRouteTablesInput{Filters: main})
	if err != nil {
		t.Fatal(err)
	}
	table, err := w.CreateRouteTable(ctx, &api.CreateRouteTableInput{VpcId: &w.vpc})
	if err != nil {
		t.Fatal(err)
	}
	must(t)(w.ReplaceRouteTableAssociation(ctx, &api.ReplaceRouteTableAssociationInput{
		AssociationId: before.RouteTables[0].Associations[0].RouteTableAssociationId, RouteTableId: table.RouteTable.RouteTableId,
	}))
	after, err := w.DescribeRouteTables(ctx, &api.DescribeRouteTablesInput{Filters: main})
	if err != nil || *after.RouteTables[0].RouteTableId != *table.RouteTable.RouteTableId {
		t.Errorf("%+v, %v", after, err)
	}
	must(t)(w.DeleteRouteTable(ctx, &api.DeleteRouteTableInput{RouteTableId: before.RouteTables[0].RouteTableId}))
}

func TestNetworkACLsTakeOnlyWhatNeedsNoEnforcement(t *testing.T) {
	w, _ := startWide(t)
	ctx := t.Context()
	acls, err := w.DescribeNetworkAcls(ctx, &api.DescribeNetworkAclsInput{Filters: []types.Filter{{Name: str("vpc-id"), Values: []string{w.vpc}}}})
	if err != nil {
		t.Fatal(err)
	}
	entry := api.CreateNetworkAclEntryInput{
		NetworkAclId: acls.NetworkAcls[0].NetworkAclId, RuleNumber: aws.Int32(101), Egress: aws.Bool(false),
		Protocol: str("-1"), RuleAction: types.RuleActionAllow, Ipv6CidrBlock: str("::/0"),
	}
	must(t)(w.CreateNetworkAclEntry(ctx, &entry))
	_, err = w.CreateNetworkAclEntry(ctx, &entry)
	wantCode(t, "the same entry", err, "NetworkAclEntryAlreadyExists")
	entry.RuleNumber, entry.RuleAction = aws.Int32(102), types.RuleActionDeny
	_, err = w.CreateNetworkAclEntry(ctx, &entry)
	wantCode(t, "an entry that denies", err, "UnsupportedOperation")
	must(t)(w.DeleteNetworkAclEntry(ctx, &api.DeleteNetworkAclEntryInput{NetworkAclId: entry.NetworkAclId, RuleNumber: aws.Int32(101), Egress: aws.Bool(false)}))
}

func TestTheDefaultVPCCanBeChangedButNotDeleted(t *testing.T) {
	c, store := start(t)
	ctx := t.Context()
	n := ec2.DefaultNetwork(wiretest.Account, wiretest.Region)
	w := wide{c, t, n.VpcID}
	subnet := w.subnet("172.31.64.0/20", "us-west-2a")
	if stored, _, err := ec2.FindNetworkOfSubnet(ctx, store, wiretest.Account, wiretest.Region, subnet); err != nil || stored.VpcID != n.VpcID || len(stored.Subnets) != 4 {
		t.Errorf("%+v, %v", stored, err)
	}
	must(t)(w.DeleteSubnet(ctx, &api.DeleteSubnetInput{SubnetId: &subnet}))
	_, err := w.DeleteSubnet(ctx, &api.DeleteSubnetInput{SubnetId: &n.Subnets[0].ID})
	wantCode(t, "a default subnet", err, "OperationNotPermitted")
	_, err = w.DeleteVpc(ctx, &api.DeleteVpcInput{VpcId: &n.VpcID})
	wantCode(t, "the default VPC", err, "OperationNotPermitted")
	_, err = w.DetachInternetGateway(ctx, &api.DetachInternetGatewayInput{InternetGatewayId: &n.InternetGatewayID, VpcId: &n.VpcID})
	wantCode(t, "its gateway", err, "OperationNotPermitted")
}

func TestClustersLiveInVPCsThatWereMade(t *testing.T) {
	r := regiontest.Serve(t, func(ctx context.Context, store *state.Store) (*awswire.Service, error) { return rds.New(ctx, store) })
	ctx := t.Context()
	c, db := api.NewFromConfig(r.Root), awsrds.NewFromConfig(r.Root)
	w := wide{c, t, createVPC(t, c)}
	subnets := []string{w.subnet("10.0.1.0/24", "us-west-2a"), w.subnet("10.0.2.0/24", "us-west-2b")}
	foreign := ec2.DefaultNetwork(wiretest.Account, wiretest.Region)
	group := func(ids ...string) error {
		_, err := db.CreateDBSubnetGroup(ctx, &awsrds.CreateDBSubnetGroupInput{DBSubnetGroupName: str("wide"), DBSubnetGroupDescription: str("of a test"), SubnetIds: ids})
		return err
	}
	wantCode(t, "subnets of two VPCs", group(subnets[0], foreign.Subnets[1].ID), "InvalidSubnet")
	if err := group(subnets...); err != nil {
		t.Fatal(err)
	}
	shown, err := db.DescribeDBSubnetGroups(ctx, &awsrds.DescribeDBSubnetGroupsInput{DBSubnetGroupName: str("wide")})
	if err != nil || *shown.DBSubnetGroups[0].VpcId != w.vpc || *shown.DBSubnetGroups[0].Subnets[1].SubnetAvailabilityZone.Name != "us-west-2b" {
		t.Errorf("%+v, %v", shown, err)
	}
	in := awsrds.CreateDBClusterInput{
		DBClusterIdentifier: str("inside"), Engine: str("aurora-postgresql"), MasterUsername: str("postgres"), MasterUserPassword: str("long-enough-1"),
		DBSubnetGroupName: str("wide"), VpcSecurityGroupIds: []string{foreign.DefaultSecurityGroupID},
	}
	_, err = db.CreateDBCluster(ctx, &in)
	wantCode(t, "a security group of another VPC", err, "InvalidVPCNetworkStateFault")
	in.VpcSecurityGroupIds = nil
	cluster, err := db.CreateDBCluster(ctx, &in)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := c.DescribeSecurityGroups(ctx, &api.DescribeSecurityGroupsInput{GroupIds: []string{*cluster.DBCluster.VpcSecurityGroups[0].VpcSecurityGroupId}})
	if err != nil || *groups.SecurityGroups[0].VpcId != w.vpc || *groups.SecurityGroups[0].GroupName != "default" {
		t.Errorf("%+v, %v", groups, err)
	}
	_, err = c.DeleteSubnet(ctx, &api.DeleteSubnetInput{SubnetId: &subnets[0]})
	wantCode(t, "a subnet of a cluster", err, "DependencyViolation")
}

func TestSecurityGroupsAreNamedAndReferredToWithinTheirVPC(t *testing.T) {
	w, _ := startWide(t)
	ctx := t.Context()
	outside := create(t, w.Client, "app")
	inside, err := w.CreateSecurityGroup(ctx, &api.CreateSecurityGroupInput{GroupName: str("app"), Description: str("of a test"), VpcId: &w.vpc})
	if err != nil {
		t.Fatal(err)
	}
	permit := func(id string) error {
		_, err := w.AuthorizeSecurityGroupIngress(ctx, &api.AuthorizeSecurityGroupIngressInput{GroupId: inside.GroupId, IpPermissions: []types.IpPermission{{
			IpProtocol: str("tcp"), FromPort: aws.Int32(5432), ToPort: aws.Int32(5432), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &id}},
		}}})
		return err
	}
	wantCode(t, "a group of another VPC", permit(outside), "InvalidGroup.NotFound")
	if err := permit(*inside.GroupId); err != nil {
		t.Error(err)
	}
	_, err = w.DeleteVpc(ctx, &api.DeleteVpcInput{VpcId: &w.vpc})
	wantCode(t, "a VPC with a group", err, "DependencyViolation")
	must(t)(w.DeleteSecurityGroup(ctx, &api.DeleteSecurityGroupInput{GroupId: inside.GroupId}))
	must(t)(w.DeleteVpc(ctx, &api.DeleteVpcInput{VpcId: &w.vpc}))
}
