package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/smithy-go"
)

// Finder finds in AWS what an interrupted run made but did not get to note in
// its state.
type Finder struct {
	Owner string // the value of OwnerTag that proves that a resource is ours
	RDS   *rds.Client
	EC2   *ec2.Client
}

// Foreign is a resource of somebody else that stands where the stack wants to
// make its own.
type Foreign struct{ Type, ID string }

func (f Foreign) String() string { return f.Type + " " + f.ID }

// found is a resource in AWS: the id to import it by, and whether it is ours.
type found struct {
	id   string
	ours bool
}

// Adopt imports into the state what the plan would make and what is there
// already as ours. It returns how many resources it imported, and what is there
// but not ours.
func (r *Run) Adopt(ctx context.Context, f Finder, creates []Planned) (n int, foreign []Foreign, err error) {
	for _, p := range creates {
		there, err := f.find(ctx, p)
		switch {
		case err != nil:
			return n, foreign, fmt.Errorf("look for %s in AWS: %w", p.Address, err)
		case there.id == "":
			continue
		case !there.ours:
			foreign = append(foreign, Foreign{Type: p.Type, ID: there.id})
			continue
		}
		if err := r.fail(ctx, "import", r.tf.Import(ctx, p.Address, there.id)); err != nil {
			return n, foreign, err
		}
		n++
	}
	return n, foreign, nil
}

// find looks for a planned resource; the id is empty when it is not there, or
// when AWS is to choose its name.
func (f Finder) find(ctx context.Context, p Planned) (found, error) {
	text := func(key string) string { s, _ := p.After[key].(string); return s }
	if p.Type == "aws_security_group" {
		return f.securityGroup(ctx, text("name"), text("vpc_id"))
	}
	var look func(context.Context, string) ([]rdstypes.Tag, error)
	var name string
	switch p.Type {
	case "aws_db_subnet_group":
		name, look = text("name"), f.subnetGroup
	case "aws_rds_cluster_parameter_group":
		name, look = text("name"), f.clusterParameterGroup
	case "aws_db_parameter_group":
		name, look = text("name"), f.parameterGroup
	case "aws_rds_cluster":
		name, look = text("cluster_identifier"), f.cluster
	case "aws_rds_cluster_instance":
		name, look = text("identifier"), f.instance
	}
	if name == "" {
		return found{}, nil
	}
	tags, err := look(ctx, name)
	if errors.Is(err, errNotThere) {
		return found{}, nil
	}
	return found{id: name, ours: f.owns(tags)}, err
}

func (f Finder) owns(tags []rdstypes.Tag) bool {
	return slices.ContainsFunc(tags, func(t rdstypes.Tag) bool {
		return aws.ToString(t.Key) == OwnerTag && aws.ToString(t.Value) == f.Owner
	})
}

func (f Finder) securityGroup(ctx context.Context, name, vpc string) (found, error) {
	if name == "" || vpc == "" {
		return found{}, nil
	}
	out, err := f.EC2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []ec2types.Filter{
		{Name: aws.String("group-name"), Values: []string{name}}, {Name: aws.String("vpc-id"), Values: []string{vpc}},
	}})
	if err != nil || len(out.SecurityGroups) == 0 {
		return found{}, err
	}
	group := out.SecurityGroups[0]
	ours := slices.ContainsFunc(group.Tags, func(t ec2types.Tag) bool {
		return aws.ToString(t.Key) == OwnerTag && aws.ToString(t.Value) == f.Owner
	})
	return found{id: aws.ToString(group.GroupId), ours: ours}, nil
}

// errNotThere says that AWS has no such resource.
var errNotThere = errors.New("not there")

// notThere turns AWS's error of this code into errNotThere.
func notThere(err error, code string) error {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == code {
		return errNotThere
	}
	return err
}

func (f Finder) subnetGroup(ctx context.Context, name string) ([]rdstypes.Tag, error) {
	out, err := f.RDS.DescribeDBSubnetGroups(ctx, &rds.DescribeDBSubnetGroupsInput{DBSubnetGroupName: &name})
	if err != nil {
		return nil, notThere(err, "DBSubnetGroupNotFoundFault")
	}
	if len(out.DBSubnetGroups) == 0 {
		return nil, errNotThere
	}
	return f.tags(ctx, out.DBSubnetGroups[0].DBSubnetGroupArn)
}

func (f Finder) clusterParameterGroup(ctx context.Context, name string) ([]rdstypes.Tag, error) {
	out, err := f.RDS.DescribeDBClusterParameterGroups(ctx, &rds.DescribeDBClusterParameterGroupsInput{DBClusterParameterGroupName: &name})
	if err != nil {
		return nil, notThere(err, "DBParameterGroupNotFound")
	}
	if len(out.DBClusterParameterGroups) == 0 {
		return nil, errNotThere
	}
	return f.tags(ctx, out.DBClusterParameterGroups[0].DBClusterParameterGroupArn)
}

func (f Finder) parameterGroup(ctx context.Context, name string) ([]rdstypes.Tag, error) {
	out, err := f.RDS.DescribeDBParameterGroups(ctx, &rds.DescribeDBParameterGroupsInput{DBParameterGroupName: &name})
	if err != nil {
		return nil, notThere(err, "DBParameterGroupNotFound")
	}
	if len(out.DBParameterGroups) == 0 {
		return nil, errNotThere
	}
	return f.tags(ctx, out.DBParameterGroups[0].DBParameterGroupArn)
}

func (f Finder) tags(ctx context.Context, arn *string) ([]rdstypes.Tag, error) {
	out, err := f.RDS.ListTagsForResource(ctx, &rds.ListTagsForResourceInput{ResourceName: arn})
	if err != nil {
		return nil, err
	}
	return out.TagList, nil
}

func (f Finder) cluster(ctx context.Context, id string) ([]rdstypes.Tag, error) {
	return settled(ctx, func() (string, []rdstypes.Tag, error) {
		out, err := f.RDS.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: &id})
		if err != nil {
			return "", nil, notThere(err, "DBClusterNotFoundFault")
		}
		if len(out.DBClusters) == 0 {
			return "", nil, errNotThere
		}
		return aws.ToString(out.DBClusters[0].Status), out.DBClusters[0].TagList, nil
	})
}

func (f Finder) instance(ctx context.Context, id string) ([]rdstypes.Tag, error) {
	return settled(ctx, func() (string, []rdstypes.Tag, error) {
		out, err := f.RDS.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &id})
		if err != nil {
			return "", nil, notThere(err, "DBInstanceNotFound")
		}
		if len(out.DBInstances) == 0 {
			return "", nil, errNotThere
		}
		return aws.ToString(out.DBInstances[0].DBInstanceStatus), out.DBInstances[0].TagList, nil
	})
}

// settled waits while a resource is being made or deleted, and returns its tags
// if it is there in the end.
func settled(ctx context.Context, look func() (status string, tags []rdstypes.Tag, err error)) ([]rdstypes.Tag, error) {
	for {
		status, tags, err := look()
		if err != nil || (status != "creating" && status != "deleting") {
			return tags, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}
