package secretsmanager

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

const (
	maxValue    = 65536
	maxVersions = 100
	maxStages   = 20
)

// value is a new value for a secret.
type value struct {
	id     string // of its version
	binary bool
	data   []byte
}

// newValue checks the value that a request has; nil if there is none. The
// client's token is the version's id.
func newValue(token, text *string, data []byte) (*value, error) {
	v := value{id: aws.ToString(token), data: data, binary: true}
	if token == nil {
		v.id = newVersionID()
	} else if len(v.id) < 32 || len(v.id) > 64 {
		return nil, invalidParameter("ClientRequestToken must have 32 to 64 characters.")
	}
	switch {
	case text != nil && data != nil:
		return nil, invalidParameter("You can't specify both a binary secret value and a string secret value in the same secret.")
	case text == nil && data == nil:
		return nil, nil
	case text != nil:
		v.data, v.binary = []byte(*text), false
	}
	if len(v.data) == 0 || len(v.data) > maxValue {
		return nil, invalidParameter("A secret's value must have 1 to %d bytes.", maxValue)
	}
	return &v, nil
}

// add gives a secret a new version with labels, and returns the write of its
// value.
func (a *API) add(s *Secret, v value, stages []string, now time.Time) state.Op {
	s.Versions = append(s.Versions, Version{ID: v.id, Created: now})
	for _, stage := range stages {
		s.label(len(s.Versions)-1, stage)
	}
	return a.values.PutOp(s.valueRecord(v.id), Value{Binary: v.binary, Sealed: a.keyring.Seal(v.data, s.purpose(v.id))}, 0)
}

// put is add for a secret that may have the version already: the same value is
// nothing new, another one is refused. Versions without labels are forgotten when
// there are too many.
func (a *API) put(ctx context.Context, s *Secret, v value, stages []string) ([]state.Op, error) {
	if _, err := a.usableKey(ctx, s.KmsKeyID, "EncryptionFailure"); err != nil {
		return nil, err
	}
	if s.version(v.id) >= 0 {
		same, err := a.same(ctx, *s, v)
		if err != nil {
			return nil, err
		}
		if !same {
			return nil, awswire.BadRequestf("ResourceExistsException",
				"You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.", v.id, s.ARN())
		}
		return nil, nil
	}
	ops := []state.Op{a.add(s, v, stages, time.Now().UTC().Truncate(time.Millisecond))}
	for len(s.Versions) > maxVersions {
		i := slices.IndexFunc(s.Versions, func(v Version) bool { return len(v.Stages) == 0 })
		if i < 0 {
			return nil, awswire.BadRequestf("LimitExceededException", "A secret can have %d versions with labels.", maxVersions)
		}
		old, err := a.values.Get(ctx, s.valueRecord(s.Versions[i].ID))
		if err != nil {
			return nil, err
		}
		ops = append(ops, a.values.DeleteOp(old.Key, old.Revision))
		s.Versions = slices.Delete(s.Versions, i, i+1)
	}
	return ops, nil
}

// same says whether a version has this value.
func (a *API) same(ctx context.Context, s Secret, v value) (bool, error) {
	data, binary, err := a.open(ctx, s, v.id)
	return binary == v.binary && bytes.Equal(data, v.data), err
}

// open reads the value of a version.
func (a *API) open(ctx context.Context, s Secret, version string) (data []byte, binary bool, err error) {
	item, err := a.values.Get(ctx, s.valueRecord(version))
	if err != nil {
		return nil, false, fmt.Errorf("value of a secret: %w", err)
	}
	data, err = a.keyring.Open(item.Value.Sealed, s.purpose(version))
	return data, item.Value.Binary, err
}

// PutSecretValue gives a secret a new value.
func (a *API) PutSecretValue(ctx context.Context, in *api.PutSecretValueInput) (*api.PutSecretValueOutput, error) {
	stages := in.VersionStages
	if stages == nil {
		stages = []string{current}
	}
	if err := checkStages(stages); err != nil {
		return nil, err
	}
	if in.RotationToken != nil {
		return nil, invalidParameter("Rotation is not available in this region yet. Leave RotationToken out.")
	}
	v, err := newValue(in.ClientRequestToken, in.SecretString, in.SecretBinary)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, invalidRequest("You must provide either SecretString or SecretBinary.")
	}
	s, err := a.update(ctx, in.SecretId, func(s *Secret) ([]state.Op, error) {
		if err := refuseManaged(s); err != nil {
			return nil, err
		}
		return a.put(ctx, s, *v, stages)
	})
	if err != nil {
		return nil, err
	}
	return &api.PutSecretValueOutput{
		ARN: aws.String(s.ARN()), Name: &s.Name, VersionId: &v.id, VersionStages: s.Versions[s.version(v.id)].Stages,
	}, nil
}

func checkStages(stages []string) error {
	if len(stages) == 0 || len(stages) > maxStages {
		return invalidParameter("A version can have 1 to %d labels.", maxStages)
	}
	for _, stage := range stages {
		if stage == "" || len(stage) > 256 {
			return invalidParameter("A version's label must have 1 to 256 characters.")
		}
	}
	return nil
}

// GetSecretValue answers the value of a version: that which is current, if none
// is named.
func (a *API) GetSecretValue(ctx context.Context, in *api.GetSecretValueInput) (*api.GetSecretValueOutput, error) {
	item, err := a.get(ctx, in.SecretId)
	if err != nil {
		return nil, err
	}
	s := item.Value
	if s.DeleteAsked != nil {
		return nil, givenUp()
	}
	i, err := s.find(in.VersionId, in.VersionStage)
	if err != nil {
		return nil, err
	}
	if _, err := a.usableKey(ctx, s.KmsKeyID, "DecryptionFailure"); err != nil {
		return nil, err
	}
	v := s.Versions[i]
	data, binary, err := a.open(ctx, s, v.ID)
	if err != nil {
		return nil, err
	}
	out := &api.GetSecretValueOutput{ARN: aws.String(s.ARN()), Name: &s.Name, VersionId: &v.ID, VersionStages: v.Stages, CreatedDate: &v.Created}
	if binary {
		out.SecretBinary = data
	} else {
		out.SecretString = aws.String(string(data))
	}
	return out, a.accessed(ctx, item)
}

// find is the version with an id, a label, or both.
func (s Secret) find(id, stage *string) (int, error) {
	if id == nil && stage == nil {
		stage = aws.String(current)
	}
	if id == nil {
		if i := s.staged(*stage); i >= 0 {
			return i, nil
		}
		return 0, awswire.BadRequestf("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: %.256s", *stage)
	}
	i := s.version(*id)
	if i < 0 {
		return 0, awswire.BadRequestf("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: %.64s", *id)
	}
	if stage != nil && !slices.Contains(s.Versions[i].Stages, *stage) {
		return 0, invalidRequest("You provided a VersionStage that is not associated to the provided VersionId.")
	}
	return i, nil
}

// accessed notes the day on which a secret was read.
func (a *API) accessed(ctx context.Context, item state.Item[Secret]) error {
	day := time.Now().UTC().Truncate(24 * time.Hour)
	if item.Value.Accessed.Equal(day) {
		return nil
	}
	_, err := a.secrets.Update(ctx, item.Key, func(s *Secret) error {
		s.Accessed = day
		return nil
	})
	if errors.Is(err, state.ErrNotFound) { // deleted since it was read
		return nil
	}
	return err
}
