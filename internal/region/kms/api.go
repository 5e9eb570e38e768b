package kms

import (
	"context"
	"errors"
	"strings"

	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// API holds the actions.
type API struct {
	store   *state.Store
	keyring *keyring.Keyring
	keys    state.Table[Key]
	aliases state.Table[Alias]
}

// New returns the KMS service on a store.
func New(store *state.Store, keys *keyring.Keyring) *awswire.Service {
	a := &API{store: store, keyring: keys, keys: keyTable(store), aliases: aliasTable(store)}
	s := awswire.KMS()
	awswire.Register(s, a.CreateKey)
	awswire.Register(s, a.DescribeKey)
	awswire.Register(s, a.ListKeys)
	awswire.Register(s, a.UpdateKeyDescription)
	awswire.Register(s, a.EnableKey)
	awswire.Register(s, a.DisableKey)
	awswire.Register(s, a.ScheduleKeyDeletion)
	awswire.Register(s, a.CancelKeyDeletion)
	awswire.Register(s, a.CreateAlias)
	awswire.Register(s, a.UpdateAlias)
	awswire.Register(s, a.DeleteAlias)
	awswire.Register(s, a.ListAliases)
	awswire.Register(s, a.Encrypt)
	awswire.Register(s, a.Decrypt)
	awswire.Register(s, a.ReEncrypt)
	awswire.Register(s, a.GenerateDataKey)
	awswire.Register(s, a.GenerateDataKeyWithoutPlaintext)
	awswire.Register(s, a.GenerateRandom)
	awswire.Register(s, a.GetKeyPolicy)
	awswire.Register(s, a.PutKeyPolicy)
	awswire.Register(s, a.ListKeyPolicies)
	awswire.Register(s, a.EnableKeyRotation)
	awswire.Register(s, a.DisableKeyRotation)
	awswire.Register(s, a.GetKeyRotationStatus)
	awswire.Register(s, a.RotateKeyOnDemand)
	awswire.Register(s, a.ListKeyRotations)
	awswire.Register(s, a.TagResource)
	awswire.Register(s, a.UntagResource)
	awswire.Register(s, a.ListResourceTags)
	s.NameResources(a.resources)
	s.NamePolicies(a.policyOf)
	for _, name := range []string{"Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "DescribeKey"} {
		s.Lack(name, "GrantTokens")
	}
	return s
}

// policyOf is the policy of a key: without it nobody may use the key, and it says
// whether the policies of the account's users count.
func (a *API) policyOf(ctx context.Context, arn string) (awswire.ResourcePolicy, error) {
	if !strings.HasPrefix(arn, placeOf(ctx).arn("key/")) {
		return awswire.ResourcePolicy{}, nil
	}
	item, err := a.key(ctx, &arn)
	var missing *awswire.Error
	if errors.As(err, &missing) {
		return awswire.ResourcePolicy{}, nil
	}
	return awswire.ResourcePolicy{Document: item.Value.Policy, Sole: true}, err
}

func placeOf(ctx context.Context) place {
	id := awswire.IdentityFrom(ctx)
	return place{id.Account, id.Region}
}

// key reads the caller's key; AWS's own are made when they are first asked for.
func (a *API) key(ctx context.Context, given *string) (state.Item[Key], error) {
	p, id := placeOf(ctx), ""
	if given != nil {
		id = *given
	}
	if err := a.ensureManaged(ctx, p, id); err != nil {
		return state.Item[Key]{}, err
	}
	return find(ctx, a.store, p, id)
}

// ensureManaged makes the key of AWS's own that is given; all, if nothing is.
func (a *API) ensureManaged(ctx context.Context, p place, given string) error {
	name, err := p.name(given)
	if err != nil {
		return err
	}
	for _, service := range managed() {
		id, alias := ManagedKeyID(p.account, p.region, service), "alias/aws/"+service
		if given != "" && name != id && name != alias {
			continue
		}
		if _, err := a.keys.Get(ctx, p.record(id)); !errors.Is(err, state.ErrNotFound) {
			if err != nil {
				return err
			}
			continue
		}
		key := a.newKey(p, id)
		key.ManagedFor, key.Description = service, "Default key that protects "+service+" when no other key is defined"
		named := Alias{Name: alias, Account: p.account, Region: p.region, Target: id, Created: key.Created, Updated: key.Created}
		_, err := a.keys.Create(ctx, key.record(), key, a.aliases.PutOp(p.record(alias), named, 0))
		if err != nil && !errors.Is(err, state.ErrExists) {
			return err
		}
	}
	return nil
}

// update changes a key of the caller's own that has not been given up.
func (a *API) update(ctx context.Context, given *string, change func(*Key) error) (Key, error) {
	item, err := a.key(ctx, given)
	if err != nil {
		return item.Value, err
	}
	if item.Value.ManagedFor != "" {
		return item.Value, awswire.BadRequestf("AccessDeniedException", "The key %s is AWS's own and cannot be changed.", item.Value.ARN())
	}
	item, err = a.keys.Update(ctx, item.Key, change)
	if errors.Is(err, state.ErrNotFound) {
		return item.Value, noKey(item.Value.ARN())
	}
	return item.Value, err
}

// notGivenUp refuses what cannot be done to a key that is to be deleted.
func notGivenUp(k *Key) error {
	if k.DeletionDate != nil {
		return awswire.BadRequestf("KMSInvalidStateException", "%s is pending deletion.", k.ARN())
	}
	return nil
}

func invalid(format string, args ...any) error {
	return awswire.BadRequestf("ValidationException", format, args...)
}

// unavailable refuses an option that the region does not have.
func unavailable(parameter string, given bool) error {
	if !given {
		return nil
	}
	return awswire.BadRequestf("UnsupportedOperationException", "The parameter %s, as it is given, is not available in this region yet.", parameter)
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func pages(most int) awswire.PageLimits {
	return awswire.PageLimits{Min: 1, Max: most, Default: min(most, 100), Parameter: "Limit", Code: "ValidationException"}
}

// alias checks a name that callers may give to keys.
func checkAlias(name string) error {
	rest, ok := strings.CutPrefix(name, "alias/")
	if !ok {
		return invalid("Alias must start with the prefix \"alias/\". Please see the KMS documentation for a list of rules.")
	}
	for _, c := range rest {
		if !strings.ContainsRune("/_-", c) && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return awswire.BadRequestf("InvalidAliasNameException", "An alias has letters, digits, slashes, underscores and hyphens only.")
		}
	}
	if rest == "" || len(name) > 256 {
		return awswire.BadRequestf("InvalidAliasNameException", "An alias must have 7 to 256 characters.")
	}
	if strings.HasPrefix(rest, "aws/") {
		return awswire.BadRequestf("NotAuthorizedException", "Aliases that begin with alias/aws/ are AWS's own.")
	}
	return nil
}
