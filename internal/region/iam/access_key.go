package iam

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// newKey makes the id and the secret of an access key: AKIA for users, ASIA for
// sessions.
func newKey(prefix string) (id, secret string) {
	var random [30]byte
	_, _ = rand.Read(random[:]) // never fails
	return prefix + rand.Text()[:16], base64.StdEncoding.EncodeToString(random[:])
}

// secretPurpose binds a sealed secret to its key.
func secretPurpose(keyID string) string { return "iam access key " + keyID }

// userKey is the record's key of the user who is named, or else of the caller.
func (a *API) userKey(ctx context.Context, name *string) (string, error) {
	id := awswire.IdentityFrom(ctx)
	if name != nil {
		return recordKey(id.Account, *name), nil
	}
	caller, _ := id.Principal.(principal)
	if caller.user == "" {
		return "", invalid("Must specify userName when calling with non-User credentials")
	}
	return caller.user, nil
}

// user reads the user who is named, or else the caller.
func (a *API) user(ctx context.Context, name *string) (state.Item[User], error) {
	key, err := a.userKey(ctx, name)
	if err != nil {
		return state.Item[User]{}, err
	}
	item, err := a.users.table.Get(ctx, key)
	if errors.Is(err, state.ErrNotFound) {
		return item, a.users.missing(aws.ToString(name))
	}
	return item, err
}

// keysOf are a user's access keys, and the revision at which they are all.
func (a *API) keysOf(ctx context.Context, userKey string) ([]state.Item[AccessKey], int64, error) {
	all, at, err := a.keys.List(ctx, "")
	var keys []state.Item[AccessKey]
	for _, item := range all {
		if item.Value.User == userKey {
			keys = append(keys, item)
		}
	}
	return keys, at, err
}

// CreateAccessKey makes a key, whose secret is answered this once.
func (a *API) CreateAccessKey(ctx context.Context, in *api.CreateAccessKeyInput) (*api.CreateAccessKeyOutput, error) {
	for {
		user, err := a.user(ctx, in.UserName)
		if err != nil {
			return nil, err
		}
		have, at, err := a.keysOf(ctx, user.Key)
		if err != nil {
			return nil, err
		}
		if len(have) >= maxAccessKeys {
			return nil, limitExceeded("Cannot exceed quota for AccessKeysPerUser: %d", maxAccessKeys)
		}
		id, secret := newKey("AKIA")
		key := AccessKey{
			ID: id, Account: user.Value.Account, User: user.Key, UserID: user.Value.ID, Active: true,
			Created: time.Now().UTC().Truncate(time.Second), Secret: a.keyring.Seal([]byte(secret), secretPurpose(id)),
		}
		rev, err := a.store.Commit(ctx, a.keys.PutOp(id, key, 0), a.keys.UnchangedOp(at), a.users.table.CheckOp(user.Key, user.Revision))
		if errors.Is(err, state.ErrConflict) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &api.CreateAccessKeyOutput{AccessKey: &types.AccessKey{
			UserName: &user.Value.Name, AccessKeyId: &key.ID, SecretAccessKey: &secret,
			Status: types.StatusTypeActive, CreateDate: &key.Created,
		}}, a.keyMirror.WaitRevision(ctx, rev)
	}
}

// ListAccessKeys answers a user's keys.
func (a *API) ListAccessKeys(ctx context.Context, in *api.ListAccessKeysInput) (*api.ListAccessKeysOutput, error) {
	user, err := a.user(ctx, in.UserName)
	if err != nil {
		return nil, err
	}
	keys, _, err := a.keysOf(ctx, user.Key)
	if err != nil {
		return nil, err
	}
	page, next, err := awswire.Page(keys, in.Marker, in.MaxItems, pages(), func(k state.Item[AccessKey]) string { return k.Key })
	out := &api.ListAccessKeysOutput{Marker: next, IsTruncated: next != nil}
	for _, k := range page {
		status := types.StatusTypeInactive
		if k.Value.Active {
			status = types.StatusTypeActive
		}
		out.AccessKeyMetadata = append(out.AccessKeyMetadata, types.AccessKeyMetadata{
			UserName: &user.Value.Name, AccessKeyId: &k.Value.ID, Status: status, CreateDate: &k.Value.Created,
		})
	}
	return out, err
}

// UpdateAccessKey makes a key usable or not.
func (a *API) UpdateAccessKey(ctx context.Context, in *api.UpdateAccessKeyInput) (*api.UpdateAccessKeyOutput, error) {
	if in.Status != types.StatusTypeActive && in.Status != types.StatusTypeInactive {
		return nil, invalid("Value '%.20s' at 'status' failed to satisfy constraint: Member must satisfy enum value set: [Active, Inactive]", in.Status)
	}
	key, err := a.key(ctx, in.UserName, aws.ToString(in.AccessKeyId))
	if err != nil {
		return nil, err
	}
	item, err := a.keys.Update(ctx, key.Key, func(k *AccessKey) error {
		k.Active = in.Status == types.StatusTypeActive
		return nil
	})
	if err != nil {
		return nil, err
	}
	return nil, a.keyMirror.WaitRevision(ctx, item.Revision)
}

// DeleteAccessKey removes a key.
func (a *API) DeleteAccessKey(ctx context.Context, in *api.DeleteAccessKeyInput) (*api.DeleteAccessKeyOutput, error) {
	for {
		key, err := a.key(ctx, in.UserName, aws.ToString(in.AccessKeyId))
		if err != nil {
			return nil, err
		}
		rev, err := a.store.Commit(ctx, a.keys.DeleteOp(key.Key, key.Revision))
		if err == nil {
			return nil, a.keyMirror.WaitRevision(ctx, rev)
		}
		if !errors.Is(err, state.ErrConflict) {
			return nil, err
		}
	}
}

// key finds a key of a user.
func (a *API) key(ctx context.Context, userName *string, id string) (state.Item[AccessKey], error) {
	user, err := a.user(ctx, userName)
	if err != nil {
		return state.Item[AccessKey]{}, err
	}
	item, err := a.keys.Get(ctx, id)
	if errors.Is(err, state.ErrNotFound) || err == nil && item.Value.User != user.Key {
		return item, noSuchEntity("The Access Key with id %.128s cannot be found.", id)
	}
	return item, err
}
