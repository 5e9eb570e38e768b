package iam

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// attach gives a managed policy, which must be there for as long, to a user or
// role.
func attach[T any](ctx context.Context, a *API, k kind[T], name, arn string) error {
	_, err := k.update(ctx, name, func(v *T) error {
		e := k.entity(v)
		if slices.Contains(e.Attached, arn) {
			return state.ErrUnchanged
		}
		if len(e.Attached) >= maxAttached {
			return limitExceeded("Cannot exceed quota for PoliciesPer%s: %d", upperFirst(k.noun), maxAttached)
		}
		e.Attached = append(e.Attached, arn)
		return nil
	}, func() ([]state.Op, error) {
		item, err := a.policy(ctx, arn)
		if err != nil || item.Revision == 0 {
			return nil, err
		}
		return []state.Op{a.policies.CheckOp(item.Key, item.Revision)}, nil
	})
	return err
}

func detach[T any](ctx context.Context, k kind[T], name, arn string) error {
	_, err := k.update(ctx, name, func(v *T) error {
		e := k.entity(v)
		i := slices.Index(e.Attached, arn)
		if i < 0 {
			return noSuchEntity("Policy %.200s was not found.", arn)
		}
		e.Attached = slices.Delete(e.Attached, i, i+1)
		return nil
	}, nil)
	return err
}

func listAttached[T any](ctx context.Context, k kind[T], name string, path, marker *string, size *int32) ([]types.AttachedPolicy, *string, error) {
	item, err := k.get(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	var attached []types.AttachedPolicy
	for _, arn := range k.entity(&item.Value).Attached {
		_, below, _ := strings.Cut(arn, ":policy")
		if path == nil || strings.HasPrefix(below, *path) {
			attached = append(attached, types.AttachedPolicy{PolicyArn: &arn, PolicyName: aws.String(arn[strings.LastIndex(arn, "/")+1:])})
		}
	}
	return awswire.Page(attached, marker, size, pages(), func(p types.AttachedPolicy) string { return *p.PolicyArn })
}

// AttachRolePolicy gives a managed policy to a role.
func (a *API) AttachRolePolicy(ctx context.Context, in *api.AttachRolePolicyInput) (*api.AttachRolePolicyOutput, error) {
	return nil, attach(ctx, a, a.roles, aws.ToString(in.RoleName), aws.ToString(in.PolicyArn))
}

// DetachRolePolicy takes a managed policy from a role.
func (a *API) DetachRolePolicy(ctx context.Context, in *api.DetachRolePolicyInput) (*api.DetachRolePolicyOutput, error) {
	return nil, detach(ctx, a.roles, aws.ToString(in.RoleName), aws.ToString(in.PolicyArn))
}

// ListAttachedRolePolicies answers a role's managed policies.
func (a *API) ListAttachedRolePolicies(ctx context.Context, in *api.ListAttachedRolePoliciesInput) (*api.ListAttachedRolePoliciesOutput, error) {
	page, next, err := listAttached(ctx, a.roles, aws.ToString(in.RoleName), in.PathPrefix, in.Marker, in.MaxItems)
	return &api.ListAttachedRolePoliciesOutput{AttachedPolicies: page, Marker: next, IsTruncated: next != nil}, err
}

// AttachUserPolicy gives a managed policy to a user.
func (a *API) AttachUserPolicy(ctx context.Context, in *api.AttachUserPolicyInput) (*api.AttachUserPolicyOutput, error) {
	return nil, attach(ctx, a, a.users, aws.ToString(in.UserName), aws.ToString(in.PolicyArn))
}

// DetachUserPolicy takes a managed policy from a user.
func (a *API) DetachUserPolicy(ctx context.Context, in *api.DetachUserPolicyInput) (*api.DetachUserPolicyOutput, error) {
	return nil, detach(ctx, a.users, aws.ToString(in.UserName), aws.ToString(in.PolicyArn))
}

// ListAttachedUserPolicies answers a user's managed policies.
func (a *API) ListAttachedUserPolicies(ctx context.Context, in *api.ListAttachedUserPoliciesInput) (*api.ListAttachedUserPoliciesOutput, error) {
	page, next, err := listAttached(ctx, a.users, aws.ToString(in.UserName), in.PathPrefix, in.Marker, in.MaxItems)
	return &api.ListAttachedUserPoliciesOutput{AttachedPolicies: page, Marker: next, IsTruncated: next != nil}, err
}
