package rds_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/smithy-go"
)

// TestManyClientsNeverWinTogetherNorLeaveAnythingStuck has 50 clients create, change,
// rename, stop and delete a few clusters, instances and endpoints all at once.
func TestManyClientsNeverWinTogetherNorLeaveAnythingStuck(t *testing.T) {
	const clients, rounds, names = 50, 6, 3
	r := start(t)
	r.control(t)
	var winners [names]atomic.Int64 // creations minus deletions of a cluster's name
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			client := api.NewFromConfig(r.cfg)
			for range rounds {
				i := rand.IntN(names)
				if err := r.anything(t, client, i, &winners[i]); err != nil && !refusedByState(err) {
					t.Errorf("%v", err)
				}
			}
		})
	}
	all.Wait()

	for i := range names { // what there is now can be used, and goes
		id := fmt.Sprint("c", i)
		wait(t, id+" settles and goes", func() bool {
			_, _ = r.StartDBCluster(t.Context(), &api.StartDBClusterInput{DBClusterIdentifier: &id})
			for j := range names {
				_, _ = r.DeleteDBInstance(t.Context(), &api.DeleteDBInstanceInput{DBInstanceIdentifier: aws.String(fmt.Sprint("i", j))})
			}
			_, _ = r.DeleteDBCluster(t.Context(), &api.DeleteDBClusterInput{DBClusterIdentifier: &id, SkipFinalSnapshot: aws.Bool(true)})
			_, err := r.DescribeDBClusters(t.Context(), &api.DescribeDBClustersInput{DBClusterIdentifier: &id})
			return code(err) == "DBClusterNotFoundFault"
		})
		if _, err := r.CreateDBCluster(t.Context(), clusterInput(id)); err != nil {
			t.Errorf("the name %s is not free at the end: %v", id, err)
		}
	}
}

// anything does one thing to the cluster, instance or endpoint of a number.
func (r region) anything(t *testing.T, client *api.Client, i int, winner *atomic.Int64) error {
	ctx, c, in, e := t.Context(), aws.String(fmt.Sprint("c", i)), aws.String(fmt.Sprint("i", i)), aws.String(fmt.Sprint("e", i))
	var err error
	switch rand.IntN(9) {
	case 0, 1:
		if _, err = client.CreateDBCluster(ctx, clusterInput(*c)); err == nil {
			if n := winner.Add(1); n > 1 {
				t.Errorf("%d clusters were made by the name of %s", n, *c)
			}
		}
	case 2:
		winner.Add(-1) // before, for another may make it at once
		if _, err = client.DeleteDBCluster(ctx, &api.DeleteDBClusterInput{DBClusterIdentifier: c, SkipFinalSnapshot: aws.Bool(true)}); err != nil {
			winner.Add(1)
		}
	case 3:
		_, err = client.CreateDBInstance(ctx, instanceInput(fmt.Sprint("c", rand.IntN(3)), *in))
	case 4:
		_, err = client.DeleteDBInstance(ctx, &api.DeleteDBInstanceInput{DBInstanceIdentifier: in})
	case 5:
		_, err = client.ModifyDBCluster(ctx, &api.ModifyDBClusterInput{DBClusterIdentifier: c, BackupRetentionPeriod: aws.Int32(rand.Int32N(35) + 1), ApplyImmediately: aws.Bool(true)})
	case 6:
		input := endpointInput(*e)
		input.DBClusterIdentifier = c
		_, err = client.CreateDBClusterEndpoint(ctx, input)
	case 7:
		_, err = client.DeleteDBClusterEndpoint(ctx, &api.DeleteDBClusterEndpointInput{DBClusterEndpointIdentifier: e})
	case 8:
		if _, err = client.StopDBCluster(ctx, &api.StopDBClusterInput{DBClusterIdentifier: c}); err != nil {
			_, err = client.StartDBCluster(ctx, &api.StartDBClusterInput{DBClusterIdentifier: c})
		}
	}
	return err
}

// refusedByState says whether a request was refused as what others do may have it.
func refusedByState(err error) bool {
	var e smithy.APIError
	if !errors.As(err, &e) {
		return false
	}
	switch e.ErrorCode() {
	case "DBClusterAlreadyExistsFault", "DBClusterNotFoundFault", "InvalidDBClusterStateFault", "DBInstanceAlreadyExists", "DBInstanceNotFound",
		"InvalidDBInstanceState", "DBClusterEndpointAlreadyExistsFault", "DBClusterEndpointNotFoundFault":
		return true
	}
	return false
}
