package rds

import (
	"context"
	"errors"
	"slices"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// ownName is a name that a noun has, and the error of AWS when another has it.
type ownName struct {
	state.Name
	taken *awswire.Error
}

// Names that a cluster or instance has: its own, the one that it gets in its
// maintenance window, and those of its custom endpoints.

func clusterNames(v *aurora.DBCluster) []ownName {
	c := scope{v.Account, v.Region}
	name := func(id string) ownName {
		return ownName{c.name(state.KindDBCluster, id), awswire.BadRequestf("DBClusterAlreadyExistsFault", "DB Cluster already exists: %s", id)}
	}
	names := []ownName{name(v.Spec.Identifier)}
	if p := v.Spec.Pending; p != nil && p.Identifier != "" {
		names = append(names, name(p.Identifier))
	}
	for _, e := range v.Spec.CustomEndpoints {
		names = append(names, ownName{c.name(state.KindDBEndpoint, e.Identifier), endpointTaken(e.Identifier)})
	}
	return names
}

func instanceNames(v *aurora.DBInstance) []ownName {
	c := scope{v.Account, v.Region}
	name := func(id string) ownName {
		return ownName{c.name(state.KindDBInstance, id), awswire.BadRequestf("DBInstanceAlreadyExists", "DB instance already exists: %s", id)}
	}
	names := []ownName{name(v.Spec.Identifier)}
	if v.Spec.PendingIdentifier != "" {
		names = append(names, name(v.Spec.PendingIdentifier))
	}
	return names
}

// renames takes the names that are new and frees those that are not used any more.
// It refuses what somebody else has.
func renames(ctx context.Context, store *state.Store, resourceID string, before, after []ownName) ([]state.Op, error) {
	var ops []state.Op
	for _, name := range after {
		if has(before, name) {
			continue
		}
		if _, err := store.Lookup(ctx, name.Name); err == nil {
			return nil, name.taken
		} else if !errors.Is(err, state.ErrNotFound) {
			return nil, err
		}
		ops = append(ops, name.Claim(resourceID))
	}
	for _, name := range before {
		if !has(after, name) {
			ops = append(ops, name.Release(resourceID))
		}
	}
	return ops, nil
}

func has(names []ownName, name ownName) bool {
	return slices.ContainsFunc(names, func(have ownName) bool { return have.Name == name.Name })
}

// rename gives an identifier another value, if one is given.
func rename(identifier *string, parameter string, given *string) error {
	if given == nil {
		return nil
	}
	id, err := checkIdentifier(parameter, *given)
	if err == nil {
		*identifier = id
	}
	return err
}
