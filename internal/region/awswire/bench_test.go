package awswire_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
)

func BenchmarkEncode100DBClusters(b *testing.B) {
	s := awswire.RDS()
	awswire.Register(s, func(context.Context, *rds.DescribeDBClustersInput) (*rds.DescribeDBClustersOutput, error) {
		return nil, nil
	})
	out := &rds.DescribeDBClustersOutput{DBClusters: make([]types.DBCluster, 100)}
	for i := range out.DBClusters {
		wiretest.Fill(&out.DBClusters[i])
	}
	for b.Loop() {
		if _, err := awswire.Encode(s, "DescribeDBClusters", out); err != nil {
			b.Fatal(err)
		}
	}
}
