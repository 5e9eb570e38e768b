package iam

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// API holds the actions.
type API struct {
	*Directory
}

// New returns the IAM service of a directory.
func New(d *Directory) *awswire.Service {
	a := &API{d}
	s := awswire.IAM()
	awswire.Register(s, a.CreateUser)
	awswire.Register(s, a.GetUser)
	awswire.Register(s, a.ListUsers)
	awswire.Register(s, a.UpdateUser)
	awswire.Register(s, a.DeleteUser)
	awswire.Register(s, a.TagUser)
	awswire.Register(s, a.UntagUser)
	awswire.Register(s, a.ListUserTags)
	awswire.Register(s, a.ListGroupsForUser)
	awswire.Register(s, a.CreateAccessKey)
	awswire.Register(s, a.ListAccessKeys)
	awswire.Register(s, a.UpdateAccessKey)
	awswire.Register(s, a.DeleteAccessKey)
	awswire.Register(s, a.CreateRole)
	awswire.Register(s, a.GetRole)
	awswire.Register(s, a.ListRoles)
	awswire.Register(s, a.UpdateRole)
	awswire.Register(s, a.UpdateAssumeRolePolicy)
	awswire.Register(s, a.DeleteRole)
	awswire.Register(s, a.TagRole)
	awswire.Register(s, a.UntagRole)
	awswire.Register(s, a.ListRoleTags)
	awswire.Register(s, a.ListInstanceProfilesForRole)
	registerPolicies(s, a)
	s.NameResources(a.resources)
	return s
}

func registerPolicies(s *awswire.Service, a *API) {
	awswire.Register(s, a.CreatePolicy)
	awswire.Register(s, a.GetPolicy)
	awswire.Register(s, a.ListPolicies)
	awswire.Register(s, a.DeletePolicy)
	awswire.Register(s, a.TagPolicy)
	awswire.Register(s, a.UntagPolicy)
	awswire.Register(s, a.ListPolicyTags)
	awswire.Register(s, a.CreatePolicyVersion)
	awswire.Register(s, a.GetPolicyVersion)
	awswire.Register(s, a.ListPolicyVersions)
	awswire.Register(s, a.SetDefaultPolicyVersion)
	awswire.Register(s, a.DeletePolicyVersion)
	awswire.Register(s, a.ListEntitiesForPolicy)
	awswire.Register(s, a.AttachRolePolicy)
	awswire.Register(s, a.DetachRolePolicy)
	awswire.Register(s, a.ListAttachedRolePolicies)
	awswire.Register(s, a.PutRolePolicy)
	awswire.Register(s, a.GetRolePolicy)
	awswire.Register(s, a.ListRolePolicies)
	awswire.Register(s, a.DeleteRolePolicy)
	awswire.Register(s, a.AttachUserPolicy)
	awswire.Register(s, a.DetachUserPolicy)
	awswire.Register(s, a.ListAttachedUserPolicies)
	awswire.Register(s, a.PutUserPolicy)
	awswire.Register(s, a.GetUserPolicy)
	awswire.Register(s, a.ListUserPolicies)
	awswire.Register(s, a.DeleteUserPolicy)
}

// kind is users or roles, for what can be done to both.
type kind[T any] struct {
	store  *state.Store
	noun   string // user, role
	table  state.Table[T]
	mirror *state.Mirror[T]
	entity func(*T) *Entity
}

// get reads the caller's record of a name.
func (k kind[T]) get(ctx context.Context, name string) (state.Item[T], error) {
	item, err := k.table.Get(ctx, recordKey(awswire.IdentityFrom(ctx).Account, name))
	if errors.Is(err, state.ErrNotFound) {
		return item, k.missing(name)
	}
	return item, err
}

func (k kind[T]) missing(name string) error {
	return noSuchEntity("The %s with name %.128s cannot be found.", k.noun, name)
}

// update changes a record, and waits until the directory has the change. Checks
// must hold too; if they do not, change is tried again.
func (k kind[T]) update(ctx context.Context, name string, change func(*T) error, checks func() ([]state.Op, error)) (T, error) {
	for {
		item, err := k.get(ctx, name)
		if err != nil {
			return item.Value, err
		}
		var ops []state.Op
		if checks != nil {
			if ops, err = checks(); err != nil {
				return item.Value, err
			}
		}
		if err := change(&item.Value); errors.Is(err, state.ErrUnchanged) {
			return item.Value, nil
		} else if err != nil {
			return item.Value, err
		}
		rev, err := k.store.Commit(ctx, append(ops, k.table.PutOp(item.Key, item.Value, item.Revision))...)
		if err == nil {
			return item.Value, k.mirror.WaitRevision(ctx, rev)
		}
		if !errors.Is(err, state.ErrConflict) {
			return item.Value, err
		}
	}
}

// create writes a new record.
func (k kind[T]) create(ctx context.Context, value T) error {
	e := k.entity(&value)
	rev, err := k.table.Create(ctx, e.key(), value)
	if errors.Is(err, state.ErrExists) {
		return exists("%s with name %s already exists.", upperFirst(k.noun), e.Name)
	}
	if err != nil {
		return err
	}
	return k.mirror.WaitRevision(ctx, rev)
}

// list are the caller's records below a path.
func (k kind[T]) list(ctx context.Context, prefix *string) ([]T, error) {
	items, _, err := k.table.List(ctx, recordKey(awswire.IdentityFrom(ctx).Account, ""))
	if err != nil {
		return nil, err
	}
	var values []T
	for _, item := range items {
		if prefix == nil || strings.HasPrefix(k.entity(&item.Value).Path, *prefix) {
			values = append(values, item.Value)
		}
	}
	return values, nil
}

// tag adds tags to a record and takes others away.
func (k kind[T]) tag(ctx context.Context, name string, change func(map[string]string) (map[string]string, error)) error {
	_, err := k.update(ctx, name, func(v *T) error {
		tags, err := change(k.entity(v).Tags)
		k.entity(v).Tags = tags
		return err
	}, nil)
	return err
}

// newID is a random id of AWS's shape: a prefix and 17 letters and digits.
func newID(prefix string) string { return prefix + rand.Text()[:17] }

// encoded is a document as IAM answers it.
func encoded(document string) *string {
	text := strings.ReplaceAll(url.QueryEscape(document), "+", "%20")
	return &text
}
