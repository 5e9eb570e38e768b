package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
)

// clusterGroups are DB cluster parameter groups.
type clusterGroups struct{ *client }

func (clusterGroups) kind() string { return "Cluster Parameter Group" }

func (g clusterGroups) create(ctx context.Context, name, family, description string, tags []types.Tag) (*string, error) {
	out, err := g.rds.CreateDBClusterParameterGroup(ctx, &rds.CreateDBClusterParameterGroupInput{
		DBClusterParameterGroupName: &name, DBParameterGroupFamily: &family, Description: &description, Tags: tags,
	})
	if err != nil {
		return nil, err
	}
	return out.DBClusterParameterGroup.DBClusterParameterGroupArn, nil
}

func (g clusterGroups) find(ctx context.Context, name string) (*parameterGroup, error) {
	out, err := g.rds.DescribeDBClusterParameterGroups(ctx, &rds.DescribeDBClusterParameterGroupsInput{DBClusterParameterGroupName: &name})
	if failed(err, groupNotFound) || err == nil && len(out.DBClusterParameterGroups) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f := out.DBClusterParameterGroups[0]
	return &parameterGroup{f.DBClusterParameterGroupArn, f.DBClusterParameterGroupName, f.DBParameterGroupFamily, f.Description}, nil
}

func (g clusterGroups) parameters(ctx context.Context, name, source string) ([]types.Parameter, error) {
	var all []types.Parameter
	pages := rds.NewDescribeDBClusterParametersPaginator(g.rds, &rds.DescribeDBClusterParametersInput{DBClusterParameterGroupName: &name, Source: &source})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Parameters...)
	}
	return all, nil
}

func (g clusterGroups) modify(ctx context.Context, name string, parameters []types.Parameter) error {
	_, err := g.rds.ModifyDBClusterParameterGroup(ctx, &rds.ModifyDBClusterParameterGroupInput{DBClusterParameterGroupName: &name, Parameters: parameters})
	return err
}

func (g clusterGroups) reset(ctx context.Context, name string, parameters []types.Parameter) error {
	_, err := g.rds.ResetDBClusterParameterGroup(ctx, &rds.ResetDBClusterParameterGroupInput{
		DBClusterParameterGroupName: &name, Parameters: parameters, ResetAllParameters: aws.Bool(false),
	})
	return err
}

func (g clusterGroups) remove(ctx context.Context, name string) error {
	_, err := g.rds.DeleteDBClusterParameterGroup(ctx, &rds.DeleteDBClusterParameterGroupInput{DBClusterParameterGroupName: &name})
	return err
}

// instanceGroups are DB parameter groups.
type instanceGroups struct{ *client }

func (instanceGroups) kind() string { return "DB Parameter Group" }

func (g instanceGroups) create(ctx context.Context, name, family, description string, tags []types.Tag) (*string, error) {
	out, err := g.rds.CreateDBParameterGroup(ctx, &rds.CreateDBParameterGroupInput{
		DBParameterGroupName: &name, DBParameterGroupFamily: &family, Description: &description, Tags: tags,
	})
	if err != nil {
		return nil, err
	}
	return out.DBParameterGroup.DBParameterGroupArn, nil
}

func (g instanceGroups) find(ctx context.Context, name string) (*parameterGroup, error) {
	out, err := g.rds.DescribeDBParameterGroups(ctx, &rds.DescribeDBParameterGroupsInput{DBParameterGroupName: &name})
	if failed(err, groupNotFound) || err == nil && len(out.DBParameterGroups) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f := out.DBParameterGroups[0]
	return &parameterGroup{f.DBParameterGroupArn, f.DBParameterGroupName, f.DBParameterGroupFamily, f.Description}, nil
}

func (g instanceGroups) parameters(ctx context.Context, name, source string) ([]types.Parameter, error) {
	var all []types.Parameter
	pages := rds.NewDescribeDBParametersPaginator(g.rds, &rds.DescribeDBParametersInput{DBParameterGroupName: &name, Source: &source})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Parameters...)
	}
	return all, nil
}

func (g instanceGroups) modify(ctx context.Context, name string, parameters []types.Parameter) error {
	_, err := g.rds.ModifyDBParameterGroup(ctx, &rds.ModifyDBParameterGroupInput{DBParameterGroupName: &name, Parameters: parameters})
	return err
}

func (g instanceGroups) reset(ctx context.Context, name string, parameters []types.Parameter) error {
	_, err := g.rds.ResetDBParameterGroup(ctx, &rds.ResetDBParameterGroupInput{
		DBParameterGroupName: &name, Parameters: parameters, ResetAllParameters: aws.Bool(false),
	})
	return err
}

func (g instanceGroups) remove(ctx context.Context, name string) error {
	_, err := g.rds.DeleteDBParameterGroup(ctx, &rds.DeleteDBParameterGroupInput{DBParameterGroupName: &name})
	return err
}
