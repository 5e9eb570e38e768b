package secretsmanager

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/region/kms"
	"github.com/daybreakdb/daybreak/internal/state"
)

// ManagedRotation is how often the owner of a secret gives it a new value.
const ManagedRotation = 7 * 24 * time.Hour

// Managed makes and changes secrets that another service of the region owns. Users
// read them, and have them rotated; the rest is for the owner to do. Its methods
// return what is to be stored in the owner's transaction.
type Managed struct{ api *API }

// NewManaged returns the secrets of a store.
func NewManaged(store *state.Store, keys *keyring.Keyring) *Managed {
	return &Managed{newAPI(store, keys)}
}

// Owner says whose a secret is.
type Owner struct {
	Service  string // as rds
	Resource string // its id
}

// Create makes a secret, and says its ARN. kmsKey is empty or the ARN of a key that
// can be used.
func (m *Managed) Create(account, region, name string, owner Owner, description, kmsKey, text string, tags map[string]string) (string, []state.Op) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	s := Secret{
		Account: account, Region: region, Name: name, Suffix: newSuffix(), Description: description, KmsKeyID: kmsKey,
		Created: now, Changed: now, Owner: owner, Rotated: now, Tags: maps.Clone(tags),
	}
	value := m.api.add(&s, value{id: newVersionID(), data: []byte(text)}, []string{current}, now)
	return s.ARN(), []state.Op{value, m.api.secrets.PutOp(s.record(), s, 0)}
}

// Replace gives a secret a new value; the id of its version is a new one if none is
// given. Of the others only the one before it is kept. kms.ErrUnusable says that the
// secret's key cannot be used.
func (m *Managed) Replace(ctx context.Context, account, region, name, version, text string) ([]state.Op, error) {
	item, err := m.api.secrets.Get(ctx, place{account, region}.record(name))
	if err != nil {
		return nil, err
	}
	s := item.Value
	if s.KmsKeyID != "" {
		if _, err := kms.Usable(ctx, m.api.store, account, region, s.KmsKeyID); err != nil {
			return nil, err
		}
	}
	if version == "" {
		version = newVersionID()
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	s.Changed, s.Rotated = now, now
	s.Versions = append([]Version(nil), s.Versions...)
	ops := []state.Op{m.api.add(&s, value{id: version, data: []byte(text)}, []string{current}, now)}
	kept := s.Versions[:0:0]
	for _, v := range s.Versions {
		if len(v.Stages) > 0 {
			kept = append(kept, v)
			continue
		}
		old, err := m.api.values.Get(ctx, s.valueRecord(v.ID))
		if err != nil {
			return nil, err
		}
		ops = append(ops, m.api.values.DeleteOp(old.Key, old.Revision))
	}
	s.Versions = kept
	return append(ops, m.api.secrets.PutOp(item.Key, s, item.Revision)), nil
}

// Delete ends a secret at once.
func (m *Managed) Delete(ctx context.Context, account, region, name string) ([]state.Op, error) {
	item, err := m.api.secrets.Get(ctx, place{account, region}.record(name))
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return m.api.removeOps(ctx, item)
}

// Rotation is a user's wish for a new value of a managed secret. The owner takes it
// from the table when it is done.
type Rotation struct {
	Version string `json:"version"` // the id that the new version is to have
}

// Rotations is keyed by the resource id of the owner.
func Rotations(store *state.Store) state.Table[Rotation] {
	return state.NewTable[Rotation](store, "region/secret-rotations")
}

// refuseManaged refuses what only the owner of a secret may do.
func refuseManaged(s *Secret) error {
	if s.Owner.Service == "" {
		return nil
	}
	return invalidRequest("You can't perform this operation on the secret because it is managed by another service: %s.", s.Owner.Service)
}

// RotateSecret has the owner of a managed secret give it a new value soon.
func (a *API) RotateSecret(ctx context.Context, in *api.RotateSecretInput) (*api.RotateSecretOutput, error) {
	item, err := a.get(ctx, in.SecretId)
	if err != nil {
		return nil, err
	}
	s := item.Value
	switch {
	case s.DeleteAsked != nil:
		return nil, givenUp()
	case s.Owner.Service == "":
		return nil, invalidRequest("No Lambda rotation function ARN is associated with this secret, and this region has no Lambda functions yet.")
	case in.RotationLambdaARN != nil || in.RotationRules != nil:
		return nil, refuseManaged(&s)
	case in.RotateImmediately != nil && !*in.RotateImmediately:
		return &api.RotateSecretOutput{ARN: aws.String(s.ARN()), Name: &s.Name}, nil
	}
	wish, table := Rotation{Version: newVersionID()}, Rotations(a.store)
	if token := aws.ToString(in.ClientRequestToken); token != "" {
		if len(token) < 32 || len(token) > 64 {
			return nil, invalidParameter("ClientRequestToken must have 32 to 64 characters.")
		}
		wish.Version = token
	}
	out := &api.RotateSecretOutput{ARN: aws.String(s.ARN()), Name: &s.Name, VersionId: &wish.Version}
	if s.version(wish.Version) >= 0 {
		return out, nil // the same request once more
	}
	_, err = table.Create(ctx, s.Owner.Resource, wish)
	if errors.Is(err, state.ErrExists) {
		return nil, invalidRequest("A previous rotation isn't complete. That rotation will be reattempted.")
	}
	return out, err
}
