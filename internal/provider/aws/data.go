package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

func (c *client) readCallerIdentity(ctx context.Context, o plugin.Object) error {
	out, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return fmt.Errorf("reading STS Caller Identity: %w", err)
	}
	o.Set("id", out.Account)
	o.Set("account_id", out.Account)
	o.Set("arn", out.Arn)
	o.Set("user_id", out.UserId)
	return nil
}

func (c *client) readPartition(_ context.Context, o plugin.Object) error {
	o["id"], o["partition"], o["dns_suffix"] = c.partition, c.partition, dnsSuffix(c.partition)
	parts := strings.Split(dnsSuffix(c.partition), ".")
	slices.Reverse(parts)
	o["reverse_dns_prefix"] = strings.Join(parts, ".")
	return nil
}

func dnsSuffix(partition string) string {
	if partition == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

func (c *client) readRegion(_ context.Context, o plugin.Object) error {
	for _, name := range []string{"name", "id"} {
		if o.Has(name) && o.String(name) != c.region {
			return &plugin.Problem{Attribute: name, Summary: "the embedded provider describes the configured region only, " + c.region}
		}
	}
	if o.Has("endpoint") {
		return &plugin.Problem{Attribute: "endpoint", Summary: "the embedded provider finds no region by its endpoint"}
	}
	o["id"], o["name"] = c.region, c.region
	o["endpoint"] = fmt.Sprintf("ec2.%s.%s", c.region, dnsSuffix(partitionOf(c.region)))
	o["description"] = descriptions()[c.region]
	return nil
}

// descriptions are AWS's names of regions.
func descriptions() map[string]any {
	return map[string]any{
		"us-east-1": "US East (N. Virginia)", "us-east-2": "US East (Ohio)", "us-west-1": "US West (N. California)",
		"us-west-2": "US West (Oregon)", "eu-west-1": "Europe (Ireland)", "eu-west-2": "Europe (London)",
		"eu-west-3": "Europe (Paris)", "eu-central-1": "Europe (Frankfurt)", "eu-north-1": "Europe (Stockholm)",
		"ap-south-1": "Asia Pacific (Mumbai)", "ap-southeast-1": "Asia Pacific (Singapore)",
		"ap-southeast-2": "Asia Pacific (Sydney)", "ap-northeast-1": "Asia Pacific (Tokyo)",
		"ca-central-1": "Canada (Central)", "sa-east-1": "South America (Sao Paulo)",
	}
}

// filters turns the filter blocks and tags of a data source into EC2's filters. No filter block is stored as null.
func filters(o plugin.Object) []types.Filter {
	var out []types.Filter
	if !o.Has("filter") {
		o["filter"] = nil
	}
	for _, f := range o.Objects("filter") {
		out = append(out, types.Filter{Name: aws.String(f.String("name")), Values: f.Strings("values")})
	}
	tags := o.Map("tags")
	for _, k := range sortedKeys(tags) {
		out = append(out, types.Filter{Name: aws.String("tag:" + k), Values: []string{tags[k]}})
	}
	return out
}

func filter(name, value string) types.Filter {
	return types.Filter{Name: aws.String(name), Values: []string{value}}
}

func (c *client) readSubnets(ctx context.Context, o plugin.Object) error {
	ids := []string{}
	pages := ec2.NewDescribeSubnetsPaginator(c.ec2, &ec2.DescribeSubnetsInput{Filters: filters(o)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("reading EC2 Subnets: %w", err)
		}
		for _, s := range page.Subnets {
			ids = append(ids, aws.ToString(s.SubnetId))
		}
	}
	o["id"] = c.region
	o.Set("ids", ids)
	return nil
}

func (c *client) readZones(ctx context.Context, o plugin.Object) error {
	in := &ec2.DescribeAvailabilityZonesInput{Filters: filters(o)}
	if o.Has("all_availability_zones") {
		in.AllAvailabilityZones = aws.Bool(true)
	}
	if o.Has("state") {
		in.Filters = append(in.Filters, filter("state", o.String("state")))
	}
	out, err := c.ec2.DescribeAvailabilityZones(ctx, in)
	if err != nil {
		return fmt.Errorf("reading EC2 Availability Zones: %w", err)
	}
	slices.SortFunc(out.AvailabilityZones, func(a, b types.AvailabilityZone) int {
		return strings.Compare(aws.ToString(a.ZoneName), aws.ToString(b.ZoneName))
	})
	names, ids, groups := []string{}, []string{}, []string{}
	for _, z := range out.AvailabilityZones {
		name, id, group := aws.ToString(z.ZoneName), aws.ToString(z.ZoneId), aws.ToString(z.GroupName)
		if slices.Contains(o.Strings("exclude_names"), name) || slices.Contains(o.Strings("exclude_zone_ids"), id) {
			continue
		}
		names, ids = append(names, name), append(ids, id)
		if !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
	}
	o["id"] = c.region
	o.Set("names", names)
	o.Set("zone_ids", ids)
	o.Set("group_names", groups)
	return nil
}

func (c *client) readVPC(ctx context.Context, o plugin.Object) error {
	in := &ec2.DescribeVpcsInput{Filters: filters(o)}
	if o.Has("id") {
		in.VpcIds = []string{o.String("id")}
	}
	for argument, name := range map[string]string{"cidr_block": "cidr", "dhcp_options_id": "dhcp-options-id", "state": "state"} {
		if o.Has(argument) {
			in.Filters = append(in.Filters, filter(name, o.String(argument)))
		}
	}
	if o.Bool("default") {
		in.Filters = append(in.Filters, filter("isDefault", "true"))
	}
	out, err := c.ec2.DescribeVpcs(ctx, in)
	if err != nil {
		return fmt.Errorf("reading EC2 VPC: %w", err)
	}
	switch len(out.Vpcs) {
	case 0:
		return fmt.Errorf("no matching EC2 VPC found")
	case 1:
	default:
		return fmt.Errorf("multiple EC2 VPCs matched; use additional constraints to reduce matches to a single EC2 VPC")
	}
	return c.setVPC(ctx, o, &out.Vpcs[0])
}

func (c *client) setVPC(ctx context.Context, o plugin.Object, v *types.Vpc) error {
	o.Set("id", v.VpcId)
	o["arn"] = c.arn("ec2", aws.ToString(v.OwnerId), "vpc/"+aws.ToString(v.VpcId))
	o.Set("cidr_block", v.CidrBlock)
	o["default"] = aws.ToBool(v.IsDefault)
	o.Set("dhcp_options_id", v.DhcpOptionsId)
	o.Set("instance_tenancy", v.InstanceTenancy)
	o.Set("owner_id", v.OwnerId)
	associations := []any{}
	for _, a := range v.CidrBlockAssociationSet {
		one := plugin.Object{}
		one.Set("association_id", a.AssociationId)
		one.Set("cidr_block", a.CidrBlock)
		one["state"] = ""
		if a.CidrBlockState != nil {
			one.Set("state", a.CidrBlockState.State)
		}
		associations = append(associations, one)
	}
	o["cidr_block_associations"] = associations
	o["ipv6_association_id"], o["ipv6_cidr_block"] = "", ""
	for _, a := range v.Ipv6CidrBlockAssociationSet {
		o.Set("ipv6_association_id", a.AssociationId)
		o.Set("ipv6_cidr_block", a.Ipv6CidrBlock)
	}
	tags := plugin.Object{}
	for _, t := range v.Tags {
		if !c.tags.ignore(aws.ToString(t.Key)) {
			tags.Set(aws.ToString(t.Key), t.Value)
		}
	}
	o["tags"] = tags
	if err := c.setVPCAttributes(ctx, o); err != nil {
		return err
	}
	return c.setMainRouteTable(ctx, o)
}

func (c *client) setVPCAttributes(ctx context.Context, o plugin.Object) error {
	for _, name := range types.VpcAttributeName("").Values() {
		out, err := c.ec2.DescribeVpcAttribute(ctx, &ec2.DescribeVpcAttributeInput{VpcId: aws.String(o.String("id")), Attribute: name})
		if err != nil {
			return fmt.Errorf("reading EC2 VPC (%s) Attribute (%s): %w", o.String("id"), name, err)
		}
		switch name {
		case types.VpcAttributeNameEnableDnsHostnames:
			o["enable_dns_hostnames"] = attributeValue(out.EnableDnsHostnames)
		case types.VpcAttributeNameEnableDnsSupport:
			o["enable_dns_support"] = attributeValue(out.EnableDnsSupport)
		case types.VpcAttributeNameEnableNetworkAddressUsageMetrics:
			o["enable_network_address_usage_metrics"] = attributeValue(out.EnableNetworkAddressUsageMetrics)
		}
	}
	return nil
}

func attributeValue(v *types.AttributeBooleanValue) bool { return v != nil && aws.ToBool(v.Value) }

// setMainRouteTable leaves the main route table empty where there is none.
func (c *client) setMainRouteTable(ctx context.Context, o plugin.Object) error {
	out, err := c.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{
		Filters: []types.Filter{filter("association.main", "true"), filter("vpc-id", o.String("id"))},
	})
	if err != nil {
		return fmt.Errorf("reading EC2 VPC (%s) main route table: %w", o.String("id"), err)
	}
	if len(out.RouteTables) > 0 {
		o.Set("main_route_table_id", out.RouteTables[0].RouteTableId)
	}
	return nil
}

func (c *client) arn(service, account, resource string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", c.partition, service, c.region, account, resource)
}
