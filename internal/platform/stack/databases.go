package stack

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
)

// Database is a cluster or an instance of one, with its status.
type Database struct{ ID, Status string }

// Databases lists the owner's clusters and their instances.
func (f Finder) Databases(ctx context.Context) (clusters, instances []Database, err error) {
	pages := rds.NewDescribeDBClustersPaginator(f.RDS, &rds.DescribeDBClustersInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, c := range page.DBClusters {
			if f.owns(c.TagList) {
				clusters = append(clusters, Database{aws.ToString(c.DBClusterIdentifier), aws.ToString(c.Status)})
			}
		}
	}
	more := rds.NewDescribeDBInstancesPaginator(f.RDS, &rds.DescribeDBInstancesInput{})
	for more.HasMorePages() {
		page, err := more.NextPage(ctx)
		if err != nil {
			return nil, nil, err
		}
		for _, i := range page.DBInstances {
			if f.owns(i.TagList) {
				instances = append(instances, Database{aws.ToString(i.DBInstanceIdentifier), aws.ToString(i.DBInstanceStatus)})
			}
		}
	}
	return clusters, instances, nil
}
