package logs

import (
	"context"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

const maxTags = 50

// mergeTags adds tags to those that are there.
func mergeTags(have, more map[string]string) (map[string]string, error) {
	tags := maps.Clone(have)
	if tags == nil {
		tags = map[string]string{}
	}
	for key, value := range more {
		if key == "" || utf8.RuneCountInString(key) > 128 || utf8.RuneCountInString(value) > 256 || strings.HasPrefix(strings.ToLower(key), "aws:") {
			return nil, invalid("A tag's key has 1 to 128 characters and does not begin with aws:, its value has at most 256.")
		}
		tags[key] = value
	}
	if len(tags) > maxTags {
		return nil, awswire.BadRequestf("TooManyTagsException", "A log group can have %d tags.", maxTags)
	}
	return tags, nil
}

func (a *API) tag(ctx context.Context, given *string, more map[string]string) error {
	return a.update(ctx, func(g *Group) (err error) {
		g.Tags, err = mergeTags(g.Tags, more)
		return err
	}, given)
}

func (a *API) untag(ctx context.Context, given *string, keys []string) error {
	return a.update(ctx, func(g *Group) error {
		for _, key := range keys {
			delete(g.Tags, key)
		}
		return nil
	}, given)
}

// TagResource adds tags to a group.
func (a *API) TagResource(ctx context.Context, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	return nil, a.tag(ctx, in.ResourceArn, in.Tags)
}

// UntagResource takes tags from a group.
func (a *API) UntagResource(ctx context.Context, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	return nil, a.untag(ctx, in.ResourceArn, in.TagKeys)
}

// ListTagsForResource answers a group's tags.
func (a *API) ListTagsForResource(ctx context.Context, in *api.ListTagsForResourceInput) (*api.ListTagsForResourceOutput, error) {
	if !strings.HasPrefix(aws.ToString(in.ResourceArn), placeOf(ctx).arn("")) {
		return nil, noGroup()
	}
	item, err := a.group(ctx, in.ResourceArn)
	return &api.ListTagsForResourceOutput{Tags: item.Value.Tags}, err
}

// TagLogGroup is the older TagResource.
func (a *API) TagLogGroup(ctx context.Context, in *api.TagLogGroupInput) (*api.TagLogGroupOutput, error) {
	return nil, a.tag(ctx, in.LogGroupName, in.Tags)
}

// UntagLogGroup is the older UntagResource.
func (a *API) UntagLogGroup(ctx context.Context, in *api.UntagLogGroupInput) (*api.UntagLogGroupOutput, error) {
	return nil, a.untag(ctx, in.LogGroupName, in.Tags)
}

// ListTagsLogGroup is the older ListTagsForResource.
func (a *API) ListTagsLogGroup(ctx context.Context, in *api.ListTagsLogGroupInput) (*api.ListTagsLogGroupOutput, error) {
	item, err := a.group(ctx, in.LogGroupName)
	return &api.ListTagsLogGroupOutput{Tags: item.Value.Tags}, err
}
