package rds_test

import (
	"fmt"
	"testing"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/state"
)

// BenchmarkDescribeHundredClusters asks for all clusters, each of two instances.
func BenchmarkDescribeHundredClusters(b *testing.B) {
	r := start(b)
	for i := range 100 {
		meta := aurora.Meta{ResourceID: fmt.Sprint("cluster-", i), Account: wiretest.Account, Region: wiretest.Region, Generation: 1}
		cluster := aurora.DBCluster{Meta: meta, Spec: aurora.DBClusterSpec{Identifier: fmt.Sprint("demo-", i), EngineVersion: "15.10"}}
		if _, err := state.DBClusters(r.store).Create(b.Context(), meta.ResourceID, cluster); err != nil {
			b.Fatal(err)
		}
		for n := range 2 {
			instance := aurora.DBInstance{Meta: meta, Spec: aurora.DBInstanceSpec{ClusterResourceID: meta.ResourceID, Identifier: fmt.Sprintf("demo-%d-%d", i, n)}}
			if _, err := state.DBInstances(r.store).Create(b.Context(), fmt.Sprintf("db-%d-%d", i, n), instance); err != nil {
				b.Fatal(err)
			}
		}
	}
	wait(b, "100 clusters", func() bool {
		out, err := r.DescribeDBClusters(b.Context(), nil)
		return err == nil && len(out.DBClusters) == 100
	})
	for b.Loop() {
		if _, err := r.DescribeDBClusters(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
	}
}
