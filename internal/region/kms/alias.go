package kms

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// target reads the key that an alias is to name: by id or ARN, and one of the
// caller's own.
func (a *API) target(ctx context.Context, given *string) (state.Item[Key], error) {
	if strings.Contains(aws.ToString(given), "alias/") {
		return state.Item[Key]{}, invalid("Aliases must refer to keys. Not aliases")
	}
	item, err := a.key(ctx, given)
	if err != nil {
		return item, err
	}
	if item.Value.ManagedFor != "" {
		return item, awswire.BadRequestf("NotAuthorizedException", "The key %s is AWS's own.", item.Value.ARN())
	}
	return item, notGivenUp(&item.Value)
}

// CreateAlias gives a name to a key.
func (a *API) CreateAlias(ctx context.Context, in *api.CreateAliasInput) (*api.CreateAliasOutput, error) {
	name, p, now := aws.ToString(in.AliasName), placeOf(ctx), time.Now().UTC().Truncate(time.Millisecond)
	if err := checkAlias(name); err != nil {
		return nil, err
	}
	for {
		key, err := a.target(ctx, in.TargetKeyId)
		if err != nil {
			return nil, err
		}
		if _, err := a.aliases.Get(ctx, p.record(name)); err == nil {
			return nil, awswire.BadRequestf("AlreadyExistsException", "An alias with the name %s already exists", p.arn(name))
		} else if !errors.Is(err, state.ErrNotFound) {
			return nil, err
		}
		alias := Alias{Name: name, Account: p.account, Region: p.region, Target: key.Value.ID, Created: now, Updated: now}
		_, err = a.store.Commit(ctx, a.aliases.PutOp(p.record(name), alias, 0), a.keys.CheckOp(key.Key, key.Revision))
		if !errors.Is(err, state.ErrConflict) {
			return nil, err
		}
	}
}

// alias reads one of the caller's own aliases.
func (a *API) alias(ctx context.Context, name string) (state.Item[Alias], error) {
	if err := checkAlias(name); err != nil {
		return state.Item[Alias]{}, err
	}
	p := placeOf(ctx)
	item, err := a.aliases.Get(ctx, p.record(name))
	if errors.Is(err, state.ErrNotFound) {
		return item, noAlias(p.arn(name))
	}
	return item, err
}

// UpdateAlias makes an alias name another key.
func (a *API) UpdateAlias(ctx context.Context, in *api.UpdateAliasInput) (*api.UpdateAliasOutput, error) {
	for {
		key, err := a.target(ctx, in.TargetKeyId)
		if err != nil {
			return nil, err
		}
		item, err := a.alias(ctx, aws.ToString(in.AliasName))
		if err != nil {
			return nil, err
		}
		item.Value.Target, item.Value.Updated = key.Value.ID, time.Now().UTC().Truncate(time.Millisecond)
		_, err = a.store.Commit(ctx, a.aliases.PutOp(item.Key, item.Value, item.Revision), a.keys.CheckOp(key.Key, key.Revision))
		if !errors.Is(err, state.ErrConflict) {
			return nil, err
		}
	}
}

// DeleteAlias takes a name from its key.
func (a *API) DeleteAlias(ctx context.Context, in *api.DeleteAliasInput) (*api.DeleteAliasOutput, error) {
	item, err := a.alias(ctx, aws.ToString(in.AliasName))
	if err != nil {
		return nil, err
	}
	return nil, a.aliases.Delete(ctx, item.Key)
}

// ListAliases answers the aliases of the caller's account and region, or of a key.
func (a *API) ListAliases(ctx context.Context, in *api.ListAliasesInput) (*api.ListAliasesOutput, error) {
	p, of := placeOf(ctx), ""
	if err := a.ensureManaged(ctx, p, ""); err != nil {
		return nil, err
	}
	if in.KeyId != nil {
		key, err := a.key(ctx, in.KeyId)
		if err != nil {
			return nil, err
		}
		of = key.Value.ID
	}
	items, _, err := a.aliases.List(ctx, p.record("alias/"))
	if err != nil {
		return nil, err
	}
	var aliases []Alias
	for _, item := range items {
		if of == "" || item.Value.Target == of {
			aliases = append(aliases, item.Value)
		}
	}
	page, next, err := awswire.Page(aliases, in.Marker, in.Limit, pages(100), func(a Alias) string { return a.Name })
	out := &api.ListAliasesOutput{NextMarker: next, Truncated: next != nil}
	for _, alias := range page {
		out.Aliases = append(out.Aliases, types.AliasListEntry{
			AliasName: &alias.Name, AliasArn: aws.String(p.arn(alias.Name)), TargetKeyId: &alias.Target,
			CreationDate: &alias.Created, LastUpdatedDate: &alias.Updated,
		})
	}
	return out, err
}
