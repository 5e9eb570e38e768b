package rds

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora/parameter"
)

// CreateDBParameterGroup makes a group that sets nothing.
func (s *service) CreateDBParameterGroup(ctx context.Context, in *rds.CreateDBParameterGroupInput) (*rds.CreateDBParameterGroupOutput, error) {
	c := scopeOf(ctx)
	g, err := newParameterGroup(c, instanceGroup, "DBParameterGroupName", in.DBParameterGroupName, in.Description, in.Tags)
	if err := first(err, checkFamily(aws.ToString(in.DBParameterGroupFamily))); err != nil {
		return nil, err
	}
	return &rds.CreateDBParameterGroupOutput{DBParameterGroup: c.showInstanceGroup(g)}, s.storeParameterGroup(ctx, g)
}

// CopyDBParameterGroup makes a group that sets what another does.
func (s *service) CopyDBParameterGroup(ctx context.Context, in *rds.CopyDBParameterGroupInput) (*rds.CopyDBParameterGroupOutput, error) {
	c := scopeOf(ctx)
	g, err := newParameterGroup(c, instanceGroup, "TargetDBParameterGroupIdentifier", in.TargetDBParameterGroupIdentifier, in.TargetDBParameterGroupDescription, in.Tags)
	if err != nil {
		return nil, err
	}
	if err := s.copyParameters(c, &g, aws.ToString(in.SourceDBParameterGroupIdentifier)); err != nil {
		return nil, err
	}
	return &rds.CopyDBParameterGroupOutput{DBParameterGroup: c.showInstanceGroup(g)}, s.storeParameterGroup(ctx, g)
}

func (c scope) showInstanceGroup(g ParameterGroup) *types.DBParameterGroup {
	return &types.DBParameterGroup{
		DBParameterGroupArn: aws.String(c.arn(string(g.Kind), g.Name)), DBParameterGroupName: &g.Name,
		DBParameterGroupFamily: aws.String(parameter.Family), Description: &g.Description,
	}
}

// DescribeDBParameterGroups answers one group, or all.
func (s *service) DescribeDBParameterGroups(ctx context.Context, in *rds.DescribeDBParameterGroupsInput) (*rds.DescribeDBParameterGroupsOutput, error) {
	c := scopeOf(ctx)
	if err := noFilters(in.Filters); err != nil {
		return nil, err
	}
	groups, err := s.findParameterGroups(c, instanceGroup, in.DBParameterGroupName)
	if err != nil {
		return nil, err
	}
	page, marker, err := pageOfGroups(groups, in.Marker, in.MaxRecords)
	out := &rds.DescribeDBParameterGroupsOutput{Marker: marker}
	for _, g := range page {
		out.DBParameterGroups = append(out.DBParameterGroups, *c.showInstanceGroup(g))
	}
	return out, err
}

// DescribeDBParameters answers the parameters of a group.
func (s *service) DescribeDBParameters(ctx context.Context, in *rds.DescribeDBParametersInput) (*rds.DescribeDBParametersOutput, error) {
	if err := noFilters(in.Filters); err != nil {
		return nil, err
	}
	g, _, err := s.parameterGroup(scopeOf(ctx), instanceGroup, aws.ToString(in.DBParameterGroupName))
	if err != nil {
		return nil, err
	}
	page, marker, err := showParameters(&g, aws.ToString(in.Source), in.Marker, in.MaxRecords)
	return &rds.DescribeDBParametersOutput{Parameters: page, Marker: marker}, err
}

// DescribeEngineDefaultParameters answers the parameters of a family.
func (s *service) DescribeEngineDefaultParameters(_ context.Context, in *rds.DescribeEngineDefaultParametersInput) (*rds.DescribeEngineDefaultParametersOutput, error) {
	defaults, err := engineDefaults(instanceGroup, in.DBParameterGroupFamily, in.Filters, in.Marker, in.MaxRecords)
	return &rds.DescribeEngineDefaultParametersOutput{EngineDefaults: defaults}, err
}

// ModifyDBParameterGroup sets parameters. Instances that use the group follow.
func (s *service) ModifyDBParameterGroup(ctx context.Context, in *rds.ModifyDBParameterGroupInput) (*rds.ModifyDBParameterGroupOutput, error) {
	g, err := s.modifyParameters(ctx, instanceGroup, aws.ToString(in.DBParameterGroupName), in.Parameters)
	return &rds.ModifyDBParameterGroupOutput{DBParameterGroupName: &g.Name}, err
}

// ResetDBParameterGroup gives parameters their defaults again.
func (s *service) ResetDBParameterGroup(ctx context.Context, in *rds.ResetDBParameterGroupInput) (*rds.ResetDBParameterGroupOutput, error) {
	g, err := s.resetParameters(ctx, instanceGroup, aws.ToString(in.DBParameterGroupName), in.Parameters, in.ResetAllParameters)
	return &rds.ResetDBParameterGroupOutput{DBParameterGroupName: &g.Name}, err
}

// DeleteDBParameterGroup removes a group that no instance uses.
func (s *service) DeleteDBParameterGroup(ctx context.Context, in *rds.DeleteDBParameterGroupInput) (*rds.DeleteDBParameterGroupOutput, error) {
	return nil, s.deleteParameterGroup(ctx, scopeOf(ctx), instanceGroup, aws.ToString(in.DBParameterGroupName))
}
