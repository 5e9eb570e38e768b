package iam

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// CreateUser makes a user who may do nothing yet.
func (a *API) CreateUser(ctx context.Context, in *api.CreateUserInput) (*api.CreateUserOutput, error) {
	e, err := newEntity(ctx, "userName", "AIDA", in.UserName, in.Path, in.Tags)
	if err = first(err, unavailable("PermissionsBoundary", in.PermissionsBoundary != nil)); err != nil {
		return nil, err
	}
	user := User{e}
	if err := a.users.create(ctx, user); err != nil {
		return nil, err
	}
	return &api.CreateUserOutput{User: wireUser(user)}, nil
}

func newEntity(ctx context.Context, parameter, prefix string, name, path *string, tags []types.Tag) (Entity, error) {
	e := Entity{
		Account: awswire.IdentityFrom(ctx).Account, Name: aws.ToString(name),
		ID: newID(prefix), Created: time.Now().UTC().Truncate(time.Second),
	}
	err := checkName(parameter, e.Name, 64)
	if err == nil {
		e.Path, err = checkPath(path)
	}
	if err == nil {
		e.Tags, err = mergeTags(nil, tags)
	}
	return e, err
}

// GetUser answers a user: the caller, if none is named.
func (a *API) GetUser(ctx context.Context, in *api.GetUserInput) (*api.GetUserOutput, error) {
	id := awswire.IdentityFrom(ctx)
	name := aws.ToString(in.UserName)
	if in.UserName == nil {
		caller, _ := id.Principal.(principal)
		switch {
		case caller.root:
			return &api.GetUserOutput{User: &types.User{Arn: &id.ARN, UserId: &id.UserID, Path: aws.String("/"), UserName: aws.String("root")}}, nil
		case caller.user == "":
			return nil, invalid("Must specify userName when calling with non-User credentials")
		}
		item, err := a.users.table.Get(ctx, caller.user)
		if err != nil {
			return nil, err
		}
		return &api.GetUserOutput{User: wireUser(item.Value)}, nil
	}
	item, err := a.users.get(ctx, name)
	if err != nil {
		return nil, err
	}
	return &api.GetUserOutput{User: wireUser(item.Value)}, nil
}

// ListUsers answers the users below a path.
func (a *API) ListUsers(ctx context.Context, in *api.ListUsersInput) (*api.ListUsersOutput, error) {
	users, err := a.users.list(ctx, in.PathPrefix)
	if err != nil {
		return nil, err
	}
	page, next, err := awswire.Page(users, in.Marker, in.MaxItems, pages(), func(u User) string { return u.key() })
	out := &api.ListUsersOutput{Marker: next, IsTruncated: next != nil}
	for _, u := range page {
		user := wireUser(u)
		user.Tags = nil // as AWS
		out.Users = append(out.Users, *user)
	}
	return out, err
}

// UpdateUser changes a user's path. Another name would be another user to all
// that refers to this one.
func (a *API) UpdateUser(ctx context.Context, in *api.UpdateUserInput) (*api.UpdateUserOutput, error) {
	if err := unavailable("NewUserName", in.NewUserName != nil && *in.NewUserName != aws.ToString(in.UserName)); err != nil {
		return nil, err
	}
	_, err := a.users.update(ctx, aws.ToString(in.UserName), func(u *User) (err error) {
		if in.NewPath != nil {
			u.Path, err = checkPath(in.NewPath)
		}
		return err
	}, nil)
	return nil, err
}

// DeleteUser removes a user who has neither keys nor policies.
func (a *API) DeleteUser(ctx context.Context, in *api.DeleteUserInput) (*api.DeleteUserOutput, error) {
	for {
		item, err := a.users.get(ctx, aws.ToString(in.UserName))
		if err != nil {
			return nil, err
		}
		keys, at, err := a.keysOf(ctx, item.Key)
		if err != nil {
			return nil, err
		}
		if len(keys) > 0 {
			return nil, conflict("Cannot delete entity, must delete access keys first.")
		}
		if err := item.Value.deletable(); err != nil {
			return nil, err
		}
		rev, err := a.store.Commit(ctx, a.users.table.DeleteOp(item.Key, item.Revision), a.keys.UnchangedOp(at))
		if err == nil {
			return nil, a.users.mirror.WaitRevision(ctx, rev)
		}
		if !errors.Is(err, state.ErrConflict) {
			return nil, err
		}
	}
}

// deletable refuses to delete what has policies.
func (e Entity) deletable() error {
	if len(e.Attached) > 0 {
		return conflict("Cannot delete entity, must detach all policies first.")
	}
	if len(e.Inline) > 0 {
		return conflict("Cannot delete entity, must delete policies first.")
	}
	return nil
}

// ListGroupsForUser answers none: there are no groups in this region.
func (a *API) ListGroupsForUser(ctx context.Context, in *api.ListGroupsForUserInput) (*api.ListGroupsForUserOutput, error) {
	_, err := a.users.get(ctx, aws.ToString(in.UserName))
	return nil, err
}

func wireUser(u User) *types.User {
	return &types.User{
		UserName: &u.Name, Path: &u.Path, UserId: &u.ID, Arn: aws.String(u.arn()), CreateDate: &u.Created, Tags: wireTags(u.Tags),
	}
}
