package iam

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/policy"
)

// putInline writes a policy that only this user or role has.
func putInline[T any](ctx context.Context, k kind[T], name, policyName, document string) error {
	if err := first(checkName("policyName", policyName, 128), parse(document, maxInlineSize, policy.Document.CheckIdentity)); err != nil {
		return err
	}
	_, err := k.update(ctx, name, func(v *T) error {
		e := k.entity(v)
		inline := maps.Clone(e.Inline)
		if inline == nil {
			inline = map[string]string{}
		}
		inline[policyName] = document
		size := 0
		for _, text := range inline {
			size += len(text)
		}
		if size > maxInlineSize {
			return limitExceeded("Maximum policy size of %d bytes exceeded for %s %s", maxInlineSize, k.noun, e.Name)
		}
		e.Inline = inline
		return nil
	}, nil)
	return err
}

func inline[T any](ctx context.Context, k kind[T], name, policyName string) (*string, error) {
	item, err := k.get(ctx, name)
	if err != nil {
		return nil, err
	}
	document, ok := k.entity(&item.Value).Inline[policyName]
	if !ok {
		return nil, noInline(k.noun, policyName)
	}
	return encoded(document), nil
}

func noInline(noun, policyName string) error {
	return noSuchEntity("The %s policy with name %.128s cannot be found.", noun, policyName)
}

func deleteInline[T any](ctx context.Context, k kind[T], name, policyName string) error {
	_, err := k.update(ctx, name, func(v *T) error {
		e := k.entity(v)
		if _, ok := e.Inline[policyName]; !ok {
			return noInline(k.noun, policyName)
		}
		e.Inline = maps.Clone(e.Inline)
		delete(e.Inline, policyName)
		return nil
	}, nil)
	return err
}

func listInline[T any](ctx context.Context, k kind[T], name string, marker *string, size *int32) ([]string, *string, error) {
	item, err := k.get(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	names := slices.Collect(maps.Keys(k.entity(&item.Value).Inline))
	return awswire.Page(names, marker, size, pages(), func(s string) string { return s })
}

// PutRolePolicy writes a role's inline policy.
func (a *API) PutRolePolicy(ctx context.Context, in *api.PutRolePolicyInput) (*api.PutRolePolicyOutput, error) {
	return nil, putInline(ctx, a.roles, aws.ToString(in.RoleName), aws.ToString(in.PolicyName), aws.ToString(in.PolicyDocument))
}

// GetRolePolicy answers a role's inline policy.
func (a *API) GetRolePolicy(ctx context.Context, in *api.GetRolePolicyInput) (*api.GetRolePolicyOutput, error) {
	document, err := inline(ctx, a.roles, aws.ToString(in.RoleName), aws.ToString(in.PolicyName))
	return &api.GetRolePolicyOutput{RoleName: in.RoleName, PolicyName: in.PolicyName, PolicyDocument: document}, err
}

// DeleteRolePolicy removes a role's inline policy.
func (a *API) DeleteRolePolicy(ctx context.Context, in *api.DeleteRolePolicyInput) (*api.DeleteRolePolicyOutput, error) {
	return nil, deleteInline(ctx, a.roles, aws.ToString(in.RoleName), aws.ToString(in.PolicyName))
}

// ListRolePolicies answers the names of a role's inline policies.
func (a *API) ListRolePolicies(ctx context.Context, in *api.ListRolePoliciesInput) (*api.ListRolePoliciesOutput, error) {
	names, next, err := listInline(ctx, a.roles, aws.ToString(in.RoleName), in.Marker, in.MaxItems)
	return &api.ListRolePoliciesOutput{PolicyNames: names, Marker: next, IsTruncated: next != nil}, err
}

// PutUserPolicy writes a user's inline policy.
func (a *API) PutUserPolicy(ctx context.Context, in *api.PutUserPolicyInput) (*api.PutUserPolicyOutput, error) {
	return nil, putInline(ctx, a.users, aws.ToString(in.UserName), aws.ToString(in.PolicyName), aws.ToString(in.PolicyDocument))
}

// GetUserPolicy answers a user's inline policy.
func (a *API) GetUserPolicy(ctx context.Context, in *api.GetUserPolicyInput) (*api.GetUserPolicyOutput, error) {
	document, err := inline(ctx, a.users, aws.ToString(in.UserName), aws.ToString(in.PolicyName))
	return &api.GetUserPolicyOutput{UserName: in.UserName, PolicyName: in.PolicyName, PolicyDocument: document}, err
}

// DeleteUserPolicy removes a user's inline policy.
func (a *API) DeleteUserPolicy(ctx context.Context, in *api.DeleteUserPolicyInput) (*api.DeleteUserPolicyOutput, error) {
	return nil, deleteInline(ctx, a.users, aws.ToString(in.UserName), aws.ToString(in.PolicyName))
}

// ListUserPolicies answers the names of a user's inline policies.
func (a *API) ListUserPolicies(ctx context.Context, in *api.ListUserPoliciesInput) (*api.ListUserPoliciesOutput, error) {
	names, next, err := listInline(ctx, a.users, aws.ToString(in.UserName), in.Marker, in.MaxItems)
	return &api.ListUserPoliciesOutput{PolicyNames: names, Marker: next, IsTruncated: next != nil}, err
}
