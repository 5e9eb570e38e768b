package stack

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
)

// Owned lists what holds data, costs money or is in the way and carries the
// owner's tag: clusters, instances, security groups.
func (f Finder) Owned(ctx context.Context) ([]string, error) {
	var owned []string
	clusters := rds.NewDescribeDBClustersPaginator(f.RDS, &rds.DescribeDBClustersInput{})
	for clusters.HasMorePages() {
		page, err := clusters.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, c := range page.DBClusters {
			if f.owns(c.TagList) {
				owned = append(owned, "cluster "+aws.ToString(c.DBClusterIdentifier))
			}
		}
	}
	instances := rds.NewDescribeDBInstancesPaginator(f.RDS, &rds.DescribeDBInstancesInput{})
	for instances.HasMorePages() {
		page, err := instances.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, i := range page.DBInstances {
			if f.owns(i.TagList) {
				owned = append(owned, "instance "+aws.ToString(i.DBInstanceIdentifier))
			}
		}
	}
	groups, err := f.EC2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []ec2types.Filter{
		{Name: aws.String("tag:" + OwnerTag), Values: []string{f.Owner}},
	}})
	if err != nil {
		return nil, err
	}
	for _, g := range groups.SecurityGroups {
		owned = append(owned, "security group "+aws.ToString(g.GroupId))
	}
	return owned, nil
}
