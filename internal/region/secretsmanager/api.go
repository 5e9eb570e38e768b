package secretsmanager

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/kms"
	"github.com/daybreakdb/daybreak/internal/state"
)

// API holds the actions.
type API struct {
	store   *state.Store
	keyring *keyring.Keyring
	secrets state.Table[Secret]
	values  state.Table[Value] // by Secret.valueRecord
}

func newAPI(store *state.Store, keys *keyring.Keyring) *API {
	return &API{
		store: store, keyring: keys,
		secrets: state.NewTable[Secret](store, "region/secrets"),
		values:  state.NewTable[Value](store, "region/secret-values"),
	}
}

// New returns the Secrets Manager service on a store.
func New(store *state.Store, keys *keyring.Keyring) *awswire.Service {
	a := newAPI(store, keys)
	s := awswire.SecretsManager()
	awswire.Register(s, a.CreateSecret)
	awswire.Register(s, a.DescribeSecret)
	awswire.Register(s, a.ListSecrets)
	awswire.Register(s, a.UpdateSecret)
	awswire.Register(s, a.DeleteSecret)
	awswire.Register(s, a.RestoreSecret)
	awswire.Register(s, a.RotateSecret)
	awswire.Register(s, a.GetSecretValue)
	awswire.Register(s, a.PutSecretValue)
	awswire.Register(s, a.ListSecretVersionIds)
	awswire.Register(s, a.UpdateSecretVersionStage)
	awswire.Register(s, a.TagResource)
	awswire.Register(s, a.UntagResource)
	awswire.Register(s, a.GetResourcePolicy)
	awswire.Register(s, a.PutResourcePolicy)
	awswire.Register(s, a.DeleteResourcePolicy)
	awswire.Register(s, a.GetRandomPassword)
	s.NameResources(a.resources)
	s.NamePolicies(a.policyOf)
	s.Lack("PutResourcePolicy", "BlockPublicPolicy")
	s.Lack("RotateSecret", "ExternalSecretRotationMetadata", "ExternalSecretRotationRoleArn")
	return s
}

// policyOf is the policy of a secret.
func (a *API) policyOf(ctx context.Context, arn string) (awswire.ResourcePolicy, error) {
	item, err := a.get(ctx, &arn)
	var missing *awswire.Error
	if errors.As(err, &missing) {
		return awswire.ResourcePolicy{}, nil
	}
	return awswire.ResourcePolicy{Document: item.Value.Policy}, err
}

func placeOf(ctx context.Context) place {
	id := awswire.IdentityFrom(ctx)
	return place{id.Account, id.Region}
}

// get reads the caller's secret by name, ARN, or ARN without its suffix.
func (a *API) get(ctx context.Context, given *string) (state.Item[Secret], error) {
	p, name := placeOf(ctx), ""
	if given != nil {
		name = *given
	}
	if !strings.HasPrefix(name, "arn:") {
		return a.byName(ctx, p, name)
	}
	rest, ok := strings.CutPrefix(name, p.arn(""))
	if !ok {
		return state.Item[Secret]{}, notFound()
	}
	if n := len(rest) - 7; n > 0 && rest[n] == '-' {
		item, err := a.byName(ctx, p, rest[:n])
		var refused *awswire.Error
		if err == nil && item.Value.ARN() == name || err != nil && !errors.As(err, &refused) {
			return item, err
		}
	}
	return a.byName(ctx, p, rest)
}

func (a *API) byName(ctx context.Context, p place, name string) (state.Item[Secret], error) {
	item, err := a.secrets.Get(ctx, p.record(name))
	if errors.Is(err, state.ErrNotFound) || err == nil && name == "" {
		return item, notFound()
	}
	if err == nil && item.Value.DeleteAt != nil && !time.Now().Before(*item.Value.DeleteAt) {
		return item, errors.Join(notFound(), a.remove(ctx, item))
	}
	return item, err
}

func notFound() error {
	return awswire.BadRequestf("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

// remove deletes a secret with all its values.
func (a *API) remove(ctx context.Context, item state.Item[Secret]) error {
	ops, err := a.removeOps(ctx, item)
	if err != nil {
		return err
	}
	_, err = a.store.Commit(ctx, ops...)
	if errors.Is(err, state.ErrConflict) {
		return nil // somebody else changed it; the next call tries again
	}
	return err
}

func (a *API) removeOps(ctx context.Context, item state.Item[Secret]) ([]state.Op, error) {
	ops := []state.Op{a.secrets.DeleteOp(item.Key, item.Revision)}
	values, _, err := a.values.List(ctx, item.Value.valueRecord(""))
	for _, v := range values {
		ops = append(ops, a.values.DeleteOp(v.Key, v.Revision))
	}
	return ops, err
}

// edit is a change of a secret, and what else is stored with it.
type edit func(s *Secret) ([]state.Op, error)

// update changes a secret that was not given up.
func (a *API) update(ctx context.Context, given *string, change edit) (Secret, error) {
	for {
		item, err := a.get(ctx, given)
		if err != nil {
			return item.Value, err
		}
		if item.Value.DeleteAsked != nil {
			return item.Value, givenUp()
		}
		ops, err := change(&item.Value)
		if errors.Is(err, state.ErrUnchanged) {
			return item.Value, nil
		}
		if err != nil {
			return item.Value, err
		}
		item.Value.Changed = time.Now().UTC().Truncate(time.Millisecond)
		_, err = a.store.Commit(ctx, append(ops, a.secrets.PutOp(item.Key, item.Value, item.Revision))...)
		if !errors.Is(err, state.ErrConflict) {
			return item.Value, err
		}
	}
}

func givenUp() error {
	return awswire.BadRequestf("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
}

// usableKey refuses a key of KMS that cannot be used now. Without one it is
// AWS's own.
func (a *API) usableKey(ctx context.Context, given, code string) (string, error) {
	if given == "" {
		return "", nil
	}
	p := placeOf(ctx)
	arn, err := kms.Usable(ctx, a.store, p.account, p.region, given)
	if errors.Is(err, kms.ErrUnusable) {
		return "", awswire.BadRequestf(code, "Secrets Manager can't use the KMS key %.300s: it does not exist or is not enabled.", given)
	}
	return arn, err
}

func invalidParameter(format string, args ...any) error {
	return awswire.BadRequestf("InvalidParameterException", format, args...)
}

func invalidRequest(format string, args ...any) error {
	return awswire.BadRequestf("InvalidRequestException", format, args...)
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func pages() awswire.PageLimits {
	return awswire.PageLimits{Min: 1, Max: 100, Default: 100, Parameter: "MaxResults", Code: "InvalidParameterException"}
}

// resources is the ARN of the secret that a call is about.
func (a *API) resources(ctx context.Context, in any) []string {
	v := reflect.ValueOf(in).Elem()
	if f := v.FieldByName("SecretId"); f.IsValid() && !f.IsNil() {
		given := f.Elem().String()
		if item, err := a.get(ctx, &given); err == nil {
			return []string{item.Value.ARN()}
		}
		if strings.HasPrefix(given, "arn:") {
			return []string{given}
		}
		return []string{placeOf(ctx).arn(given)}
	}
	if f := v.FieldByName("Name"); f.IsValid() && !f.IsNil() {
		return []string{placeOf(ctx).arn(f.Elem().String() + "-??????")}
	}
	return nil
}
