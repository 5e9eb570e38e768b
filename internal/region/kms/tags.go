package kms

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

const maxTags = 50

// mergeTags adds tags to those that are there.
func mergeTags(have map[string]string, more []types.Tag) (map[string]string, error) {
	tags, seen := maps.Clone(have), map[string]bool{}
	if tags == nil {
		tags = map[string]string{}
	}
	for _, tag := range more {
		key, value := aws.ToString(tag.TagKey), aws.ToString(tag.TagValue)
		switch {
		case key == "" || utf8.RuneCountInString(key) > 128:
			return nil, awswire.BadRequestf("TagException", "A tag's key must have 1 to 128 characters.")
		case utf8.RuneCountInString(value) > 256:
			return nil, awswire.BadRequestf("TagException", "A tag's value must have at most 256 characters.")
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, awswire.BadRequestf("TagException", "Tag keys that begin with aws: are reserved.")
		case seen[key]:
			return nil, awswire.BadRequestf("TagException", "Duplicate tag keys")
		}
		seen[key] = true
		tags[key] = value
	}
	if len(tags) > maxTags {
		return nil, awswire.BadRequestf("LimitExceededException", "A key can have %d tags.", maxTags)
	}
	return tags, nil
}

// TagResource adds tags to a key.
func (a *API) TagResource(ctx context.Context, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	_, err := a.update(ctx, in.KeyId, func(k *Key) (err error) {
		if err := notGivenUp(k); err != nil {
			return err
		}
		k.Tags, err = mergeTags(k.Tags, in.Tags)
		return err
	})
	return nil, err
}

// UntagResource takes tags from a key.
func (a *API) UntagResource(ctx context.Context, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	_, err := a.update(ctx, in.KeyId, func(k *Key) error {
		for _, key := range in.TagKeys {
			delete(k.Tags, key)
		}
		return notGivenUp(k)
	})
	return nil, err
}

// ListResourceTags answers a key's tags.
func (a *API) ListResourceTags(ctx context.Context, in *api.ListResourceTagsInput) (*api.ListResourceTagsOutput, error) {
	item, err := a.key(ctx, in.KeyId)
	if err != nil {
		return nil, err
	}
	var tags []types.Tag
	for key, value := range item.Value.Tags {
		tags = append(tags, types.Tag{TagKey: &key, TagValue: &value})
	}
	slices.SortFunc(tags, func(a, b types.Tag) int { return cmp.Compare(*a.TagKey, *b.TagKey) })
	page, next, err := awswire.Page(tags, in.Marker, in.Limit, pages(50), func(t types.Tag) string { return *t.TagKey })
	return &api.ListResourceTagsOutput{Tags: page, NextMarker: next, Truncated: next != nil}, err
}
