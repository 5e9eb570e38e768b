package rds

import (
	"context"
	"errors"
	"slices"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Names that a cluster or instance has: its own, and the one that it gets in its
// maintenance window.

func clusterNames(v *aurora.DBCluster) []string {
	names := []string{v.Spec.Identifier}
	if p := v.Spec.Pending; p != nil && p.Identifier != "" {
		names = append(names, p.Identifier)
	}
	return names
}

func instanceNames(v *aurora.DBInstance) []string {
	names := []string{v.Spec.Identifier}
	if v.Spec.PendingIdentifier != "" {
		names = append(names, v.Spec.PendingIdentifier)
	}
	return names
}

// renames takes the names that are new and frees those that are not used any more.
// It refuses what somebody else has.
func (s *service) renames(ctx context.Context, kind string, m *aurora.Meta, before, after []string) ([]state.Op, error) {
	c := scope{m.Account, m.Region}
	var ops []state.Op
	for _, name := range after {
		if slices.Contains(before, name) {
			continue
		}
		claimed := c.name(kind, name)
		if _, err := s.store.Lookup(ctx, claimed); err == nil {
			if kind == state.KindDBCluster {
				return nil, awswire.BadRequestf("DBClusterAlreadyExistsFault", "DB Cluster already exists: %s", name)
			}
			return nil, awswire.BadRequestf("DBInstanceAlreadyExists", "DB instance already exists: %s", name)
		} else if !errors.Is(err, state.ErrNotFound) {
			return nil, err
		}
		ops = append(ops, claimed.Claim(m.ResourceID))
	}
	for _, name := range before {
		if !slices.Contains(after, name) {
			ops = append(ops, c.name(kind, name).Release(m.ResourceID))
		}
	}
	return ops, nil
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
