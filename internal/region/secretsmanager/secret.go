package secretsmanager

import (
	"context"
	"errors"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// CreateSecret makes a secret, with a first value if one is given.
func (a *API) CreateSecret(ctx context.Context, in *api.CreateSecretInput) (*api.CreateSecretOutput, error) {
	if err := checkCreate(in); err != nil {
		return nil, err
	}
	p, now := placeOf(ctx), time.Now().UTC().Truncate(time.Millisecond)
	s := Secret{
		Account: p.account, Region: p.region, Name: *in.Name, Suffix: newSuffix(), Description: aws.ToString(in.Description), Created: now, Changed: now,
	}
	var err error
	if s.Tags, err = mergeTags(nil, in.Tags); err != nil {
		return nil, err
	}
	if s.KmsKeyID, err = a.usableKey(ctx, aws.ToString(in.KmsKeyId), "EncryptionFailure"); err != nil {
		return nil, err
	}
	out := &api.CreateSecretOutput{ARN: aws.String(s.ARN()), Name: in.Name}
	v, err := newValue(in.ClientRequestToken, in.SecretString, in.SecretBinary)
	if err != nil {
		return nil, err
	}
	var ops []state.Op
	if v != nil {
		ops = append(ops, a.add(&s, *v, []string{current}, now))
		out.VersionId = &v.id
	}
	_, err = a.secrets.Create(ctx, s.record(), s, ops...)
	if errors.Is(err, state.ErrExists) {
		return a.createAgain(ctx, in, v)
	}
	return out, err
}

func checkCreate(in *api.CreateSecretInput) error {
	if !regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`).MatchString(aws.ToString(in.Name)) {
		return awswire.BadRequestf("ValidationException", "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}
	if len(in.AddReplicaRegions) > 0 || in.Type != nil {
		return invalidParameter("Replicas and types of secrets are not available in this region yet. Leave AddReplicaRegions and Type out.")
	}
	return checkDescription(in.Description)
}

func checkDescription(description *string) error {
	if len(aws.ToString(description)) > 2048 {
		return invalidParameter("A secret's description must have at most 2048 characters.")
	}
	return nil
}

// createAgain answers a request for a secret whose name is taken: the same
// request once more is answered as the first one.
func (a *API) createAgain(ctx context.Context, in *api.CreateSecretInput, v *value) (*api.CreateSecretOutput, error) {
	item, err := a.byName(ctx, placeOf(ctx), *in.Name)
	var refused *awswire.Error
	if errors.As(err, &refused) { // it was one that was to be gone by now
		return a.CreateSecret(ctx, in)
	}
	if err != nil {
		return nil, err
	}
	if item.Value.DeleteAsked != nil {
		return nil, invalidRequest("You can't create this secret because a secret with this name is already scheduled for deletion.")
	}
	if v != nil && in.ClientRequestToken != nil && item.Value.version(v.id) >= 0 {
		if same, err := a.same(ctx, item.Value, *v); err != nil || same {
			return &api.CreateSecretOutput{ARN: aws.String(item.Value.ARN()), Name: in.Name, VersionId: &v.id}, err
		}
	}
	return nil, awswire.BadRequestf("ResourceExistsException", "The operation failed because the secret %s already exists.", *in.Name)
}

// DescribeSecret answers all but the values.
func (a *API) DescribeSecret(ctx context.Context, in *api.DescribeSecretInput) (*api.DescribeSecretOutput, error) {
	item, err := a.get(ctx, in.SecretId)
	if err != nil {
		return nil, err
	}
	s := item.Value
	out := &api.DescribeSecretOutput{
		ARN: aws.String(s.ARN()), Name: &s.Name, CreatedDate: &s.Created, LastChangedDate: &s.Changed, DeletedDate: s.DeleteAsked,
		Tags: wireTags(s.Tags), VersionIdsToStages: s.stages(), RotationEnabled: aws.Bool(false),
	}
	if s.Description != "" {
		out.Description = &s.Description
	}
	if s.KmsKeyID != "" {
		out.KmsKeyId = &s.KmsKeyID
	}
	if !s.Accessed.IsZero() {
		out.LastAccessedDate = &s.Accessed
	}
	if s.Owner.Service != "" {
		out.OwningService, out.RotationEnabled, out.LastRotatedDate = &s.Owner.Service, aws.Bool(true), &s.Rotated
		out.NextRotationDate = aws.Time(s.Rotated.Add(ManagedRotation))
		out.RotationRules = &types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(int64(ManagedRotation / (24 * time.Hour)))}
	}
	return out, nil
}

// UpdateSecret changes a secret, and adds a value if one is given.
func (a *API) UpdateSecret(ctx context.Context, in *api.UpdateSecretInput) (*api.UpdateSecretOutput, error) {
	if in.Type != nil {
		return nil, invalidParameter("Types of secrets are not available in this region yet. Leave Type out.")
	}
	v, err := newValue(in.ClientRequestToken, in.SecretString, in.SecretBinary)
	if err = first(err, checkDescription(in.Description)); err != nil {
		return nil, err
	}
	key, err := a.usableKey(ctx, aws.ToString(in.KmsKeyId), "EncryptionFailure")
	if err != nil {
		return nil, err
	}
	s, err := a.update(ctx, in.SecretId, func(s *Secret) ([]state.Op, error) {
		if err := refuseManaged(s); err != nil {
			return nil, err
		}
		if in.Description != nil {
			s.Description = *in.Description
		}
		if in.KmsKeyId != nil {
			s.KmsKeyID = key
		}
		if v == nil {
			return nil, nil
		}
		return a.put(ctx, s, *v, []string{current})
	})
	if err != nil {
		return nil, err
	}
	out := &api.UpdateSecretOutput{ARN: aws.String(s.ARN()), Name: &s.Name}
	if v != nil {
		out.VersionId = &v.id
	}
	return out, nil
}

// DeleteSecret gives a secret up: it cannot be read, and is gone after 7 to 30
// days, or at once if that is asked for.
func (a *API) DeleteSecret(ctx context.Context, in *api.DeleteSecretInput) (*api.DeleteSecretOutput, error) {
	now, days, force := time.Now().UTC().Truncate(time.Millisecond), int64(30), aws.ToBool(in.ForceDeleteWithoutRecovery)
	if in.RecoveryWindowInDays != nil {
		days = *in.RecoveryWindowInDays
	}
	switch {
	case force && in.RecoveryWindowInDays != nil:
		return nil, invalidParameter("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	case days < 7 || days > 30:
		return nil, invalidParameter("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	}
	if force {
		return a.deleteNow(ctx, in.SecretId, now)
	}
	date := now.AddDate(0, 0, int(days))
	s, err := a.update(ctx, in.SecretId, func(s *Secret) ([]state.Op, error) {
		if err := refuseManaged(s); err != nil {
			return nil, err
		}
		s.DeleteAsked, s.DeleteAt = &now, &date
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteSecretOutput{ARN: aws.String(s.ARN()), Name: &s.Name, DeletionDate: &date}, nil
}

// deleteNow removes a secret; one that is not there is no error, as on AWS.
func (a *API) deleteNow(ctx context.Context, given *string, now time.Time) (*api.DeleteSecretOutput, error) {
	for {
		item, err := a.get(ctx, given)
		var refused *awswire.Error
		if errors.As(err, &refused) {
			return &api.DeleteSecretOutput{ARN: given, Name: given, DeletionDate: &now}, nil
		}
		if err == nil {
			err = refuseManaged(&item.Value)
		}
		if err == nil {
			err = a.remove(ctx, item)
		}
		if err != nil {
			return nil, err
		}
		if _, err := a.secrets.Get(ctx, item.Key); errors.Is(err, state.ErrNotFound) {
			return &api.DeleteSecretOutput{ARN: aws.String(item.Value.ARN()), Name: &item.Value.Name, DeletionDate: &now}, nil
		} else if err != nil {
			return nil, err
		}
	}
}

// RestoreSecret keeps a secret that was given up.
func (a *API) RestoreSecret(ctx context.Context, in *api.RestoreSecretInput) (*api.RestoreSecretOutput, error) {
	item, err := a.get(ctx, in.SecretId)
	if err != nil {
		return nil, err
	}
	item, err = a.secrets.Update(ctx, item.Key, func(s *Secret) error {
		s.DeleteAsked, s.DeleteAt = nil, nil
		return nil
	})
	if errors.Is(err, state.ErrNotFound) {
		return nil, notFound()
	}
	return &api.RestoreSecretOutput{ARN: aws.String(item.Value.ARN()), Name: &item.Value.Name}, err
}
