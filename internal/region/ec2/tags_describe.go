package ec2

import (
	"context"
	"slices"
	"strings"

	api "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// taggedAs are the resource types of DescribeTags by the prefix of their ids.
func taggedAs(id string) types.ResourceType {
	kind, _, _ := strings.Cut(id, "-")
	return map[string]types.ResourceType{
		"sg": types.ResourceTypeSecurityGroup, "sgr": types.ResourceTypeSecurityGroupRule, "vpc": types.ResourceTypeVpc,
		"subnet": types.ResourceTypeSubnet, "rtb": types.ResourceTypeRouteTable, "igw": types.ResourceTypeInternetGateway,
		"dopt": types.ResourceTypeDhcpOptions, "acl": types.ResourceTypeNetworkAcl,
	}[kind]
}

// resourceTag is one tag of one resource.
type resourceTag struct {
	resource string
	aurora.Tag
}

// DescribeTags answers the tags of all resources that match the filters.
func (a *API) DescribeTags(ctx context.Context, in *api.DescribeTagsInput) (*api.DescribeTagsOutput, error) {
	tags, err := a.allTags(ctx)
	if err != nil {
		return nil, err
	}
	tags, err = filtered(tags, in.Filters, func(t resourceTag) attributes {
		return attributes{
			"resource-id": {t.resource}, "resource-type": {string(taggedAs(t.resource))}, "key": {t.Key}, "value": {t.Value},
			"tag-key": {t.Key}, "tag:" + t.Key: {t.Value},
		}
	})
	if err != nil {
		return nil, err
	}
	page, next, err := awswire.Page(tags, in.NextToken, in.MaxResults, pages(), func(t resourceTag) string { return t.resource + "/" + t.Key })
	out := &api.DescribeTagsOutput{NextToken: next}
	for _, t := range page {
		out.Tags = append(out.Tags, types.TagDescription{Key: &t.Key, Value: &t.Value, ResourceId: &t.resource, ResourceType: taggedAs(t.resource)})
	}
	return out, err
}

func (a *API) allTags(ctx context.Context) ([]resourceTag, error) {
	byResource, err := a.tagsOf(ctx, network(ctx))
	if err != nil {
		return nil, err
	}
	groups, err := a.groupsOf(ctx)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		byResource[g.GroupID] = g.Tags
		for _, r := range slices.Concat(g.Ingress, g.Egress) {
			byResource[r.RuleID] = r.Tags
		}
	}
	var all []resourceTag
	for resource, tags := range byResource {
		for _, t := range tags {
			all = append(all, resourceTag{resource, t})
		}
	}
	return all, nil
}
