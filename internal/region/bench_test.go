package region_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	api "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/rds"
	"github.com/daybreakdb/daybreak/internal/region/regiontest"
	"github.com/daybreakdb/daybreak/internal/state"
)

// BenchmarkRegion asks for clusters, and for as many instances, that are records
// without servers, as a user of IAM with the SDK's client. With
// DAYBREAK_BENCH_PEER=URL it asks the server there too, which makes its records
// itself: moto's. bench/run.sh region runs both.
func BenchmarkRegion(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10000} {
		b.Run(fmt.Sprintf("daybreak/%d", n), func(b *testing.B) {
			r := regiontest.Serve(b, func(ctx context.Context, store *state.Store) (*awswire.Service, error) { return rds.New(ctx, store) })
			before := heapNow()
			fillStore(b, r.Store, n)
			client := api.NewFromConfig(userOf(b, r))
			ask(b, client, n)
			if n < 1000 {
				return // less than what the caches of a region take
			}
			b.Run("memory", func(b *testing.B) {
				for b.Loop() {
				}
				b.ReportMetric(float64(heapNow()-before)/float64(2*n)*1000, "B/1000-resources")
				b.ReportMetric(0, "ns/op")
			})
		})
	}
	peer := os.Getenv("DAYBREAK_BENCH_PEER")
	if peer == "" {
		return
	}
	client := api.New(api.Options{
		Region: wiretest.Region, BaseEndpoint: &peer, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	made := 0
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("peer/%d", n), func(b *testing.B) {
			for ; made < n; made++ {
				createRecord(b, client, made)
			}
			ask(b, client, n)
		})
	}
}

func clusterName(i int) *string  { return aws.String(fmt.Sprintf("demo-%05d", i)) }
func instanceName(i int) *string { return aws.String(fmt.Sprintf("demo-%05d-1", i)) }

// fillStore writes n clusters of an instance each, as RDS would.
func fillStore(b *testing.B, store *state.Store, n int) {
	b.Helper()
	clusters, instances := state.DBClusters(store), state.DBInstances(store)
	var ops []state.Op
	for i := range n {
		meta := aurora.Meta{Account: wiretest.Account, Region: wiretest.Region, Generation: 1, CreateTime: time.Unix(int64(i), 0)}
		cluster := aurora.DBCluster{Meta: meta, Spec: aurora.DBClusterSpec{
			Identifier: *clusterName(i), Engine: "aurora-postgresql", EngineVersion: "15.10", MasterUsername: "postgres",
			AvailabilityZones: []string{"us-west-2a", "us-west-2b", "us-west-2c"}, PreferredBackupWindow: "07:00-08:00",
		}, Status: aurora.DBClusterStatus{Status: aurora.ClusterStatusAvailable, ObservedGeneration: 1}}
		cluster.ResourceID = fmt.Sprintf("cluster-%05d", i)
		instance := aurora.DBInstance{Meta: meta, Spec: aurora.DBInstanceSpec{
			Identifier: *instanceName(i), ClusterResourceID: cluster.ResourceID, ClusterIdentifier: cluster.Spec.Identifier,
		}}
		instance.ResourceID = fmt.Sprintf("db-%05d", i)
		ops = append(ops, clusters.PutOp(cluster.ResourceID, cluster, 0), instances.PutOp(instance.ResourceID, instance, 0))
		if len(ops) == 100 || i == n-1 {
			if _, err := store.Commit(b.Context(), ops...); err != nil {
				b.Fatal(err)
			}
			ops = ops[:0]
		}
	}
}

// userOf is a user who may describe.
func userOf(b *testing.B, r regiontest.Region) aws.Config {
	b.Helper()
	users, name := iam.NewFromConfig(r.Root), aws.String("bench")
	_, err := users.CreateUser(b.Context(), &iam.CreateUserInput{UserName: name})
	_, policyErr := users.PutUserPolicy(b.Context(), &iam.PutUserPolicyInput{UserName: name, PolicyName: name,
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Resource":"*","Action":"rds:Describe*"}}`)})
	key, keyErr := users.CreateAccessKey(b.Context(), &iam.CreateAccessKeyInput{UserName: name})
	if err := errors.Join(err, policyErr, keyErr); err != nil {
		b.Fatal(err)
	}
	return r.As(key.AccessKey.AccessKeyId, key.AccessKey.SecretAccessKey, nil)
}

// createRecord makes a cluster and an instance of a server that starts none.
func createRecord(b *testing.B, client *api.Client, i int) {
	b.Helper()
	_, err := client.CreateDBCluster(b.Context(), &api.CreateDBClusterInput{
		DBClusterIdentifier: clusterName(i), Engine: aws.String("aurora-postgresql"),
		MasterUsername: aws.String("postgres"), MasterUserPassword: aws.String("correct-horse-9"),
	})
	if err == nil {
		_, err = client.CreateDBInstance(b.Context(), &api.CreateDBInstanceInput{
			DBInstanceIdentifier: instanceName(i), DBClusterIdentifier: clusterName(i), Engine: aws.String("aurora-postgresql"), DBInstanceClass: aws.String("db.t4g.medium"),
		})
	}
	if err != nil {
		b.Fatal(err)
	}
}

// ask measures lists, with all their pages, and lookups by name.
func ask(b *testing.B, client *api.Client, n int) {
	ctx := b.Context()
	for _, c := range []struct {
		name string
		call func() (found, want int, err error)
	}{
		{"clusters", func() (found, want int, err error) {
			for pages := api.NewDescribeDBClustersPaginator(client, nil); err == nil && pages.HasMorePages(); {
				var page *api.DescribeDBClustersOutput
				if page, err = pages.NextPage(ctx); err == nil {
					found += len(page.DBClusters)
				}
			}
			return found, n, err
		}},
		{"clusters-page", func() (int, int, error) {
			page, err := client.DescribeDBClusters(ctx, nil)
			if err != nil {
				return 0, 0, err
			}
			return len(page.DBClusters), min(n, 100), nil
		}},
		{"instances-page", func() (int, int, error) {
			page, err := client.DescribeDBInstances(ctx, nil)
			if err != nil {
				return 0, 0, err
			}
			return len(page.DBInstances), min(n, 100), nil
		}},
		{"cluster-by-name", func() (int, int, error) {
			page, err := client.DescribeDBClusters(ctx, &api.DescribeDBClustersInput{DBClusterIdentifier: clusterName(n / 2)})
			if err != nil {
				return 0, 0, err
			}
			return len(page.DBClusters), 1, nil
		}},
		{"instance-by-name", func() (int, int, error) {
			page, err := client.DescribeDBInstances(ctx, &api.DescribeDBInstancesInput{DBInstanceIdentifier: instanceName(n / 2)})
			if err != nil {
				return 0, 0, err
			}
			return len(page.DBInstances), 1, nil
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			// Records that were just written are there when the mirrors have them.
			for deadline := time.Now().Add(time.Minute); ; {
				found, want, err := c.call()
				if err == nil && found == want {
					break
				}
				if time.Now().After(deadline) {
					b.Fatalf("%d of %d, %v", found, want, err)
				}
			}
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				if _, _, err := c.call(); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			report(b, took)
		})
	}
	http.DefaultClient.CloseIdleConnections()
	runtime.GC()
}

// report adds percentiles of calls that were made one after the other.
func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	at := func(p float64) float64 { return float64(took[int(p*float64(len(took)-1))].Microseconds()) / 1000 }
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "requests/s")
	b.ReportMetric(0, "ns/op")
}
