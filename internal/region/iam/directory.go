package iam

import (
	"context"
	"fmt"

	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Directory says whom credentials stand for, and what they may do. It follows the
// state, so that it answers without a request to it.
type Directory struct {
	store    *state.Store
	keyring  *keyring.Keyring
	root     awswire.CredentialStore
	users    kind[User]
	roles    kind[Role]
	policies state.Table[Policy]
	keys     state.Table[AccessKey]

	policyMirror *state.Mirror[Policy]
	keyMirror    *state.Mirror[AccessKey]
}

// NewDirectory returns a directory that follows the state until ctx ends. The
// credentials of root may do everything.
func NewDirectory(ctx context.Context, store *state.Store, keys *keyring.Keyring, root awswire.CredentialStore) (*Directory, error) {
	d := &Directory{
		store: store, keyring: keys, root: root,
		users: kind[User]{store: store, noun: "user", table: state.NewTable[User](store, "region/iam-users"),
			entity: func(u *User) *Entity { return &u.Entity }},
		roles: kind[Role]{store: store, noun: "role", table: roleTable(store),
			entity: func(r *Role) *Entity { return &r.Entity }},
		policies: state.NewTable[Policy](store, "region/iam-policies"),
		keys:     state.NewTable[AccessKey](store, "region/iam-access-keys"),
	}
	var err error
	if d.users.mirror, err = state.NewMirror(ctx, d.users.table); err != nil {
		return nil, fmt.Errorf("iam: %w", err)
	}
	if d.roles.mirror, err = state.NewMirror(ctx, d.roles.table); err != nil {
		return nil, fmt.Errorf("iam: %w", err)
	}
	if d.policyMirror, err = state.NewMirror(ctx, d.policies); err != nil {
		return nil, fmt.Errorf("iam: %w", err)
	}
	if d.keyMirror, err = state.NewMirror(ctx, d.keys); err != nil {
		return nil, fmt.Errorf("iam: %w", err)
	}
	return d, nil
}

// principal is whom a credential stands for. Root, or a user, or a role's
// session.
type principal struct {
	root     bool
	user     string   // key of the user's record
	role     string   // key of the role's record
	policies []string // documents that a session was restricted with
}

// Credential implements awswire.CredentialStore.
func (d *Directory) Credential(accessKeyID, sessionToken string) (awswire.Credential, bool) {
	if sessionToken != "" {
		return d.session(accessKeyID, sessionToken)
	}
	if c, ok := d.root.Credential(accessKeyID, ""); ok {
		c.Principal = principal{root: true}
		return c, true
	}
	key, ok := d.keyMirror.Get(accessKeyID)
	if !ok || !key.Value.Active {
		return awswire.Credential{}, false
	}
	user, ok := d.users.mirror.Get(key.Value.User)
	if !ok || user.Value.ID != key.Value.UserID {
		return awswire.Credential{}, false
	}
	secret, err := d.keyring.Open(key.Value.Secret, secretPurpose(accessKeyID))
	if err != nil {
		return awswire.Credential{}, false
	}
	return awswire.Credential{
		AccessKeyID: accessKeyID, SecretAccessKey: string(secret), Account: user.Value.Account,
		UserARN: user.Value.arn(), UserID: user.Value.ID, Principal: principal{user: user.Key},
	}, true
}
