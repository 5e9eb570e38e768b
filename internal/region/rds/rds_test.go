package rds_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	api "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/smithy-go"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/aurora/parameter"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/ec2"
	"github.com/daybreakdb/daybreak/internal/region/rds"
	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

const password = "correct-horse-1"

// region is the RDS service of a test, over the wire.
type region struct {
	*api.Client
	store *state.Store
	cfg   aws.Config
	// running are the parameters that servers were last started with.
	running map[string]map[string]string
}

func start(t testing.TB) region {
	t.Helper()
	store := statetest.Start(t)
	ctx, cancel := context.WithCancel(context.Background())
	service, err := rds.New(ctx, store)
	if err != nil {
		t.Fatal(err)
	}
	cfg := wiretest.Serve(t, service)
	// smithy-go closes a request's body as soon as the answer begins; when that is
	// before its sender has seen the end, the connection is lost (aws-sdk-go-v2
	// issue 2737). Answers from memory are that fast, and clients try again.
	cfg.Retryer = func() aws.Retryer { return retry.AddWithMaxBackoffDelay(retry.NewStandard(), time.Millisecond) }
	t.Cleanup(cancel)
	return region{api.NewFromConfig(cfg), store, cfg, map[string]map[string]string{}}
}

// in is the same region's client for another region name.
func (r region) in(name string) *api.Client {
	cfg := r.cfg.Copy()
	cfg.Region = name
	return api.NewFromConfig(cfg)
}

func (r region) subnets() []string {
	var ids []string
	for _, s := range ec2.DefaultNetwork(wiretest.Account, wiretest.Region).Subnets {
		ids = append(ids, s.ID)
	}
	return ids
}

func clusterInput(id string) *api.CreateDBClusterInput {
	return &api.CreateDBClusterInput{
		DBClusterIdentifier: &id, Engine: aws.String("aurora-postgresql"), EngineMode: aws.String("provisioned"),
		MasterUsername: aws.String("postgres"), MasterUserPassword: aws.String(password),
	}
}

func instanceInput(cluster, id string) *api.CreateDBInstanceInput {
	return &api.CreateDBInstanceInput{
		DBClusterIdentifier: &cluster, DBInstanceIdentifier: &id, Engine: aws.String("aurora-postgresql"),
		DBInstanceClass: aws.String("db.r6g.large"),
	}
}

func (r region) create(t testing.TB, cluster string, instances ...string) {
	t.Helper()
	if _, err := r.CreateDBCluster(t.Context(), clusterInput(cluster)); err != nil {
		t.Fatal(err)
	}
	for _, id := range instances {
		if _, err := r.CreateDBInstance(t.Context(), instanceInput(cluster, id)); err != nil {
			t.Fatal(err)
		}
	}
}

func (r region) cluster(t testing.TB, id string) types.DBCluster {
	t.Helper()
	out, err := r.DescribeDBClusters(t.Context(), &api.DescribeDBClustersInput{DBClusterIdentifier: &id})
	if err != nil || len(out.DBClusters) != 1 {
		t.Fatalf("cluster %s: %+v, %v", id, out, err)
	}
	return out.DBClusters[0]
}

func (r region) instance(t testing.TB, id string) types.DBInstance {
	t.Helper()
	out, err := r.DescribeDBInstances(t.Context(), &api.DescribeDBInstancesInput{DBInstanceIdentifier: &id})
	if err != nil || len(out.DBInstances) != 1 {
		t.Fatalf("instance %s: %+v, %v", id, out, err)
	}
	return out.DBInstances[0]
}

// stored is a cluster as the data plane reads it.
func (r region) stored(t testing.TB, id string) aurora.DBCluster {
	t.Helper()
	item, err := state.DBClusters(r.store).Get(t.Context(), *r.cluster(t, id).DbClusterResourceId)
	if err != nil {
		t.Fatal(err)
	}
	return item.Value
}

func wait(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("not reached: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

func wantCode(t testing.TB, what string, err error, want string) {
	t.Helper()
	if code(err) != want {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

// control stands in for the data plane until the test ends: what is asked for
// becomes true at once.
func (r region) control(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	clusters, err := state.NewMirror(ctx, state.DBClusters(r.store))
	if err != nil {
		t.Fatal(err)
	}
	instances, err := state.NewMirror(ctx, state.DBInstances(r.store))
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			clustersChanged, instancesChanged := clusters.Changed(), instances.Changed()
			for _, in := range instances.All() {
				r.controlInstance(ctx, in)
			}
			for _, c := range clusters.All() {
				r.controlCluster(ctx, c, instances.All())
			}
			select {
			case <-clustersChanged:
			case <-instancesChanged:
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
}

func (r region) controlInstance(ctx context.Context, item state.Item[aurora.DBInstance]) {
	v := item.Value
	if v.DeleteRequested {
		name := state.Name{Kind: state.KindDBInstance, Account: v.Account, Region: v.Region, Name: v.Spec.Identifier}
		_ = state.DBInstances(r.store).Delete(ctx, item.Key, name.Release(item.Key))
		return
	}
	_, _ = state.DBInstances(r.store).Update(ctx, item.Key, func(v *aurora.DBInstance) error {
		if v.DeleteRequested || v.Status.ObservedGeneration == v.Generation && v.Server.ParameterGeneration == v.Spec.ParameterGeneration {
			return state.ErrUnchanged
		}
		if v.Status.ObservedGeneration == 0 || v.Server.RestartGeneration != v.Spec.RestartGeneration {
			r.running[item.Key] = v.Spec.Parameters
		}
		v.Server = aurora.ServerReport{Phase: aurora.PhaseRunning, RestartGeneration: v.Spec.RestartGeneration,
			ParameterGeneration: v.Spec.ParameterGeneration, PendingSettings: pendingSettings(r.running[item.Key], v.Spec.Parameters)}
		v.Status = aurora.DBInstanceStatus{
			ObservedGeneration: v.Generation, Status: aurora.InstanceStatusAvailable, AvailabilityZone: v.Region + "a",
			Endpoint: aurora.Address{Host: v.Spec.Identifier + ".test", Port: 5432},
		}
		return nil
	})
}

// pendingSettings are the static settings that differ.
func pendingSettings(running, wanted map[string]string) string {
	var pending []string
	for _, p := range parameter.All() {
		for name := range p.Settings("") {
			if p.Static && running[name] != wanted[name] {
				pending = append(pending, name)
			}
		}
	}
	return strings.Join(pending, ",")
}

func (r region) controlCluster(ctx context.Context, item state.Item[aurora.DBCluster], instances []state.Item[aurora.DBInstance]) {
	v := item.Value
	var writer *aurora.DBInstance
	for _, in := range instances {
		if in.Value.Spec.ClusterResourceID == item.Key && (writer == nil || in.Value.CreateTime.Before(writer.CreateTime)) {
			writer = &in.Value
		}
	}
	if v.DeleteRequested && writer == nil {
		name := state.Name{Kind: state.KindDBCluster, Account: v.Account, Region: v.Region, Name: v.Spec.Identifier}
		_ = state.DBClusters(r.store).Delete(ctx, item.Key, name.Release(item.Key))
		return
	}
	_, _ = state.DBClusters(r.store).Update(ctx, item.Key, func(v *aurora.DBCluster) error {
		status := aurora.DBClusterStatus{
			ObservedGeneration: v.Generation, Status: aurora.ClusterStatusAvailable,
			WriterEndpoint: aurora.Address{Host: v.Spec.Identifier + ".cluster.test", Port: 5432},
			ReaderEndpoint: aurora.Address{Host: v.Spec.Identifier + ".cluster-ro.test", Port: 5432},
		}
		if writer != nil {
			status.Writer = writer.ResourceID
		}
		if v.Spec.Stopped != nil {
			status.Status = aurora.ClusterStatusStopped
		}
		for _, e := range v.Spec.CustomEndpoints {
			status.CustomEndpoints = append(status.CustomEndpoints, aurora.CustomEndpointStatus{
				ResourceID: e.ResourceID, Address: aurora.Address{Host: e.Identifier + ".custom.test", Port: 5432}})
		}
		if v.DeleteRequested || v.Status.ObservedGeneration == status.ObservedGeneration && v.Status.Writer == status.Writer &&
			slices.Equal(v.Status.CustomEndpoints, status.CustomEndpoints) {
			return state.ErrUnchanged
		}
		v.Status = status
		return nil
	})
}
