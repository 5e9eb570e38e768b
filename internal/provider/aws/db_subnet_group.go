package aws

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

// goneWithin bounds the wait for what has no life-cycle of its own to disappear.
const goneWithin = 3 * time.Minute

func (c *client) subnetGroup() plugin.Resource {
	return plugin.Resource{
		Rules: plugin.Rules{
			"description": {Default: managed},
			"name":        {Replace: true, Conflicts: []string{"name_prefix"}, Check: subnetGroupName},
			"name_prefix": {Replace: true, Conflicts: []string{"name"}, Check: subnetGroupName},
		},
		Customize: c.planTags,
		Create:    c.createSubnetGroup,
		Read:      c.readSubnetGroup,
		Update:    c.updateSubnetGroup,
		Delete:    c.deleteSubnetGroup,
		Import:    importID,
	}
}

func (c *client) createSubnetGroup(ctx context.Context, change *plugin.Change) error {
	o := change.State
	name := c.names.choose(o, "name", "name_prefix", "terraform-")
	out, err := c.rds.CreateDBSubnetGroup(ctx, &rds.CreateDBSubnetGroupInput{
		DBSubnetGroupName:        aws.String(name),
		DBSubnetGroupDescription: aws.String(o.String("description")),
		SubnetIds:                o.Strings("subnet_ids"),
		Tags:                     rdsTags(c.newTags(change)),
	})
	if err != nil {
		return fmt.Errorf("creating RDS DB Subnet Group (%s): %w", name, err)
	}
	o.Set("id", out.DBSubnetGroup.DBSubnetGroupName)
	return nil
}

// findSubnetGroup returns nil when there is no such group.
func (c *client) findSubnetGroup(ctx context.Context, name string) (*types.DBSubnetGroup, error) {
	out, err := c.rds.DescribeDBSubnetGroups(ctx, &rds.DescribeDBSubnetGroupsInput{DBSubnetGroupName: &name})
	if failed(err, "DBSubnetGroupNotFoundFault") || err == nil && len(out.DBSubnetGroups) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &out.DBSubnetGroups[0], nil
}

func (c *client) readSubnetGroup(ctx context.Context, o plugin.Object) (bool, error) {
	name := o.String("id")
	g, err := c.findSubnetGroup(ctx, name)
	if err != nil || g == nil {
		return false, wrap(err, "reading RDS DB Subnet Group (%s)", name)
	}
	o.Set("arn", g.DBSubnetGroupArn)
	o.Set("description", g.DBSubnetGroupDescription)
	o.Set("name", g.DBSubnetGroupName)
	o["name_prefix"] = prefixOf(aws.ToString(g.DBSubnetGroupName))
	o.Set("supported_network_types", g.SupportedNetworkTypes)
	o.Set("vpc_id", g.VpcId)
	ids := []string{}
	for _, s := range g.Subnets {
		ids = append(ids, aws.ToString(s.SubnetIdentifier))
	}
	o.Set("subnet_ids", ids)
	return true, wrap(c.readRDSTags(ctx, o), "listing tags for RDS DB Subnet Group (%s)", name)
}

func (c *client) updateSubnetGroup(ctx context.Context, change *plugin.Change) error {
	o := change.State
	name := o.String("id")
	if err := c.updateRDSTags(ctx, change); err != nil {
		return fmt.Errorf("updating tags for RDS DB Subnet Group (%s): %w", name, err)
	}
	if !change.Changed("description", "subnet_ids") {
		return nil
	}
	_, err := c.rds.ModifyDBSubnetGroup(ctx, &rds.ModifyDBSubnetGroupInput{
		DBSubnetGroupName:        aws.String(name),
		DBSubnetGroupDescription: aws.String(o.String("description")),
		SubnetIds:                o.Strings("subnet_ids"),
	})
	return wrap(err, "updating RDS DB Subnet Group (%s)", name)
}

func (c *client) deleteSubnetGroup(ctx context.Context, state plugin.Object, _ time.Duration) error {
	name := state.String("id")
	_, err := c.rds.DeleteDBSubnetGroup(ctx, &rds.DeleteDBSubnetGroupInput{DBSubnetGroupName: &name})
	if err != nil && !failed(err, "DBSubnetGroupNotFoundFault") {
		return fmt.Errorf("deleting RDS Subnet Group (%s): %w", name, err)
	}
	err = plugin.Wait(ctx, goneWithin, func(ctx context.Context) (string, bool, error) {
		g, err := c.findSubnetGroup(ctx, name)
		return "", g == nil, err
	})
	return wrap(err, "waiting for RDS Subnet Group (%s) delete", name)
}
