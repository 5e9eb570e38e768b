package rds

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/aurora/parameter"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// ParameterGroup is a DB cluster parameter group or a DB parameter group, stored
// under region/parameter-groups.
type ParameterGroup struct {
	Account     string       `json:"account"`
	Region      string       `json:"region"`
	Kind        groupKind    `json:"kind"`
	Name        string       `json:"name"`
	Description string       `json:"description"`
	Tags        []aurora.Tag `json:"tags,omitempty"`
	// Revision grows with every change of Parameters.
	Revision int64 `json:"revision"`
	// Parameters are those that were ever set, by name.
	Parameters map[string]groupParameter `json:"parameters,omitempty"`
}

// groupParameter is what was last done to a parameter of a group.
type groupParameter struct {
	Value       string `json:"value,omitempty"`
	Reset       bool   `json:"reset,omitempty"` // it has its default again
	ApplyMethod string `json:"applyMethod"`
	Revision    int64  `json:"revision"` // the group's, when that was done
}

// groupKind is the kind of a group, by its name in ARNs.
type groupKind string

const (
	clusterGroup  groupKind = "cluster-pg"
	instanceGroup groupKind = "pg"
)

// has says whether groups of the kind have a parameter.
func (k groupKind) has(p *parameter.Parameter) bool {
	return k == clusterGroup && p.Cluster || k == instanceGroup && p.Instance
}

// title is how the kind is called.
func (k groupKind) title() string {
	if k == clusterGroup {
		return "DB cluster parameter group"
	}
	return "DB parameter group"
}

const (
	applyImmediate     = "immediate"
	applyPendingReboot = "pending-reboot"

	// defaultParameterGroup is there without being stored, and cannot be changed.
	defaultParameterGroup = "default." + parameter.Family
	maxParameterGroups    = 50 // of a kind in an account and region
)

func (g *ParameterGroup) key() string {
	return strings.Join([]string{string(g.Kind), g.Account, g.Region, g.Name}, "/")
}

// set is a parameter's value, if the group sets one.
func (g *ParameterGroup) set(name string) (string, bool) {
	p, ok := g.Parameters[name]
	return p.Value, ok && !p.Reset
}

func parameterGroupTable(s *state.Store) state.Table[ParameterGroup] {
	return state.NewTable[ParameterGroup](s, "region/parameter-groups")
}

func parameterGroupNotFound(name string) error {
	return awswire.Errorf(404, "DBParameterGroupNotFound", "DBParameterGroup not found: %s", name)
}

// parameterGroup finds a group by name or ARN, with the revision of its key: 0 for
// the default group.
func (s *service) parameterGroup(c scope, kind groupKind, given string) (ParameterGroup, int64, error) {
	g := ParameterGroup{Account: c.account, Region: c.region, Kind: kind, Name: c.identifier(string(kind), given)}
	if g.Name == defaultParameterGroup {
		g.Description = "Default " + kind.title() + " for " + parameter.Family
		return g, 0, nil
	}
	item, ok := s.parameterGroups.Get(g.key())
	if !ok {
		return g, 0, parameterGroupNotFound(g.Name)
	}
	return item.Value, item.Revision, nil
}

// groupFor is the group that a cluster or instance is to use, the default one when
// none is given, and the condition under which it stays.
func (s *service) groupFor(c scope, kind groupKind, given *string) (ParameterGroup, []state.Op, error) {
	name := defaultParameterGroup
	if given != nil && *given != "" {
		name = *given
	}
	g, revision, err := s.parameterGroup(c, kind, name)
	if err != nil {
		if kind == clusterGroup {
			err = awswire.Errorf(404, "DBClusterParameterGroupNotFound", "DBClusterParameterGroup not found: %s", name)
		}
		return g, nil, err
	}
	if revision == 0 {
		return g, nil, nil
	}
	return g, []state.Op{parameterGroupTable(s.store).CheckOp(g.key(), revision)}, nil
}

// updateParameterGroup changes a group and waits until it is read.
func (s *service) updateParameterGroup(ctx context.Context, c scope, kind groupKind, given string, change func(*ParameterGroup) ([]aurora.Event, error)) (ParameterGroup, error) {
	g, _, err := s.parameterGroup(c, kind, given)
	if err != nil {
		return g, err
	}
	if g.Name == defaultParameterGroup {
		return g, awswire.InvalidParameterValue("The parameter group %s is a default parameter group: it cannot be modified.", g.Name)
	}
	var events []aurora.Event
	item, err := parameterGroupTable(s.store).UpdateTelling(ctx, g.key(), func(g *ParameterGroup) (err error) {
		events, err = change(g)
		return err
	}, func(_, _ ParameterGroup) []aurora.Event { return events })
	if errors.Is(err, state.ErrNotFound) {
		return g, parameterGroupNotFound(g.Name)
	}
	if err != nil {
		return g, err
	}
	return item.Value, s.parameterGroups.WaitRevision(ctx, item.Revision)
}

var parameterGroupName = regexp.MustCompile(`^[a-z](-?[a-z0-9])*$`)

func checkParameterGroupName(parameter, given string) (string, error) {
	name := strings.ToLower(given)
	if len(name) > 255 || !parameterGroupName.MatchString(name) {
		return "", awswire.InvalidParameterValue("The parameter %s is not a valid identifier. Identifiers must begin with a letter; must contain only "+
			"ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens.", parameter)
	}
	return name, nil
}

func checkFamily(family string) error {
	if family != parameter.Family {
		return awswire.InvalidParameterValue("ParameterGroupFamily %s is not a valid parameter group family; this region has %s.", family, parameter.Family)
	}
	return nil
}

// storeParameterGroup stores a new group.
func (s *service) storeParameterGroup(ctx context.Context, g ParameterGroup) error {
	count := 0
	for _, item := range s.parameterGroups.All() {
		if v := &item.Value; v.Kind == g.Kind && v.Account == g.Account && v.Region == g.Region {
			count++
		}
	}
	if count >= maxParameterGroups {
		return awswire.BadRequestf("DBParameterGroupQuotaExceeded", "Quota of %ss exceeded: %d in this account and region.", g.Kind.title(), maxParameterGroups)
	}
	rev, err := parameterGroupTable(s.store).Create(ctx, g.key(), g)
	if errors.Is(err, state.ErrExists) {
		return awswire.BadRequestf("DBParameterGroupAlreadyExists", "Parameter group %s already exists", g.Name)
	}
	if err != nil {
		return err
	}
	return s.parameterGroups.WaitRevision(ctx, rev)
}

// deleteParameterGroup removes a group that nobody uses.
func (s *service) deleteParameterGroup(ctx context.Context, c scope, kind groupKind, given string) error {
	g, _, err := s.parameterGroup(c, kind, given)
	if err != nil {
		return err
	}
	if g.Name == defaultParameterGroup {
		return awswire.BadRequestf("InvalidDBParameterGroupState", "The parameter group %s is a default parameter group: it cannot be deleted.", g.Name)
	}
	table := parameterGroupTable(s.store)
	for {
		item, err := table.Get(ctx, g.key())
		if errors.Is(err, state.ErrNotFound) {
			return parameterGroupNotFound(g.Name)
		}
		if err != nil {
			return err
		}
		unused, err := s.checkUnused(ctx, c, g)
		if err != nil {
			return err
		}
		rev, err := s.store.Commit(ctx, table.DeleteOp(g.key(), item.Revision), unused)
		if errors.Is(err, state.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("delete %s: %w", kind.title(), err)
		}
		return s.parameterGroups.WaitRevision(ctx, rev)
	}
}

// checkUnused refuses a group that somebody uses, and returns the condition under
// which nobody begins to.
func (s *service) checkUnused(ctx context.Context, c scope, g ParameterGroup) (state.Op, error) {
	inUse := func(id string) error {
		return awswire.BadRequestf("InvalidDBParameterGroupState",
			"One or more database instances are still members of this parameter group %s, so the group cannot be deleted: %s", g.Name, id)
	}
	if g.Kind == clusterGroup {
		clusters, revision, err := state.DBClusters(s.store).List(ctx, "")
		for i := range clusters {
			if v := &clusters[i].Value; c.has(&v.Meta) && v.Spec.ParameterGroupName == g.Name {
				return state.Op{}, inUse(v.Spec.Identifier)
			}
		}
		return state.DBClusters(s.store).UnchangedOp(revision), err
	}
	instances, revision, err := state.DBInstances(s.store).List(ctx, "")
	for i := range instances {
		if v := &instances[i].Value; c.has(&v.Meta) && v.Spec.ParameterGroupName == g.Name {
			return state.Op{}, inUse(v.Spec.Identifier)
		}
	}
	return state.DBInstances(s.store).UnchangedOp(revision), err
}
