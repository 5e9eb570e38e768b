package rds

import (
	"context"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/aurora/parameter"
)

// newParameterGroup is a group that a request describes.
func newParameterGroup(c scope, kind groupKind, parameterName string, name, description *string, given []types.Tag) (ParameterGroup, error) {
	id, err := checkParameterGroupName(parameterName, aws.ToString(name))
	if err != nil {
		return ParameterGroup{}, err
	}
	tags, err := checkTags(given)
	return ParameterGroup{Account: c.account, Region: c.region, Kind: kind, Name: id, Description: aws.ToString(description), Tags: tags}, err
}

// CreateDBClusterParameterGroup makes a group that sets nothing.
func (s *service) CreateDBClusterParameterGroup(ctx context.Context, in *rds.CreateDBClusterParameterGroupInput) (*rds.CreateDBClusterParameterGroupOutput, error) {
	c := scopeOf(ctx)
	g, err := newParameterGroup(c, clusterGroup, "DBClusterParameterGroupName", in.DBClusterParameterGroupName, in.Description, in.Tags)
	if err := first(err, checkFamily(aws.ToString(in.DBParameterGroupFamily))); err != nil {
		return nil, err
	}
	return &rds.CreateDBClusterParameterGroupOutput{DBClusterParameterGroup: c.showClusterGroup(g)}, s.storeParameterGroup(ctx, g)
}

// CopyDBClusterParameterGroup makes a group that sets what another does.
func (s *service) CopyDBClusterParameterGroup(ctx context.Context, in *rds.CopyDBClusterParameterGroupInput) (*rds.CopyDBClusterParameterGroupOutput, error) {
	c := scopeOf(ctx)
	g, err := newParameterGroup(c, clusterGroup, "TargetDBClusterParameterGroupIdentifier", in.TargetDBClusterParameterGroupIdentifier, in.TargetDBClusterParameterGroupDescription, in.Tags)
	if err != nil {
		return nil, err
	}
	if err := s.copyParameters(c, &g, aws.ToString(in.SourceDBClusterParameterGroupIdentifier)); err != nil {
		return nil, err
	}
	return &rds.CopyDBClusterParameterGroupOutput{DBClusterParameterGroup: c.showClusterGroup(g)}, s.storeParameterGroup(ctx, g)
}

// copyParameters gives a new group what another sets.
func (s *service) copyParameters(c scope, g *ParameterGroup, source string) error {
	from, _, err := s.parameterGroup(c, g.Kind, source)
	if err != nil {
		return err
	}
	g.Parameters, g.Revision = maps.Clone(from.Parameters), from.Revision
	return nil
}

func (c scope) showClusterGroup(g ParameterGroup) *types.DBClusterParameterGroup {
	return &types.DBClusterParameterGroup{
		DBClusterParameterGroupArn: aws.String(c.arn(string(g.Kind), g.Name)), DBClusterParameterGroupName: &g.Name,
		DBParameterGroupFamily: aws.String(parameter.Family), Description: &g.Description,
	}
}

// DescribeDBClusterParameterGroups answers one group, or all.
func (s *service) DescribeDBClusterParameterGroups(ctx context.Context, in *rds.DescribeDBClusterParameterGroupsInput) (*rds.DescribeDBClusterParameterGroupsOutput, error) {
	c := scopeOf(ctx)
	if err := noFilters(in.Filters); err != nil {
		return nil, err
	}
	groups, err := s.findParameterGroups(c, clusterGroup, in.DBClusterParameterGroupName)
	if err != nil {
		return nil, err
	}
	page, marker, err := pageOfGroups(groups, in.Marker, in.MaxRecords)
	out := &rds.DescribeDBClusterParameterGroupsOutput{Marker: marker}
	for _, g := range page {
		out.DBClusterParameterGroups = append(out.DBClusterParameterGroups, *c.showClusterGroup(g))
	}
	return out, err
}

// DescribeDBClusterParameters answers the parameters of a group.
func (s *service) DescribeDBClusterParameters(ctx context.Context, in *rds.DescribeDBClusterParametersInput) (*rds.DescribeDBClusterParametersOutput, error) {
	if err := noFilters(in.Filters); err != nil {
		return nil, err
	}
	g, _, err := s.parameterGroup(scopeOf(ctx), clusterGroup, aws.ToString(in.DBClusterParameterGroupName))
	if err != nil {
		return nil, err
	}
	page, marker, err := showParameters(&g, aws.ToString(in.Source), in.Marker, in.MaxRecords)
	return &rds.DescribeDBClusterParametersOutput{Parameters: page, Marker: marker}, err
}

// DescribeEngineDefaultClusterParameters answers the parameters of a family.
func (s *service) DescribeEngineDefaultClusterParameters(_ context.Context, in *rds.DescribeEngineDefaultClusterParametersInput) (*rds.DescribeEngineDefaultClusterParametersOutput, error) {
	defaults, err := engineDefaults(clusterGroup, in.DBParameterGroupFamily, in.Filters, in.Marker, in.MaxRecords)
	return &rds.DescribeEngineDefaultClusterParametersOutput{EngineDefaults: defaults}, err
}

func engineDefaults(kind groupKind, family *string, filters []types.Filter, marker *string, size *int32) (*types.EngineDefaults, error) {
	if err := first(checkFamily(aws.ToString(family)), noFilters(filters)); err != nil {
		return nil, err
	}
	page, next, err := showParameters(&ParameterGroup{Kind: kind}, "", marker, size)
	return &types.EngineDefaults{DBParameterGroupFamily: family, Parameters: page, Marker: next}, err
}

// ModifyDBClusterParameterGroup sets parameters. Clusters that use the group follow.
func (s *service) ModifyDBClusterParameterGroup(ctx context.Context, in *rds.ModifyDBClusterParameterGroupInput) (*rds.ModifyDBClusterParameterGroupOutput, error) {
	g, err := s.modifyParameters(ctx, clusterGroup, aws.ToString(in.DBClusterParameterGroupName), in.Parameters)
	return &rds.ModifyDBClusterParameterGroupOutput{DBClusterParameterGroupName: &g.Name}, err
}

func (s *service) modifyParameters(ctx context.Context, kind groupKind, name string, given []types.Parameter) (ParameterGroup, error) {
	if _, _, err := s.parameterGroup(scopeOf(ctx), kind, name); err != nil {
		return ParameterGroup{}, err
	}
	changes, err := checkChanges(kind, given)
	if err != nil {
		return ParameterGroup{}, err
	}
	return s.updateParameterGroup(ctx, scopeOf(ctx), kind, name, func(g *ParameterGroup) ([]aurora.Event, error) { return g.change(changes) })
}

// ResetDBClusterParameterGroup gives parameters their defaults again.
func (s *service) ResetDBClusterParameterGroup(ctx context.Context, in *rds.ResetDBClusterParameterGroupInput) (*rds.ResetDBClusterParameterGroupOutput, error) {
	g, err := s.resetParameters(ctx, clusterGroup, aws.ToString(in.DBClusterParameterGroupName), in.Parameters, in.ResetAllParameters)
	return &rds.ResetDBClusterParameterGroupOutput{DBClusterParameterGroupName: &g.Name}, err
}

func (s *service) resetParameters(ctx context.Context, kind groupKind, name string, given []types.Parameter, all *bool) (ParameterGroup, error) {
	return s.updateParameterGroup(ctx, scopeOf(ctx), kind, name, func(g *ParameterGroup) ([]aurora.Event, error) {
		changes, err := checkResets(g, given, all)
		if err != nil {
			return nil, err
		}
		return g.change(changes)
	})
}

// DeleteDBClusterParameterGroup removes a group that no cluster uses.
func (s *service) DeleteDBClusterParameterGroup(ctx context.Context, in *rds.DeleteDBClusterParameterGroupInput) (*rds.DeleteDBClusterParameterGroupOutput, error) {
	return nil, s.deleteParameterGroup(ctx, scopeOf(ctx), clusterGroup, aws.ToString(in.DBClusterParameterGroupName))
}
