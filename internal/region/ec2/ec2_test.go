package ec2_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/ec2"
	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

func start(t *testing.T) (*api.Client, *state.Store) {
	store := statetest.Start(t)
	return api.NewFromConfig(wiretest.Serve(t, ec2.New(store))), store
}

func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

func tcp(port int32, cidrs ...string) []types.IpPermission {
	p := types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: &port, ToPort: &port}
	for _, cidr := range cidrs {
		p.IpRanges = append(p.IpRanges, types.IpRange{CidrIp: &cidr, Description: aws.String("from " + cidr[:2])})
	}
	return []types.IpPermission{p}
}

func create(t *testing.T, c *api.Client, name string) string {
	t.Helper()
	out, err := c.CreateSecurityGroup(t.Context(), &api.CreateSecurityGroupInput{
		GroupName: &name, Description: aws.String("of a test"),
		TagSpecifications: []types.TagSpecification{{
			ResourceType: types.ResourceTypeSecurityGroup, Tags: []types.Tag{{Key: aws.String("Name"), Value: &name}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.GroupId
}

func describe(t *testing.T, c *api.Client, id string) types.SecurityGroup {
	t.Helper()
	out, err := c.DescribeSecurityGroups(t.Context(), &api.DescribeSecurityGroupsInput{GroupIds: []string{id}})
	if err != nil || len(out.SecurityGroups) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	return out.SecurityGroups[0]
}

func TestASecurityGroupLivesAsTerraformAndTheCLIExpect(t *testing.T) {
	c, _ := start(t)
	ctx := t.Context()
	id := create(t, c, "db")
	group := describe(t, c, id)
	if len(group.IpPermissions) != 0 || len(group.IpPermissionsEgress) != 1 || *group.IpPermissionsEgress[0].IpProtocol != "-1" ||
		group.IpPermissionsEgress[0].FromPort != nil || *group.IpPermissionsEgress[0].IpRanges[0].CidrIp != "0.0.0.0/0" ||
		*group.OwnerId != wiretest.Account || *group.Tags[0].Value != "db" {
		t.Errorf("new group: %+v", group)
	}

	added, err := c.AuthorizeSecurityGroupIngress(ctx, &api.AuthorizeSecurityGroupIngressInput{
		GroupId: &id, IpPermissions: tcp(5432, "10.1.2.3/8", "192.168.0.0/16"),
	})
	if err != nil || len(added.SecurityGroupRules) != 2 || added.SecurityGroupRules[0].SecurityGroupRuleId == nil {
		t.Fatalf("authorize: %+v, %v", added, err)
	}
	group = describe(t, c, id)
	if len(group.IpPermissions) != 1 || len(group.IpPermissions[0].IpRanges) != 2 || *group.IpPermissions[0].IpRanges[0].CidrIp != "10.0.0.0/8" {
		t.Errorf("ingress: %+v", group.IpPermissions)
	}
	_, err = c.AuthorizeSecurityGroupIngress(ctx, &api.AuthorizeSecurityGroupIngressInput{GroupId: &id, IpPermissions: tcp(5432, "10.0.0.0/8")})
	wantCode(t, "the same rule again", err, "InvalidPermission.Duplicate")

	rules, err := c.DescribeSecurityGroupRules(ctx, &api.DescribeSecurityGroupRulesInput{
		SecurityGroupRuleIds: []string{*added.SecurityGroupRules[0].SecurityGroupRuleId},
	})
	if err != nil || len(rules.SecurityGroupRules) != 1 || *rules.SecurityGroupRules[0].CidrIpv4 != "10.0.0.0/8" || *rules.SecurityGroupRules[0].IsEgress {
		t.Errorf("rule: %+v, %v", rules, err)
	}
	_, err = c.RevokeSecurityGroupIngress(ctx, &api.RevokeSecurityGroupIngressInput{
		GroupId: &id, SecurityGroupRuleIds: []string{*added.SecurityGroupRules[1].SecurityGroupRuleId},
	})
	if err != nil {
		t.Error(err)
	}
	_, err = c.RevokeSecurityGroupIngress(ctx, &api.RevokeSecurityGroupIngressInput{GroupId: &id, IpPermissions: tcp(5432, "10.0.0.0/8")})
	if err != nil {
		t.Error(err)
	}
	everything := types.IpPermission{IpProtocol: aws.String("-1"), FromPort: aws.Int32(0), ToPort: aws.Int32(0)}
	everything.IpRanges = []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}
	_, err = c.RevokeSecurityGroupEgress(ctx, &api.RevokeSecurityGroupEgressInput{GroupId: &id, IpPermissions: []types.IpPermission{everything}})
	if err != nil {
		t.Error(err)
	}
	everything.IpRanges, everything.Ipv6Ranges = nil, []types.Ipv6Range{{CidrIpv6: aws.String("::/0")}}
	_, err = c.RevokeSecurityGroupEgress(ctx, &api.RevokeSecurityGroupEgressInput{GroupId: &id, IpPermissions: []types.IpPermission{everything}})
	wantCode(t, "revoke of a rule that is not there", err, "InvalidPermission.NotFound")
	if group = describe(t, c, id); len(group.IpPermissions)+len(group.IpPermissionsEgress) != 0 {
		t.Errorf("after revokes: %+v", group)
	}

	if _, err := c.DeleteSecurityGroup(ctx, &api.DeleteSecurityGroupInput{GroupId: &id}); err != nil {
		t.Error(err)
	}
	_, err = c.DescribeSecurityGroups(ctx, &api.DescribeSecurityGroupsInput{GroupIds: []string{id}})
	wantCode(t, "describe of a deleted group", err, "InvalidGroup.NotFound")
	if again := create(t, c, "db"); again == id {
		t.Error("an id was used again")
	}
}

func TestBadSecurityGroupRequestsAreRefusedInAWSsWords(t *testing.T) {
	c, _ := start(t)
	ctx := t.Context()
	id := create(t, c, "db")
	text := aws.String("x")
	for name, test := range map[string]struct {
		in   api.CreateSecurityGroupInput
		code string
	}{
		"name taken":         {api.CreateSecurityGroupInput{GroupName: aws.String("db"), Description: text}, "InvalidGroup.Duplicate"},
		"name of an id":      {api.CreateSecurityGroupInput{GroupName: aws.String("sg-1"), Description: text}, "InvalidParameterValue"},
		"reserved name":      {api.CreateSecurityGroupInput{GroupName: aws.String("default"), Description: text}, "InvalidParameterValue"},
		"empty description":  {api.CreateSecurityGroupInput{GroupName: aws.String("y"), Description: aws.String("")}, "InvalidParameterValue"},
		"not ASCII":          {api.CreateSecurityGroupInput{GroupName: aws.String("y"), Description: aws.String("é")}, "InvalidParameterValue"},
		"other VPC":          {api.CreateSecurityGroupInput{GroupName: aws.String("y"), Description: text, VpcId: aws.String("vpc-1")}, "InvalidVpcID.NotFound"},
		"dry run":            {api.CreateSecurityGroupInput{GroupName: aws.String("y"), Description: text, DryRun: aws.Bool(true)}, "DryRunOperation"},
		"tags of other kind": {api.CreateSecurityGroupInput{GroupName: aws.String("y"), Description: text, TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeVpc}}}, "InvalidParameterValue"},
	} {
		_, err := c.CreateSecurityGroup(ctx, &test.in)
		wantCode(t, name, err, test.code)
	}
	bad := func(change func(*types.IpPermission)) []types.IpPermission {
		p := tcp(5432, "10.0.0.0/8")
		change(&p[0])
		return p
	}
	for name, test := range map[string]struct {
		permissions []types.IpPermission
		code        string
	}{
		"no permission":    {nil, "MissingParameter"},
		"no source":        {bad(func(p *types.IpPermission) { p.IpRanges = nil }), "MissingParameter"},
		"no protocol":      {bad(func(p *types.IpPermission) { p.IpProtocol = nil }), "MissingParameter"},
		"unknown protocol": {bad(func(p *types.IpPermission) { p.IpProtocol = aws.String("tcpp") }), "InvalidParameterValue"},
		"no CIDR":          {tcp(5432, "10.0.0.0"), "InvalidParameterValue"},
		"mask too long":    {tcp(5432, "10.0.0.0/33"), "InvalidParameterValue"},
		"IPv6 as IPv4":     {tcp(5432, "::/0"), "InvalidParameterValue"},
		"port too large":   {tcp(65536, "10.0.0.0/8"), "InvalidParameterValue"},
		"ports backwards":  {bad(func(p *types.IpPermission) { p.ToPort = aws.Int32(1) }), "InvalidParameterValue"},
		"one port":         {bad(func(p *types.IpPermission) { p.ToPort = nil }), "InvalidParameterValue"},
		"same rule twice":  {tcp(5432, "10.0.0.0/8", "10.1.0.0/8"), "InvalidParameterValue"},
		"unknown group": {bad(func(p *types.IpPermission) {
			p.UserIdGroupPairs = []types.UserIdGroupPair{{GroupId: aws.String("sg-00000000000000000")}}
		}), "InvalidGroup.NotFound"},
		"unknown prefix list": {bad(func(p *types.IpPermission) {
			p.PrefixListIds = []types.PrefixListId{{PrefixListId: aws.String("pl-1")}}
		}), "InvalidPrefixListID.NotFound"},
	} {
		_, err := c.AuthorizeSecurityGroupIngress(ctx, &api.AuthorizeSecurityGroupIngressInput{GroupId: &id, IpPermissions: test.permissions})
		wantCode(t, name, err, test.code)
	}
	_, err := c.DeleteSecurityGroup(ctx, &api.DeleteSecurityGroupInput{GroupId: aws.String("sg-x")})
	wantCode(t, "malformed id", err, "InvalidGroupId.Malformed")
	_, err = c.DeleteSecurityGroup(ctx, &api.DeleteSecurityGroupInput{GroupName: aws.String("default")})
	wantCode(t, "default group", err, "CannotDelete")
	if group := describe(t, c, id); len(group.IpPermissions) != 0 {
		t.Errorf("a refused request changed the group: %+v", group)
	}
}

func TestASecurityGroupInUseIsNotDeleted(t *testing.T) {
	c, store := start(t)
	ctx := t.Context()
	used, referred, other := create(t, c, "used"), create(t, c, "referred"), create(t, c, "other")
	cluster := aurora.DBCluster{Spec: aurora.DBClusterSpec{VpcSecurityGroupIDs: []string{used}}}
	if _, err := state.DBClusters(store).Create(ctx, "cluster-1", cluster); err != nil {
		t.Fatal(err)
	}
	instance := aurora.DBInstance{
		Meta: aurora.Meta{ResourceID: "db-1", Account: wiretest.Account, Region: wiretest.Region},
		Spec: aurora.DBInstanceSpec{ClusterResourceID: "cluster-1"},
	}
	if _, err := state.DBInstances(store).Create(ctx, "db-1", instance); err != nil {
		t.Fatal(err)
	}
	_, err := c.AuthorizeSecurityGroupIngress(ctx, &api.AuthorizeSecurityGroupIngressInput{GroupId: &other, IpPermissions: []types.IpPermission{{
		IpProtocol: aws.String("-1"), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &referred}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{used, referred} {
		_, err := c.DeleteSecurityGroup(ctx, &api.DeleteSecurityGroupInput{GroupId: &id})
		wantCode(t, "group in use", err, "DependencyViolation")
	}
	interfaces, err := c.DescribeNetworkInterfaces(ctx, &api.DescribeNetworkInterfacesInput{
		Filters: []types.Filter{{Name: aws.String("group-id"), Values: []string{used}}},
	})
	if err != nil || len(interfaces.NetworkInterfaces) != 1 || *interfaces.NetworkInterfaces[0].Groups[0].GroupName != "used" {
		t.Errorf("interfaces: %+v, %v", interfaces, err)
	}
	if err := state.DBClusters(store).Delete(ctx, "cluster-1"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{used, other, referred} {
		if _, err := c.DeleteSecurityGroup(ctx, &api.DeleteSecurityGroupInput{GroupId: &id}); err != nil {
			t.Error(err)
		}
	}
}

func TestFiltersTagsAndPagesSelectSecurityGroups(t *testing.T) {
	c, _ := start(t)
	ctx := t.Context()
	var ids []string
	for _, name := range []string{"app-1", "app-2", "app-3", "web-1", "web-2"} {
		ids = append(ids, create(t, c, name))
	}
	_, err := c.CreateTags(ctx, &api.CreateTagsInput{Resources: ids[:2], Tags: []types.Tag{
		{Key: aws.String("env"), Value: aws.String("test")}, {Key: aws.String("Name"), Value: aws.String("renamed")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteTags(ctx, &api.DeleteTagsInput{Resources: ids[1:2], Tags: []types.Tag{{Key: aws.String("env")}}}); err != nil {
		t.Fatal(err)
	}
	listed, err := c.DescribeTags(ctx, &api.DescribeTagsInput{Filters: []types.Filter{{Name: aws.String("resource-id"), Values: ids[:2]}, {Name: aws.String("key"), Values: []string{"env"}}}})
	if err != nil || len(listed.Tags) != 1 || *listed.Tags[0].Value != "test" || *listed.Tags[0].ResourceId != ids[0] || listed.Tags[0].ResourceType != types.ResourceTypeSecurityGroup {
		t.Errorf("tags %+v, %v", listed, err)
	}
	for name, test := range map[string]struct {
		filters []types.Filter
		want    int
	}{
		"wildcard":       {[]types.Filter{{Name: aws.String("group-name"), Values: []string{"app-?"}}}, 3},
		"several values": {[]types.Filter{{Name: aws.String("group-name"), Values: []string{"app-1", "web-*"}}}, 3},
		"several":        {[]types.Filter{{Name: aws.String("group-name"), Values: []string{"app*"}}, {Name: aws.String("tag:env"), Values: []string{"test"}}}, 1},
		"replaced tag":   {[]types.Filter{{Name: aws.String("tag:Name"), Values: []string{"renamed"}}}, 2},
		"nothing":        {[]types.Filter{{Name: aws.String("egress.ip-permission.from-port"), Values: []string{"22"}}}, 0},
		"all":            {nil, 6},
	} {
		out, err := c.DescribeSecurityGroups(ctx, &api.DescribeSecurityGroupsInput{Filters: test.filters})
		if err != nil || len(out.SecurityGroups) != test.want || out.NextToken != nil {
			t.Errorf("%s: %d groups, %v; want %d", name, len(out.SecurityGroups), err, test.want)
		}
	}
	_, err = c.DescribeSecurityGroups(ctx, &api.DescribeSecurityGroupsInput{Filters: []types.Filter{{Name: aws.String("nonsense"), Values: []string{"x"}}}})
	wantCode(t, "unknown filter", err, "InvalidParameterValue")

	var seen []string
	pages := api.NewDescribeSecurityGroupsPaginator(c, &api.DescribeSecurityGroupsInput{MaxResults: aws.Int32(5)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range page.SecurityGroups {
			seen = append(seen, *g.GroupId)
		}
	}
	if slices.Sort(seen); len(seen) != 6 || len(slices.Compact(seen)) != 6 {
		t.Errorf("pages gave %v", seen)
	}
	_, err = c.CreateTags(ctx, &api.CreateTagsInput{Resources: []string{"vpc-1"}, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}})
	wantCode(t, "tag on nothing", err, "InvalidID")
	_, err = c.CreateTags(ctx, &api.CreateTagsInput{Resources: ids[:1], Tags: []types.Tag{{Key: aws.String("aws:x"), Value: aws.String("b")}}})
	wantCode(t, "reserved tag", err, "InvalidParameterValue")
}

func TestEveryRegionHasADefaultVPCWithASubnetInEachOfThreeZones(t *testing.T) {
	c, _ := start(t)
	ctx := t.Context()
	isDefault := []types.Filter{{Name: aws.String("is-default"), Values: []string{"true"}}}
	seen := map[string]bool{}
	for _, region := range []string{"us-west-2", "local-1"} {
		in := func(o *api.Options) { o.Region = region }
		vpcs, err := c.DescribeVpcs(ctx, &api.DescribeVpcsInput{Filters: isDefault}, in)
		if err != nil || len(vpcs.Vpcs) != 1 || *vpcs.Vpcs[0].CidrBlock != "172.31.0.0/16" || seen[*vpcs.Vpcs[0].VpcId] {
			t.Fatalf("%s: %+v, %v", region, vpcs, err)
		}
		vpc := vpcs.Vpcs[0].VpcId
		seen[*vpc] = true
		subnets, err := c.DescribeSubnets(ctx, &api.DescribeSubnetsInput{Filters: []types.Filter{{Name: aws.String("vpc-id"), Values: []string{*vpc}}}}, in)
		if err != nil || len(subnets.Subnets) != 3 {
			t.Fatalf("%s: %+v, %v", region, subnets, err)
		}
		zones := map[string]bool{}
		for _, s := range subnets.Subnets {
			zones[*s.AvailabilityZone] = *s.MapPublicIpOnLaunch && *s.DefaultForAz
		}
		if !zones[region+"a"] || !zones[region+"b"] || !zones[region+"c"] {
			t.Errorf("%s: zones %v", region, zones)
		}
		for _, attribute := range types.VpcAttributeNameEnableDnsHostnames.Values() {
			if _, err := c.DescribeVpcAttribute(ctx, &api.DescribeVpcAttributeInput{VpcId: vpc, Attribute: attribute}, in); err != nil {
				t.Error(err)
			}
		}
		tables, err := c.DescribeRouteTables(ctx, &api.DescribeRouteTablesInput{Filters: []types.Filter{{Name: aws.String("association.main"), Values: []string{"true"}}}}, in)
		if err != nil || len(tables.RouteTables) != 1 {
			t.Errorf("%s: %+v, %v", region, tables, err)
		}
		groups, err := c.DescribeSecurityGroups(ctx, &api.DescribeSecurityGroupsInput{GroupNames: []string{"default"}}, in)
		if err != nil || len(groups.SecurityGroups) != 1 || *groups.SecurityGroups[0].IpPermissions[0].UserIdGroupPairs[0].GroupId != *groups.SecurityGroups[0].GroupId {
			t.Errorf("%s: %+v, %v", region, groups, err)
		}
		az, err := c.DescribeAvailabilityZones(ctx, &api.DescribeAvailabilityZonesInput{Filters: []types.Filter{{Name: aws.String("opt-in-status"), Values: []string{"opt-in-not-required"}}}}, in)
		if err != nil || len(az.AvailabilityZones) != 3 {
			t.Errorf("%s: %+v, %v", region, az, err)
		}
	}
	_, err := c.DescribeSubnets(ctx, &api.DescribeSubnetsInput{SubnetIds: []string{"subnet-1"}})
	wantCode(t, "unknown subnet", err, "InvalidSubnetID.NotFound")
}

func TestRulesAreModifiedAndTaggedByTheirIds(t *testing.T) {
	c, _ := start(t)
	ctx := t.Context()
	id := create(t, c, "db")
	added, err := c.AuthorizeSecurityGroupIngress(ctx, &api.AuthorizeSecurityGroupIngressInput{
		GroupId: &id, IpPermissions: tcp(5432, "10.0.0.0/8"),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSecurityGroupRule, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	rule := added.SecurityGroupRules[0].SecurityGroupRuleId
	_, err = c.ModifySecurityGroupRules(ctx, &api.ModifySecurityGroupRulesInput{GroupId: &id, SecurityGroupRules: []types.SecurityGroupRuleUpdate{{
		SecurityGroupRuleId: rule,
		SecurityGroupRule:   &types.SecurityGroupRuleRequest{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(5433), ToPort: aws.Int32(5433), CidrIpv6: aws.String("2001:db8::1/32")},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateTags(ctx, &api.CreateTagsInput{Resources: []string{*rule}, Tags: []types.Tag{{Key: aws.String("b"), Value: aws.String("")}}}); err != nil {
		t.Fatal(err)
	}
	out, err := c.DescribeSecurityGroupRules(ctx, &api.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{*rule}})
	if err != nil || *out.SecurityGroupRules[0].CidrIpv6 != "2001:db8::/32" || *out.SecurityGroupRules[0].FromPort != 5433 || len(out.SecurityGroupRules[0].Tags) != 2 {
		t.Errorf("%+v, %v", out, err)
	}
}
