package awswire_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
)

// TestLargeAnswersReachAClientThatDoesNotTryAgain: without the pause every tenth
// answer at least is lost; a machine that is busy enough loses one with it too.
func TestLargeAnswersReachAClientThatDoesNotTryAgain(t *testing.T) {
	const calls, tolerated = 100, 3
	out := &rds.DescribeDBClustersOutput{DBClusters: make([]types.DBCluster, 20)}
	for i := range out.DBClusters {
		wiretest.Fill(&out.DBClusters[i])
	}
	s := awswire.RDS()
	awswire.Register(s, func(context.Context, *rds.DescribeDBClustersInput) (*rds.DescribeDBClustersOutput, error) {
		return out, nil
	})
	client := rds.NewFromConfig(wiretest.Serve(t, s))
	lost := 0
	for range calls {
		got, err := client.DescribeDBClusters(t.Context(), nil)
		if err != nil {
			t.Log(err)
			lost++
		} else if len(got.DBClusters) != len(out.DBClusters) {
			t.Fatalf("%d clusters, want %d", len(got.DBClusters), len(out.DBClusters))
		}
	}
	if lost > tolerated {
		t.Errorf("%d of %d answers were lost", lost, calls)
	}
}
