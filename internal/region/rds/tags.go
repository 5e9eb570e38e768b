package rds

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

const maxTags = 50

// logCopiesTag of a new cluster says how many copies of its log there are: 6, 3 or
// 1. It is the region's own: AWS has no such choice.
const logCopiesTag = "daybreak:log-copies"

func logCopies(tags []aurora.Tag) (int, error) {
	i := slices.IndexFunc(tags, func(t aurora.Tag) bool { return t.Key == logCopiesTag })
	if i < 0 {
		return 0, nil
	}
	switch tags[i].Value {
	case "6", "3", "1":
		return int(tags[i].Value[0] - '0'), nil
	}
	return 0, awswire.InvalidParameterValue("The tag %s must be 6, 3 or 1, not %q.", logCopiesTag, tags[i].Value)
}

// checkLogCopies refuses a change of the number of copies.
func checkLogCopies(before, after []aurora.Tag) error {
	value := func(tags []aurora.Tag) aurora.Tag {
		for _, t := range tags {
			if t.Key == logCopiesTag {
				return t
			}
		}
		return aurora.Tag{}
	}
	if value(before) != value(after) {
		return awswire.InvalidParameterValue("The tag %s can only be given when the DB cluster is created.", logCopiesTag)
	}
	return nil
}

// checkTags returns tags as they are stored.
func checkTags(given []types.Tag) ([]aurora.Tag, error) {
	var tags []aurora.Tag
	for _, t := range given {
		key, value := aws.ToString(t.Key), aws.ToString(t.Value)
		switch {
		case key == "" || utf8.RuneCountInString(key) > 128 || utf8.RuneCountInString(value) > 256:
			return nil, awswire.InvalidParameterValue("A tag's key has 1 to 128 characters and its value at most 256.")
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, awswire.InvalidParameterValue("The tag key %s is not valid: the prefix aws: is reserved.", key)
		case slices.ContainsFunc(tags, func(have aurora.Tag) bool { return have.Key == key }):
			return nil, awswire.InvalidParameterValue("The tag key %s is given twice.", key)
		}
		tags = append(tags, aurora.Tag{Key: key, Value: value})
	}
	return tags, checkTagCount(tags)
}

func checkTagCount(tags []aurora.Tag) error {
	if len(tags) > maxTags {
		return awswire.InvalidParameterValue("A resource has at most %d tags.", maxTags)
	}
	return nil
}

func showTags(tags []aurora.Tag) []types.Tag {
	var out []types.Tag
	for _, t := range tags {
		out = append(out, types.Tag{Key: aws.String(t.Key), Value: aws.String(t.Value)})
	}
	return out
}

// changeTags edits the tags of the resource that an ARN names.
func (s *service) changeTags(ctx context.Context, arn string, change func([]aurora.Tag) ([]aurora.Tag, error)) ([]aurora.Tag, error) {
	c := scopeOf(ctx)
	kind, name, ok := c.parse(arn)
	if !ok {
		return nil, awswire.InvalidParameterValue("The specified resource name does not match an RDS resource in this region.")
	}
	edit := func(tags *[]aurora.Tag) error {
		changed, err := change(slices.Clone(*tags))
		if err == nil {
			err = checkLogCopies(*tags, changed)
		}
		if err == nil {
			*tags = changed
		}
		return err
	}
	switch kind {
	case "cluster":
		item, err := s.cluster(c, name)
		if err != nil {
			return nil, err
		}
		changed, err := s.updateCluster(ctx, item.Key, func(v *aurora.DBCluster) error { return edit(&v.Tags) })
		return changed.Tags, err
	case "cluster-endpoint":
		item, at, err := s.customEndpoint(c, name)
		if err != nil {
			return nil, err
		}
		id := item.Value.Spec.CustomEndpoints[at].ResourceID
		changed, err := s.updateCluster(ctx, item.Key, editEndpoint(id, func(e *aurora.CustomEndpoint) error { return edit(&e.Tags) }))
		if err != nil {
			return nil, err
		}
		_, e := endpointOf(&changed, id)
		return e.Tags, nil
	case "cluster-snapshot":
		v, err := s.manualSnapshot(c, name)
		if err != nil {
			return nil, err
		}
		changed, err := s.updateSnapshot(ctx, v.ResourceID, func(v *aurora.DBClusterSnapshot) error { return edit(&v.Tags) })
		return changed.Tags, err
	case "db":
		item, err := s.instance(c, name)
		if err != nil {
			return nil, err
		}
		changed, err := s.updateInstance(ctx, item.Key, func(v *aurora.DBInstance) error { return edit(&v.Tags) })
		return changed.Tags, err
	case "es":
		changed, err := s.updateSubscription(ctx, c, name, func(v *EventSubscription) error { return edit(&v.Tags) })
		return changed.Tags, err
	case "subgrp":
		group, err := s.subnetGroup(c, name)
		if err != nil {
			return nil, err
		}
		changed, err := s.updateSubnetGroup(ctx, group.Key(), func(v *SubnetGroup) error { return edit(&v.Tags) })
		return changed.Tags, err
	case string(clusterGroup), string(instanceGroup):
		changed, err := s.updateParameterGroup(ctx, c, groupKind(kind), name, func(g *ParameterGroup) ([]aurora.Event, error) { return nil, edit(&g.Tags) })
		return changed.Tags, err
	}
	return nil, awswire.InvalidParameterValue("Resources of kind %s have no tags in this region.", kind)
}

// parse splits an ARN of this account and region.
func (c scope) parse(arn string) (kind, name string, ok bool) {
	rest, ok := strings.CutPrefix(arn, "arn:aws:rds:"+c.region+":"+c.account+":")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ":")
}

// ListTagsForResource answers the tags of a resource.
func (s *service) ListTagsForResource(ctx context.Context, in *rds.ListTagsForResourceInput) (*rds.ListTagsForResourceOutput, error) {
	c := scopeOf(ctx)
	kind, name, ok := c.parse(aws.ToString(in.ResourceName))
	if !ok {
		return nil, awswire.InvalidParameterValue("The specified resource name does not match an RDS resource in this region.")
	}
	var tags []aurora.Tag
	switch kind {
	case "cluster":
		item, err := s.cluster(c, name)
		if err != nil {
			return nil, err
		}
		tags = item.Value.Tags
	case "cluster-endpoint":
		item, at, err := s.customEndpoint(c, name)
		if err != nil {
			return nil, err
		}
		tags = item.Value.Spec.CustomEndpoints[at].Tags
	case "cluster-snapshot":
		v, err := s.snapshot(c, name)
		if err != nil {
			return nil, err
		}
		tags = v.Tags
	case "db":
		item, err := s.instance(c, name)
		if err != nil {
			return nil, err
		}
		tags = item.Value.Tags
	case "es":
		subscription, err := s.subscription(c, name)
		if err != nil {
			return nil, err
		}
		tags = subscription.Tags
	case "subgrp":
		group, err := s.subnetGroup(c, name)
		if err != nil {
			return nil, err
		}
		tags = group.Tags
	case string(clusterGroup), string(instanceGroup):
		group, _, err := s.parameterGroup(c, groupKind(kind), name)
		if err != nil {
			return nil, err
		}
		tags = group.Tags
	default:
		return nil, awswire.InvalidParameterValue("Resources of kind %s have no tags in this region.", kind)
	}
	return &rds.ListTagsForResourceOutput{TagList: showTags(tags)}, nil
}

// AddTagsToResource adds tags, over those of the same key.
func (s *service) AddTagsToResource(ctx context.Context, in *rds.AddTagsToResourceInput) (*rds.AddTagsToResourceOutput, error) {
	add, err := checkTags(in.Tags)
	if err != nil {
		return nil, err
	}
	_, err = s.changeTags(ctx, aws.ToString(in.ResourceName), func(tags []aurora.Tag) ([]aurora.Tag, error) {
		for _, t := range add {
			tags = append(slices.DeleteFunc(tags, func(have aurora.Tag) bool { return have.Key == t.Key }), t)
		}
		return tags, checkTagCount(tags)
	})
	return nil, err
}

// RemoveTagsFromResource removes tags by their keys.
func (s *service) RemoveTagsFromResource(ctx context.Context, in *rds.RemoveTagsFromResourceInput) (*rds.RemoveTagsFromResourceOutput, error) {
	_, err := s.changeTags(ctx, aws.ToString(in.ResourceName), func(tags []aurora.Tag) ([]aurora.Tag, error) {
		return slices.DeleteFunc(tags, func(t aurora.Tag) bool { return slices.Contains(in.TagKeys, t.Key) }), nil
	})
	return nil, err
}
