package iam

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/policy"
	"github.com/daybreakdb/daybreak/internal/state"
)

// CreateRole makes a role that whom its trust policy names may assume.
func (a *API) CreateRole(ctx context.Context, in *api.CreateRoleInput) (*api.CreateRoleOutput, error) {
	e, err := newEntity(ctx, "roleName", "AROA", in.RoleName, in.Path, in.Tags)
	role := Role{
		Entity: e, Trust: aws.ToString(in.AssumeRolePolicyDocument), Description: aws.ToString(in.Description), MaxSession: defaultSession,
	}
	if err = first(err, unavailable("PermissionsBoundary", in.PermissionsBoundary != nil),
		role.describe(in.Description, in.MaxSessionDuration), checkTrust(role.Trust)); err != nil {
		return nil, err
	}
	if err := a.roles.create(ctx, role); err != nil {
		return nil, err
	}
	return &api.CreateRoleOutput{Role: wireRole(role)}, nil
}

func checkTrust(document string) error {
	return parse(document, maxTrustSize, policy.Document.CheckTrust)
}

// describe changes what is given of a role's settings.
func (r *Role) describe(description *string, maxSession *int32) error {
	if description != nil {
		if len(*description) > 1000 {
			return invalid("A role's description must have at most 1000 characters.")
		}
		r.Description = *description
	}
	if maxSession != nil {
		if *maxSession < defaultSession || *maxSession > maxSessionLength {
			return invalid("MaxSessionDuration must be between %d and %d seconds.", defaultSession, maxSessionLength)
		}
		r.MaxSession = int(*maxSession)
	}
	return nil
}

// GetRole answers a role.
func (a *API) GetRole(ctx context.Context, in *api.GetRoleInput) (*api.GetRoleOutput, error) {
	item, err := a.roles.get(ctx, aws.ToString(in.RoleName))
	if err != nil {
		return nil, err
	}
	return &api.GetRoleOutput{Role: wireRole(item.Value)}, nil
}

// ListRoles answers the roles below a path.
func (a *API) ListRoles(ctx context.Context, in *api.ListRolesInput) (*api.ListRolesOutput, error) {
	roles, err := a.roles.list(ctx, in.PathPrefix)
	if err != nil {
		return nil, err
	}
	page, next, err := awswire.Page(roles, in.Marker, in.MaxItems, pages(), func(r Role) string { return r.key() })
	out := &api.ListRolesOutput{Marker: next, IsTruncated: next != nil}
	for _, r := range page {
		role := wireRole(r)
		role.Tags = nil // as AWS
		out.Roles = append(out.Roles, *role)
	}
	return out, err
}

// UpdateRole changes a role's description and the length of its sessions.
func (a *API) UpdateRole(ctx context.Context, in *api.UpdateRoleInput) (*api.UpdateRoleOutput, error) {
	_, err := a.roles.update(ctx, aws.ToString(in.RoleName), func(r *Role) error {
		return r.describe(in.Description, in.MaxSessionDuration)
	}, nil)
	return nil, err
}

// UpdateAssumeRolePolicy changes who may assume a role.
func (a *API) UpdateAssumeRolePolicy(ctx context.Context, in *api.UpdateAssumeRolePolicyInput) (*api.UpdateAssumeRolePolicyOutput, error) {
	if err := checkTrust(aws.ToString(in.PolicyDocument)); err != nil {
		return nil, err
	}
	_, err := a.roles.update(ctx, aws.ToString(in.RoleName), func(r *Role) error {
		r.Trust = *in.PolicyDocument
		return nil
	}, nil)
	return nil, err
}

// DeleteRole removes a role that has no policies. Its sessions end with it.
func (a *API) DeleteRole(ctx context.Context, in *api.DeleteRoleInput) (*api.DeleteRoleOutput, error) {
	for {
		item, err := a.roles.get(ctx, aws.ToString(in.RoleName))
		if err == nil {
			err = item.Value.deletable()
		}
		if err != nil {
			return nil, err
		}
		rev, err := a.store.Commit(ctx, a.roles.table.DeleteOp(item.Key, item.Revision))
		if err == nil {
			return nil, a.roles.mirror.WaitRevision(ctx, rev)
		}
		if !errors.Is(err, state.ErrConflict) {
			return nil, err
		}
	}
}

// ListInstanceProfilesForRole answers none: there are no machines to have them.
func (a *API) ListInstanceProfilesForRole(ctx context.Context, in *api.ListInstanceProfilesForRoleInput) (*api.ListInstanceProfilesForRoleOutput, error) {
	_, err := a.roles.get(ctx, aws.ToString(in.RoleName))
	return nil, err
}

func wireRole(r Role) *types.Role {
	role := &types.Role{
		RoleName: &r.Name, Path: &r.Path, RoleId: &r.ID, Arn: aws.String(r.arn()), CreateDate: &r.Created,
		AssumeRolePolicyDocument: encoded(r.Trust), MaxSessionDuration: aws.Int32(int32(r.MaxSession)), Tags: wireTags(r.Tags),
	}
	if r.Description != "" {
		role.Description = &r.Description
	}
	return role
}

// RoleExists says whether there is a role with an ARN in an account, for services
// that are given one.
func RoleExists(ctx context.Context, store *state.Store, account, roleARN string) (bool, error) {
	name := roleARN[strings.LastIndex(roleARN, "/")+1:]
	item, err := roleTable(store).Get(ctx, recordKey(account, name))
	if errors.Is(err, state.ErrNotFound) {
		return false, nil
	}
	return err == nil && item.Value.arn() == roleARN, err
}

func roleTable(s *state.Store) state.Table[Role] { return state.NewTable[Role](s, "region/iam-roles") }
