package account

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/state"
)

// keyPrefix is how every API key begins.
const keyPrefix = "om_"

// APIKey stands for its user, with at most its own role. The key itself is not
// stored.
type APIKey struct {
	ID          string    `json:"id"`
	UserID      string    `json:"userId"`
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Role        Role      `json:"role"`
	Prefix      string    `json:"prefix"`
	Digest      string    `json:"digest"`
	CreateTime  time.Time `json:"createTime"`
	Expires     time.Time `json:"expires,omitzero"`
	Revoked     time.Time `json:"revoked,omitzero"`
}

func (k APIKey) usable(now time.Time) bool {
	return k.Revoked.IsZero() && (k.Expires.IsZero() || now.Before(k.Expires))
}

func keyName(digest string) state.Name {
	return state.Name{Kind: "api-key", Account: "platform", Region: "platform", Name: digest}
}

// CreateAPIKey makes a key of p's user and returns it: it cannot be seen again.
func (a *Accounts) CreateAPIKey(ctx context.Context, p Principal, k APIKey) (key string, made APIKey, err error) {
	switch {
	case p.UserID == installationUser:
		return "", k, invalid("an API key belongs to a user: sign in as one")
	case k.Name == "":
		return "", k, invalid("name: an API key needs one")
	case k.Role.rank() < 0:
		return "", k, invalid("roleType %q: want root, admin, editor or reader", k.Role)
	case !p.Role.Includes(k.Role):
		return "", k, refuse(http.StatusForbidden, rest.CodeUnauthorized, "a key cannot have a role above your own, "+string(p.Role))
	case !k.Expires.IsZero() && a.Now().After(k.Expires):
		return "", k, invalid("expiresAt is in the past")
	}
	key = keyPrefix + rand.Text()
	k.ID, k.UserID, k.Prefix, k.Digest, k.CreateTime = newID("apikey-"), p.UserID, key[:len(keyPrefix)+4], digest(key), a.Now().UTC()
	_, err = a.keys.Create(ctx, k.ID, k, keyName(k.Digest).Claim(k.ID))
	return key, k, err
}

// keyOf returns the key that a secret is of, or none.
func (a *Accounts) keyOf(ctx context.Context, secret string) (APIKey, error) {
	if !strings.HasPrefix(secret, keyPrefix) {
		return APIKey{}, nil
	}
	id, err := a.Store.Lookup(ctx, keyName(digest(secret)))
	if errors.Is(err, state.ErrNotFound) {
		return APIKey{}, nil
	}
	if err != nil {
		return APIKey{}, err
	}
	item, err := a.keys.Get(ctx, id)
	if errors.Is(err, state.ErrNotFound) || err == nil && !item.Value.usable(a.Now()) {
		return APIKey{}, nil
	}
	return item.Value, err
}

// APIKeys are those of a user, oldest first.
func (a *Accounts) APIKeys(ctx context.Context, user string) ([]APIKey, error) {
	items, _, err := a.keys.List(ctx, "")
	var keys []APIKey
	for _, item := range items {
		if item.Value.UserID == user {
			keys = append(keys, item.Value)
		}
	}
	slices.SortFunc(keys, func(x, y APIKey) int { return x.CreateTime.Compare(y.CreateTime) })
	return keys, err
}

// APIKey returns a key of the user; another's is not there.
func (a *Accounts) APIKey(ctx context.Context, user, id string) (APIKey, error) {
	item, err := a.keys.Get(ctx, id)
	if errors.Is(err, state.ErrNotFound) || err == nil && item.Value.UserID != user {
		return APIKey{}, notFound("API key", id)
	}
	return item.Value, err
}

// ChangeAPIKey writes what change does to a key of the user.
func (a *Accounts) ChangeAPIKey(ctx context.Context, user, id string, change func(*APIKey)) (APIKey, error) {
	if _, err := a.APIKey(ctx, user, id); err != nil {
		return APIKey{}, err
	}
	item, err := a.keys.Update(ctx, id, func(k *APIKey) error { change(k); return nil })
	return item.Value, err
}

// RevokeAPIKey ends what the key is good for, and what was begun with it.
func (a *Accounts) RevokeAPIKey(ctx context.Context, user, id string) (APIKey, error) {
	return a.ChangeAPIKey(ctx, user, id, func(k *APIKey) {
		if k.Revoked.IsZero() {
			k.Revoked = a.Now().UTC()
		}
	})
}

// DeleteAPIKey removes a key.
func (a *Accounts) DeleteAPIKey(ctx context.Context, user, id string) error {
	k, err := a.APIKey(ctx, user, id)
	if err != nil {
		return err
	}
	return a.keys.Delete(ctx, id, keyName(k.Digest).Release(id))
}
