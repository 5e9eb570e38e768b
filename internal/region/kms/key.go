package kms

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// newKey makes a key with new material; its id is random if none is given.
func (a *API) newKey(p place, id string) Key {
	if id == "" {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails
		b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
		id = fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	}
	key := Key{ID: id, Account: p.account, Region: p.region, Created: time.Now().UTC().Truncate(time.Millisecond), Enabled: true, Policy: defaultPolicy(p.account)}
	key.Material = []Material{a.newMaterial(id, false)}
	return key
}

func (a *API) newMaterial(keyID string, onDemand bool) Material {
	var id, secret [32]byte
	_, _ = rand.Read(id[:])
	_, _ = rand.Read(secret[:])
	m := Material{ID: hex.EncodeToString(id[:]), Made: time.Now().UTC().Truncate(time.Millisecond), OnDemand: onDemand}
	m.Sealed = a.keyring.Seal(secret[:], materialPurpose(keyID, m.ID))
	return m
}

func materialPurpose(keyID, materialID string) string { return "kms key " + keyID + " " + materialID }

// CreateKey makes a symmetric key.
func (a *API) CreateKey(ctx context.Context, in *api.CreateKeyInput) (*api.CreateKeyOutput, error) {
	err := first(
		unavailable("KeySpec", in.KeySpec != "" && in.KeySpec != types.KeySpecSymmetricDefault),
		//lint:ignore SA1019 older clients send it
		unavailable("CustomerMasterKeySpec", in.CustomerMasterKeySpec != "" && in.CustomerMasterKeySpec != types.CustomerMasterKeySpecSymmetricDefault),
		unavailable("KeyUsage", in.KeyUsage != "" && in.KeyUsage != types.KeyUsageTypeEncryptDecrypt),
		unavailable("Origin", in.Origin != "" && in.Origin != types.OriginTypeAwsKms),
		unavailable("MultiRegion", aws.ToBool(in.MultiRegion)),
		unavailable("CustomKeyStoreId", in.CustomKeyStoreId != nil),
		unavailable("XksKeyId", in.XksKeyId != nil),
		checkDescription(in.Description),
	)
	if err != nil {
		return nil, err
	}
	key := a.newKey(placeOf(ctx), "")
	key.Description = aws.ToString(in.Description)
	if key.Tags, err = mergeTags(nil, in.Tags); err != nil {
		return nil, err
	}
	if in.Policy != nil {
		if err := checkPolicy(*in.Policy); err != nil {
			return nil, err
		}
		key.Policy = *in.Policy
	}
	_, err = a.keys.Create(ctx, key.record(), key)
	return &api.CreateKeyOutput{KeyMetadata: key.metadata()}, err
}

func checkDescription(description *string) error {
	if len(aws.ToString(description)) > 8192 {
		return invalid("A key's description must have at most 8192 characters.")
	}
	return nil
}

// DescribeKey answers what a key is.
func (a *API) DescribeKey(ctx context.Context, in *api.DescribeKeyInput) (*api.DescribeKeyOutput, error) {
	item, err := a.key(ctx, in.KeyId)
	if err != nil {
		return nil, err
	}
	return &api.DescribeKeyOutput{KeyMetadata: item.Value.metadata()}, nil
}

// ListKeys answers the keys of the caller's account and region.
func (a *API) ListKeys(ctx context.Context, in *api.ListKeysInput) (*api.ListKeysOutput, error) {
	p := placeOf(ctx)
	if err := a.ensureManaged(ctx, p, ""); err != nil {
		return nil, err
	}
	items, _, err := a.keys.List(ctx, p.record(""))
	if err != nil {
		return nil, err
	}
	var keys []Key
	for _, item := range items {
		if d := item.Value.DeletionDate; d != nil && !time.Now().Before(*d) {
			if err := remove(ctx, a.store, item); err != nil {
				return nil, err
			}
			continue
		}
		keys = append(keys, item.Value)
	}
	page, next, err := awswire.Page(keys, in.Marker, in.Limit, pages(1000), func(k Key) string { return k.ID })
	out := &api.ListKeysOutput{NextMarker: next, Truncated: next != nil}
	for _, k := range page {
		out.Keys = append(out.Keys, types.KeyListEntry{KeyId: &k.ID, KeyArn: aws.String(k.ARN())})
	}
	return out, err
}

// UpdateKeyDescription changes what is said of a key.
func (a *API) UpdateKeyDescription(ctx context.Context, in *api.UpdateKeyDescriptionInput) (*api.UpdateKeyDescriptionOutput, error) {
	if err := checkDescription(in.Description); err != nil {
		return nil, err
	}
	_, err := a.update(ctx, in.KeyId, func(k *Key) error {
		k.Description = aws.ToString(in.Description)
		return notGivenUp(k)
	})
	return nil, err
}

// EnableKey lets a key be used.
func (a *API) EnableKey(ctx context.Context, in *api.EnableKeyInput) (*api.EnableKeyOutput, error) {
	_, err := a.update(ctx, in.KeyId, func(k *Key) error {
		k.Enabled = true
		return notGivenUp(k)
	})
	return nil, err
}

// DisableKey lets a key not be used.
func (a *API) DisableKey(ctx context.Context, in *api.DisableKeyInput) (*api.DisableKeyOutput, error) {
	_, err := a.update(ctx, in.KeyId, func(k *Key) error {
		k.Enabled = false
		return notGivenUp(k)
	})
	return nil, err
}

// ScheduleKeyDeletion gives a key up: it cannot be used, and is deleted after 7 to
// 30 days.
func (a *API) ScheduleKeyDeletion(ctx context.Context, in *api.ScheduleKeyDeletionInput) (*api.ScheduleKeyDeletionOutput, error) {
	days := 30
	if in.PendingWindowInDays != nil {
		days = int(*in.PendingWindowInDays)
	}
	if days < 7 || days > 30 {
		return nil, invalid("1 validation error detected: Value '%d' at 'pendingWindowInDays' failed to satisfy constraint: "+
			"Member must have value between 7 and 30", days)
	}
	key, err := a.update(ctx, in.KeyId, func(k *Key) error {
		if err := notGivenUp(k); err != nil {
			return err
		}
		date := time.Now().UTC().AddDate(0, 0, days).Truncate(time.Millisecond)
		k.Enabled, k.DeletionDate, k.DeletionDays = false, &date, days
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.ScheduleKeyDeletionOutput{
		KeyId: aws.String(key.ARN()), DeletionDate: key.DeletionDate, KeyState: key.state(), PendingWindowInDays: aws.Int32(int32(days)),
	}, nil
}

// CancelKeyDeletion keeps a key that was given up; it is disabled then.
func (a *API) CancelKeyDeletion(ctx context.Context, in *api.CancelKeyDeletionInput) (*api.CancelKeyDeletionOutput, error) {
	key, err := a.update(ctx, in.KeyId, func(k *Key) error {
		if k.DeletionDate == nil {
			return awswire.BadRequestf("KMSInvalidStateException", "%s is not pending deletion.", k.ARN())
		}
		k.DeletionDate, k.DeletionDays, k.Enabled = nil, 0, false
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.CancelKeyDeletionOutput{KeyId: aws.String(key.ARN())}, nil
}
