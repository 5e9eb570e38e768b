package secretsmanager

import (
	"context"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/policy"
	"github.com/daybreakdb/daybreak/internal/state"
)

const (
	maxTags   = 50
	maxPolicy = 20480
)

// mergeTags adds tags to those that are there.
func mergeTags(have map[string]string, more []types.Tag) (map[string]string, error) {
	tags, seen := maps.Clone(have), map[string]bool{}
	if tags == nil {
		tags = map[string]string{}
	}
	for _, tag := range more {
		key, value := aws.ToString(tag.Key), aws.ToString(tag.Value)
		switch {
		case key == "" || utf8.RuneCountInString(key) > 128:
			return nil, invalidParameter("A tag's key must have 1 to 128 characters.")
		case utf8.RuneCountInString(value) > 256:
			return nil, invalidParameter("A tag's value must have at most 256 characters.")
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, invalidParameter("Tag keys that begin with aws: are reserved.")
		case seen[key]:
			return nil, invalidParameter("Duplicate tag key %s.", key)
		}
		seen[key] = true
		tags[key] = value
	}
	if len(tags) > maxTags {
		return nil, invalidParameter("A secret can have %d tags.", maxTags)
	}
	return tags, nil
}

// TagResource adds tags to a secret.
func (a *API) TagResource(ctx context.Context, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	_, err := a.update(ctx, in.SecretId, func(s *Secret) (_ []state.Op, err error) {
		s.Tags, err = mergeTags(s.Tags, in.Tags)
		return nil, err
	})
	return nil, err
}

// UntagResource takes tags from a secret.
func (a *API) UntagResource(ctx context.Context, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	_, err := a.update(ctx, in.SecretId, func(s *Secret) ([]state.Op, error) {
		for _, key := range in.TagKeys {
			delete(s.Tags, key)
		}
		return nil, nil
	})
	return nil, err
}

// GetResourcePolicy answers a secret's policy, if it has one.
func (a *API) GetResourcePolicy(ctx context.Context, in *api.GetResourcePolicyInput) (*api.GetResourcePolicyOutput, error) {
	item, err := a.get(ctx, in.SecretId)
	if err != nil {
		return nil, err
	}
	out := &api.GetResourcePolicyOutput{ARN: aws.String(item.Value.ARN()), Name: &item.Value.Name}
	if item.Value.Policy != "" {
		out.ResourcePolicy = &item.Value.Policy
	}
	return out, nil
}

// PutResourcePolicy gives a secret a policy. Who may use the secret is decided by
// it and by the policies of users.
func (a *API) PutResourcePolicy(ctx context.Context, in *api.PutResourcePolicyInput) (*api.PutResourcePolicyOutput, error) {
	text := aws.ToString(in.ResourcePolicy)
	document, err := policy.Parse(text)
	if err == nil {
		err = document.CheckResource()
	}
	if err != nil || len(text) > maxPolicy {
		return nil, awswire.BadRequestf("MalformedPolicyDocumentException", "This resource policy contains syntax errors, or is larger than %d characters: %v", maxPolicy, err)
	}
	s, err := a.update(ctx, in.SecretId, func(s *Secret) ([]state.Op, error) {
		s.Policy = text
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	return &api.PutResourcePolicyOutput{ARN: aws.String(s.ARN()), Name: &s.Name}, nil
}

// DeleteResourcePolicy takes a secret's policy away.
func (a *API) DeleteResourcePolicy(ctx context.Context, in *api.DeleteResourcePolicyInput) (*api.DeleteResourcePolicyOutput, error) {
	s, err := a.update(ctx, in.SecretId, func(s *Secret) ([]state.Op, error) {
		s.Policy = ""
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteResourcePolicyOutput{ARN: aws.String(s.ARN()), Name: &s.Name}, nil
}
