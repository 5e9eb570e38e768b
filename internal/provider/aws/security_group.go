package aws

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

const managed = "Managed by Terraform"

func (c *client) securityGroup() plugin.Resource {
	return plugin.Resource{
		Rules: plugin.Rules{
			"description":            {Default: managed, Replace: true, Check: atMost(255)},
			"name":                   {Replace: true, Conflicts: []string{"name_prefix"}, Check: notSG},
			"name_prefix":            {Replace: true, Conflicts: []string{"name"}, Check: notSG},
			"vpc_id":                 {Replace: true},
			"revoke_rules_on_delete": {Default: false},
			"ingress.protocol":       {State: protocol},
			"egress.protocol":        {State: protocol},
		},
		Timeouts:  map[string]time.Duration{"create": 10 * time.Minute, "delete": 15 * time.Minute},
		Customize: c.planTags,
		Create:    c.createSecurityGroup,
		Read:      c.readSecurityGroup,
		Update:    c.updateSecurityGroup,
		Delete:    c.deleteSecurityGroup,
		Import:    importID,
	}
}

func importID(id string) (plugin.Object, error) { return plugin.Object{"id": id}, nil }

func (c *client) createSecurityGroup(ctx context.Context, change *plugin.Change) error {
	o := change.State
	name := c.names.choose(o, "name", "name_prefix", "terraform-")
	in := &ec2.CreateSecurityGroupInput{GroupName: aws.String(name), Description: aws.String(o.String("description"))}
	if o.Has("vpc_id") {
		in.VpcId = aws.String(o.String("vpc_id"))
	}
	if tags := ec2Tags(c.newTags(change)); len(tags) > 0 {
		in.TagSpecifications = []types.TagSpecification{{ResourceType: types.ResourceTypeSecurityGroup, Tags: tags}}
	}
	out, err := c.ec2.CreateSecurityGroup(ctx, in)
	if err != nil {
		return fmt.Errorf("creating Security Group (%s): %w", name, err)
	}
	o.Set("id", out.GroupId)
	group, err := c.waitSecurityGroup(ctx, o.String("id"), change.Timeout)
	if err != nil {
		return fmt.Errorf("waiting for Security Group (%s) create: %w", o.String("id"), err)
	}
	// A new group lets everything out. Only what the configuration says shall be let out.
	if len(group.IpPermissionsEgress) > 0 {
		_, err := c.ec2.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: out.GroupId, IpPermissions: group.IpPermissionsEgress})
		if err != nil && !failed(err, "InvalidPermission.NotFound") {
			return fmt.Errorf("revoking default egress rule for Security Group (%s): %w", o.String("id"), err)
		}
	}
	return c.changeRules(ctx, o.String("id"), nil, o)
}

func (c *client) waitSecurityGroup(ctx context.Context, id string, timeout time.Duration) (*types.SecurityGroup, error) {
	var group *types.SecurityGroup
	err := plugin.Wait(ctx, timeout, func(ctx context.Context) (string, bool, error) {
		var err error
		group, err = c.findSecurityGroup(ctx, id)
		return "", group != nil, err
	})
	return group, err
}

// findSecurityGroup returns nil when there is no such group.
func (c *client) findSecurityGroup(ctx context.Context, id string) (*types.SecurityGroup, error) {
	out, err := c.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{id}})
	if failed(err, "InvalidGroup.NotFound") || failed(err, "InvalidGroupId.Malformed") || err == nil && len(out.SecurityGroups) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &out.SecurityGroups[0], nil
}

func (c *client) readSecurityGroup(ctx context.Context, o plugin.Object) (bool, error) {
	id := o.String("id")
	g, err := c.findSecurityGroup(ctx, id)
	if err != nil || g == nil {
		return false, wrap(err, "reading Security Group (%s)", id)
	}
	o["arn"] = c.arn("ec2", aws.ToString(g.OwnerId), "security-group/"+id)
	o.Set("description", g.Description)
	o.Set("name", g.GroupName)
	o["name_prefix"] = prefixOf(aws.ToString(g.GroupName))
	o.Set("owner_id", g.OwnerId)
	o.Set("vpc_id", g.VpcId)
	o["ingress"] = readRules(g, g.IpPermissions, o.Objects("ingress"))
	o["egress"] = readRules(g, g.IpPermissionsEgress, o.Objects("egress"))
	tags := map[string]string{}
	for _, t := range g.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	c.setTags(o, tags)
	return true, nil
}

func (c *client) updateSecurityGroup(ctx context.Context, change *plugin.Change) error {
	id := change.Prior.String("id")
	set, removed := c.tagChange(change)
	if len(removed) > 0 {
		tags := make([]types.Tag, 0, len(removed))
		for _, k := range removed {
			tags = append(tags, types.Tag{Key: aws.String(k)})
		}
		if _, err := c.ec2.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: []string{id}, Tags: tags}); err != nil {
			return fmt.Errorf("updating tags for Security Group (%s): %w", id, err)
		}
	}
	if len(set) > 0 {
		if _, err := c.ec2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: ec2Tags(set)}); err != nil {
			return fmt.Errorf("updating tags for Security Group (%s): %w", id, err)
		}
	}
	return c.changeRules(ctx, id, change.Prior, change.State)
}

func ec2Tags(tags map[string]string) []types.Tag {
	out := make([]types.Tag, 0, len(tags))
	for _, k := range sortedKeys(tags) {
		out = append(out, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (c *client) deleteSecurityGroup(ctx context.Context, state plugin.Object, timeout time.Duration) error {
	id := state.String("id")
	if state.Bool("revoke_rules_on_delete") {
		if err := c.revokeAll(ctx, id); err != nil {
			return fmt.Errorf("revoking the rules of Security Group (%s): %w", id, err)
		}
	}
	inUse := func(err error) bool { return failed(err, "DependencyViolation") || failed(err, "InvalidGroup.InUse") }
	err := plugin.Retry(ctx, timeout, inUse, func(ctx context.Context) error {
		_, err := c.ec2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: aws.String(id)})
		return err
	})
	if err != nil && !failed(err, "InvalidGroup.NotFound") {
		return fmt.Errorf("deleting Security Group (%s): %w", id, err)
	}
	err = plugin.Wait(ctx, timeout, func(ctx context.Context) (string, bool, error) {
		g, err := c.findSecurityGroup(ctx, id)
		return "", g == nil, err
	})
	return wrap(err, "waiting for Security Group (%s) delete", id)
}

func (c *client) revokeAll(ctx context.Context, id string) error {
	g, err := c.findSecurityGroup(ctx, id)
	if err != nil || g == nil {
		return err
	}
	if len(g.IpPermissions) > 0 {
		if _, err := c.ec2.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: &id, IpPermissions: g.IpPermissions}); err != nil {
			return err
		}
	}
	if len(g.IpPermissionsEgress) > 0 {
		_, err = c.ec2.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: &id, IpPermissions: g.IpPermissionsEgress})
	}
	return err
}

// wrap adds to an error what was being done; no error stays none.
func wrap(err error, doing string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(doing+": %w", append(args, err)...)
}
