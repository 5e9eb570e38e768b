package kms

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// ErrUnusable says that a key that a service was given is not there, not
// enabled, or of another account or region.
var ErrUnusable = errors.New("the key does not exist or is not enabled")

// Usable returns the ARN of the key that a service was given, by id, alias or
// ARN, if it can encrypt. AWS's own keys always can.
func Usable(ctx context.Context, store *state.Store, account, region, given string) (string, error) {
	p := place{account, region}
	name, err := p.name(given)
	if err != nil {
		return "", ErrUnusable
	}
	if service := managedFor(name); service != "" {
		return p.arn("key/" + ManagedKeyID(account, region, service)), nil
	}
	for _, service := range managed() {
		if name == ManagedKeyID(account, region, service) {
			return p.arn("key/" + name), nil
		}
	}
	key, err := find(ctx, store, p, given)
	var refused *awswire.Error
	if errors.As(err, &refused) || err == nil && (!key.Value.Enabled || key.Value.DeletionDate != nil) {
		return "", ErrUnusable
	}
	return key.Value.ARN(), err
}

// name is the id or alias in what a caller gave: either, or an ARN.
func (p place) name(given string) (string, error) {
	rest, isARN := strings.CutPrefix(given, "arn:")
	if !isARN {
		return given, nil
	}
	parts := strings.SplitN(rest, ":", 5)
	switch {
	case len(parts) != 5 || parts[1] != "kms":
		return "", invalidARN(given)
	case parts[2] != p.region:
		return "", awswire.BadRequestf("NotFoundException", "Invalid arn %.30s", parts[2])
	case parts[3] != p.account:
		return "", noKey(given)
	}
	if id, ok := strings.CutPrefix(parts[4], "key/"); ok {
		return id, nil
	}
	if strings.HasPrefix(parts[4], "alias/") {
		return parts[4], nil
	}
	return "", invalidARN(given)
}

func invalidARN(given string) error {
	return awswire.BadRequestf("InvalidArnException", "%.300s is not a valid ARN of a key or an alias.", given)
}

func noKey(arn string) error {
	return awswire.BadRequestf("NotFoundException", "Key '%.300s' does not exist", arn)
}

func noAlias(arn string) error {
	return awswire.BadRequestf("NotFoundException", "Alias %.300s is not found.", arn)
}

// find reads the key that is given by id, alias or ARN.
func find(ctx context.Context, store *state.Store, p place, given string) (state.Item[Key], error) {
	name, err := p.name(given)
	if err != nil {
		return state.Item[Key]{}, err
	}
	if strings.HasPrefix(name, "alias/") {
		alias, err := aliasTable(store).Get(ctx, p.record(name))
		if errors.Is(err, state.ErrNotFound) {
			return state.Item[Key]{}, noAlias(p.arn(name))
		}
		if err != nil {
			return state.Item[Key]{}, err
		}
		name = alias.Value.Target
	}
	key, err := keyTable(store).Get(ctx, p.record(name))
	if errors.Is(err, state.ErrNotFound) {
		return key, noKey(p.arn("key/" + name))
	}
	if err == nil && key.Value.DeletionDate != nil && !time.Now().Before(*key.Value.DeletionDate) {
		return key, errors.Join(noKey(key.Value.ARN()), remove(ctx, store, key))
	}
	return key, err
}

// remove deletes a key whose time has come, with its aliases.
func remove(ctx context.Context, store *state.Store, key state.Item[Key]) error {
	aliases, _, err := aliasTable(store).List(ctx, key.Value.place().record("alias/"))
	if err != nil {
		return err
	}
	ops := []state.Op{keyTable(store).DeleteOp(key.Key, key.Revision)}
	for _, a := range aliases {
		if a.Value.Target == key.Value.ID {
			ops = append(ops, aliasTable(store).DeleteOp(a.Key, a.Revision))
		}
	}
	if _, err := store.Commit(ctx, ops...); !errors.Is(err, state.ErrConflict) {
		return err
	}
	return nil // somebody else changed it; the next call tries again
}
