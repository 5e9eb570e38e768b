package kms

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

const (
	defaultRotation = 365 // days
	maxOnDemand     = 25
)

// EnableKeyRotation gives a key new material every 90 to 2560 days; what was
// encrypted before can still be decrypted.
func (a *API) EnableKeyRotation(ctx context.Context, in *api.EnableKeyRotationInput) (*api.EnableKeyRotationOutput, error) {
	days := defaultRotation
	if in.RotationPeriodInDays != nil {
		days = int(*in.RotationPeriodInDays)
	}
	if days < 90 || days > 2560 {
		return nil, invalid("Value '%d' at 'rotationPeriodInDays' failed to satisfy constraint: Member must have value between 90 and 2560", days)
	}
	_, err := a.update(ctx, in.KeyId, func(k *Key) error {
		if err := enabled(k); err != nil {
			return err
		}
		k.RotationDays, k.NextRotation = days, time.Now().UTC().AddDate(0, 0, days).Truncate(time.Millisecond)
		return nil
	})
	return nil, err
}

func enabled(k *Key) error {
	if err := notGivenUp(k); err != nil {
		return err
	}
	if !k.Enabled {
		return awswire.BadRequestf("DisabledException", "%s is disabled.", k.ARN())
	}
	return nil
}

// DisableKeyRotation ends automatic rotation.
func (a *API) DisableKeyRotation(ctx context.Context, in *api.DisableKeyRotationInput) (*api.DisableKeyRotationOutput, error) {
	_, err := a.update(ctx, in.KeyId, func(k *Key) error {
		k.RotationDays, k.NextRotation = 0, time.Time{}
		return enabled(k)
	})
	return nil, err
}

// GetKeyRotationStatus answers whether and when a key is rotated.
func (a *API) GetKeyRotationStatus(ctx context.Context, in *api.GetKeyRotationStatusInput) (*api.GetKeyRotationStatusOutput, error) {
	item, err := a.key(ctx, in.KeyId)
	if err != nil {
		return nil, err
	}
	key := item.Value
	out := &api.GetKeyRotationStatusOutput{KeyId: aws.String(key.ARN())}
	if key.RotationDays > 0 && key.DeletionDate == nil {
		out.KeyRotationEnabled, out.NextRotationDate, out.RotationPeriodInDays = true, &key.NextRotation, aws.Int32(int32(key.RotationDays))
	}
	return out, nil
}

// RotateKeyOnDemand gives a key new material now.
func (a *API) RotateKeyOnDemand(ctx context.Context, in *api.RotateKeyOnDemandInput) (*api.RotateKeyOnDemandOutput, error) {
	key, err := a.update(ctx, in.KeyId, func(k *Key) error {
		if err := enabled(k); err != nil {
			return err
		}
		n := 0
		for _, m := range k.Material {
			if m.OnDemand {
				n++
			}
		}
		if n >= maxOnDemand {
			return awswire.BadRequestf("LimitExceededException", "A key can be rotated %d times on demand.", maxOnDemand)
		}
		k.Material = append(k.Material, a.newMaterial(k.ID, true))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.RotateKeyOnDemandOutput{KeyId: aws.String(key.ARN())}, nil
}

// ListKeyRotations answers when a key got new material.
func (a *API) ListKeyRotations(ctx context.Context, in *api.ListKeyRotationsInput) (*api.ListKeyRotationsOutput, error) {
	item, err := a.key(ctx, in.KeyId)
	if err = first(err, unavailable("IncludeKeyMaterial", in.IncludeKeyMaterial == types.IncludeKeyMaterialAllKeyMaterial)); err != nil {
		return nil, err
	}
	arn := aws.String(item.Value.ARN())
	page, next, err := awswire.Page(item.Value.Material[1:], in.Marker, in.Limit, pages(1000), func(m Material) string {
		return m.Made.Format(time.RFC3339Nano) + m.ID
	})
	out := &api.ListKeyRotationsOutput{NextMarker: next, Truncated: next != nil}
	for _, m := range page {
		kind := types.RotationTypeAutomatic
		if m.OnDemand {
			kind = types.RotationTypeOnDemand
		}
		out.Rotations = append(out.Rotations, types.RotationsListEntry{KeyId: arn, RotationDate: &m.Made, RotationType: kind, KeyMaterialId: &m.ID})
	}
	return out, err
}
