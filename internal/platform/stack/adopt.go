package stack

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
)

// Finder finds in AWS what an interrupted run made but did not get to note in
// its state.
type Finder struct {
	Owner string // the value of OwnerTag that proves that a resource is ours
	RDS   *rds.Client
	EC2   *ec2.Client
}

// ErrForeign is a resource that stands where the stack wants to make its own.
type ErrForeign struct{ Type, ID string }

func (e ErrForeign) Error() string {
	return fmt.Sprintf("%s %s exists already and does not belong to this deployment", e.Type, e.ID)
}

// Adopt imports into the state what the plan would make and what is there
// already as ours. It reports how many resources it imported.
func (r *Run) Adopt(ctx context.Context, f Finder, creates []Planned) (int, error) {
	n := 0
	for _, p := range creates {
		id, err := f.find(ctx, p)
		if err != nil {
			return n, err
		}
		if id == "" {
			continue
		}
		if err := r.fail(ctx, "import", r.tf.Import(ctx, p.Address, id)); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// find returns the id to import a planned resource by, or "" when it is not
// there.
func (f Finder) find(ctx context.Context, p Planned) (string, error) {
	text := func(key string) string { s, _ := p.After[key].(string); return s }
	var find func(context.Context, string) (string, []rdstypes.Tag, error)
	var name string
	switch p.Type {
	case "aws_security_group":
		return f.securityGroup(ctx, text("name"), text("vpc_id"))
	case "aws_db_subnet_group":
		name, find = text("name"), f.subnetGroup
	case "aws_rds_cluster":
		name, find = text("cluster_identifier"), f.cluster
	case "aws_rds_cluster_instance":
		name, find = text("identifier"), f.instance
	}
	if name == "" {
		return "", nil
	}
	id, tags, err := find(ctx, name)
	if err != nil || id == "" {
		return "", err
	}
	for _, t := range tags {
		if aws.ToString(t.Key) == OwnerTag && aws.ToString(t.Value) == f.Owner {
			return id, nil
		}
	}
	return "", ErrForeign{Type: p.Type, ID: id}
}

func (f Finder) securityGroup(ctx context.Context, name, vpc string) (string, error) {
	if name == "" || vpc == "" {
		return "", nil
	}
	out, err := f.EC2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []ec2types.Filter{
		{Name: aws.String("group-name"), Values: []string{name}}, {Name: aws.String("vpc-id"), Values: []string{vpc}},
	}})
	if err != nil || len(out.SecurityGroups) == 0 {
		return "", err
	}
	group := out.SecurityGroups[0]
	for _, t := range group.Tags {
		if aws.ToString(t.Key) == OwnerTag && aws.ToString(t.Value) == f.Owner {
			return aws.ToString(group.GroupId), nil
		}
	}
	return "", ErrForeign{Type: "aws_security_group", ID: aws.ToString(group.GroupId)}
}

func (f Finder) subnetGroup(ctx context.Context, name string) (string, []rdstypes.Tag, error) {
	out, err := f.RDS.DescribeDBSubnetGroups(ctx, &rds.DescribeDBSubnetGroupsInput{DBSubnetGroupName: &name})
	if isCode(err, "DBSubnetGroupNotFoundFault") {
		return "", nil, nil
	}
	if err != nil || len(out.DBSubnetGroups) == 0 {
		return "", nil, err
	}
	tags, err := f.RDS.ListTagsForResource(ctx, &rds.ListTagsForResourceInput{ResourceName: out.DBSubnetGroups[0].DBSubnetGroupArn})
	if err != nil {
		return "", nil, err
	}
	return name, tags.TagList, nil
}

func (f Finder) cluster(ctx context.Context, id string) (string, []rdstypes.Tag, error) {
	var tags []rdstypes.Tag
	found, err := settled(ctx, func() (string, error) {
		out, err := f.RDS.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: &id})
		if isCode(err, "DBClusterNotFoundFault") {
			return gone, nil
		}
		if err != nil || len(out.DBClusters) == 0 {
			return gone, err
		}
		tags = out.DBClusters[0].TagList
		return aws.ToString(out.DBClusters[0].Status), nil
	})
	if err != nil || !found {
		return "", nil, err
	}
	return id, tags, nil
}

func (f Finder) instance(ctx context.Context, id string) (string, []rdstypes.Tag, error) {
	var tags []rdstypes.Tag
	found, err := settled(ctx, func() (string, error) {
		out, err := f.RDS.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &id})
		if isCode(err, "DBInstanceNotFound") {
			return gone, nil
		}
		if err != nil || len(out.DBInstances) == 0 {
			return gone, err
		}
		tags = out.DBInstances[0].TagList
		return aws.ToString(out.DBInstances[0].DBInstanceStatus), nil
	})
	if err != nil || !found {
		return "", nil, err
	}
	return id, tags, nil
}

const gone = ""

// settled waits while a resource is being made or deleted, and reports whether
// it is there in the end.
func settled(ctx context.Context, status func() (string, error)) (bool, error) {
	for {
		s, err := status()
		if err != nil || s == gone {
			return false, err
		}
		if s != "creating" && s != "deleting" {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}
