package iam

import (
	"context"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

func adding(tags []types.Tag) func(map[string]string) (map[string]string, error) {
	return func(have map[string]string) (map[string]string, error) { return mergeTags(have, tags) }
}

func removing(keys []string) func(map[string]string) (map[string]string, error) {
	return func(have map[string]string) (map[string]string, error) {
		tags := maps.Clone(have)
		for _, key := range keys {
			delete(tags, key)
		}
		return tags, nil
	}
}

// TagUser adds tags to a user.
func (a *API) TagUser(ctx context.Context, in *api.TagUserInput) (*api.TagUserOutput, error) {
	return nil, a.users.tag(ctx, aws.ToString(in.UserName), adding(in.Tags))
}

// UntagUser takes tags from a user.
func (a *API) UntagUser(ctx context.Context, in *api.UntagUserInput) (*api.UntagUserOutput, error) {
	return nil, a.users.tag(ctx, aws.ToString(in.UserName), removing(in.TagKeys))
}

// ListUserTags answers a user's tags.
func (a *API) ListUserTags(ctx context.Context, in *api.ListUserTagsInput) (*api.ListUserTagsOutput, error) {
	item, err := a.users.get(ctx, aws.ToString(in.UserName))
	if err != nil {
		return nil, err
	}
	page, next, err := pageOfTags(item.Value.Tags, in.Marker, in.MaxItems)
	return &api.ListUserTagsOutput{Tags: page, Marker: next, IsTruncated: next != nil}, err
}

// TagRole adds tags to a role.
func (a *API) TagRole(ctx context.Context, in *api.TagRoleInput) (*api.TagRoleOutput, error) {
	return nil, a.roles.tag(ctx, aws.ToString(in.RoleName), adding(in.Tags))
}

// UntagRole takes tags from a role.
func (a *API) UntagRole(ctx context.Context, in *api.UntagRoleInput) (*api.UntagRoleOutput, error) {
	return nil, a.roles.tag(ctx, aws.ToString(in.RoleName), removing(in.TagKeys))
}

// ListRoleTags answers a role's tags.
func (a *API) ListRoleTags(ctx context.Context, in *api.ListRoleTagsInput) (*api.ListRoleTagsOutput, error) {
	item, err := a.roles.get(ctx, aws.ToString(in.RoleName))
	if err != nil {
		return nil, err
	}
	page, next, err := pageOfTags(item.Value.Tags, in.Marker, in.MaxItems)
	return &api.ListRoleTagsOutput{Tags: page, Marker: next, IsTruncated: next != nil}, err
}

// TagPolicy adds tags to a policy.
func (a *API) TagPolicy(ctx context.Context, in *api.TagPolicyInput) (*api.TagPolicyOutput, error) {
	return nil, a.tagPolicy(ctx, aws.ToString(in.PolicyArn), adding(in.Tags))
}

// UntagPolicy takes tags from a policy.
func (a *API) UntagPolicy(ctx context.Context, in *api.UntagPolicyInput) (*api.UntagPolicyOutput, error) {
	return nil, a.tagPolicy(ctx, aws.ToString(in.PolicyArn), removing(in.TagKeys))
}

func (a *API) tagPolicy(ctx context.Context, arn string, change func(map[string]string) (map[string]string, error)) error {
	_, err := a.updatePolicy(ctx, arn, func(p *Policy) (err error) {
		p.Tags, err = change(p.Tags)
		return err
	})
	return err
}

// ListPolicyTags answers a policy's tags.
func (a *API) ListPolicyTags(ctx context.Context, in *api.ListPolicyTagsInput) (*api.ListPolicyTagsOutput, error) {
	item, err := a.policy(ctx, aws.ToString(in.PolicyArn))
	if err != nil {
		return nil, err
	}
	page, next, err := pageOfTags(item.Value.Tags, in.Marker, in.MaxItems)
	return &api.ListPolicyTagsOutput{Tags: page, Marker: next, IsTruncated: next != nil}, err
}

func pageOfTags(tags map[string]string, marker *string, size *int32) ([]types.Tag, *string, error) {
	return awswire.Page(wireTags(tags), marker, size, pages(), func(t types.Tag) string { return *t.Key })
}
