package sns

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

const maxTags = 50

// mergeTags adds tags to those that are there.
func mergeTags(have map[string]string, more []types.Tag) (map[string]string, error) {
	tags := maps.Clone(have)
	if tags == nil {
		tags = map[string]string{}
	}
	for _, tag := range more {
		key, value := aws.ToString(tag.Key), aws.ToString(tag.Value)
		if key == "" || utf8.RuneCountInString(key) > 128 || utf8.RuneCountInString(value) > 256 || strings.HasPrefix(strings.ToLower(key), "aws:") {
			return nil, invalid("Invalid parameter: Tags Reason: a key has 1 to 128 characters and does not begin with aws:, a value has at most 256")
		}
		tags[key] = value
	}
	if len(tags) > maxTags {
		return nil, awswire.BadRequestf("TagLimitExceeded", "A topic can have %d tags.", maxTags)
	}
	return tags, nil
}

// TagResource adds tags to a topic.
func (a *API) TagResource(ctx context.Context, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	return nil, a.tag(ctx, in.ResourceArn, func(t *Topic) (err error) {
		t.Tags, err = mergeTags(t.Tags, in.Tags)
		return err
	})
}

// UntagResource takes tags from a topic.
func (a *API) UntagResource(ctx context.Context, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	return nil, a.tag(ctx, in.ResourceArn, func(t *Topic) error {
		for _, key := range in.TagKeys {
			delete(t.Tags, key)
		}
		return nil
	})
}

func (a *API) tag(ctx context.Context, arn *string, change func(*Topic) error) error {
	item, err := a.taggable(ctx, arn)
	if err == nil {
		_, err = a.topics.Update(ctx, item, change)
	}
	return err
}

// taggable is the key of a topic; what has tags is called a resource.
func (a *API) taggable(ctx context.Context, arn *string) (string, error) {
	item, err := a.topic(ctx, arn)
	if e, ok := err.(*awswire.Error); ok && e.Code == "NotFound" {
		return "", awswire.Errorf(e.Status, "ResourceNotFound", "Resource does not exist")
	}
	return item.Key, err
}

// ListTagsForResource answers a topic's tags.
func (a *API) ListTagsForResource(ctx context.Context, in *api.ListTagsForResourceInput) (*api.ListTagsForResourceOutput, error) {
	key, err := a.taggable(ctx, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	item, err := a.topics.Get(ctx, key)
	out := &api.ListTagsForResourceOutput{}
	for key, value := range item.Value.Tags {
		out.Tags = append(out.Tags, types.Tag{Key: &key, Value: &value})
	}
	slices.SortFunc(out.Tags, func(a, b types.Tag) int { return cmp.Compare(*a.Key, *b.Key) })
	return out, err
}
