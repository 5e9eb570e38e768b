package rds_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

func (r region) stop(t testing.TB, id string) {
	t.Helper()
	out, err := r.StopDBCluster(t.Context(), &api.StopDBClusterInput{DBClusterIdentifier: &id})
	if err != nil || *out.DBCluster.Status != "stopping" {
		t.Fatalf("%+v, %v", out, err)
	}
	wait(t, "the cluster is stopped", func() bool { return *r.cluster(t, id).Status == "stopped" })
}

func TestClusterStopsAndStarts(t *testing.T) {
	r := available(t)
	r.stop(t, "demo")
	c := r.cluster(t, "demo")
	if left := time.Until(aws.ToTime(c.AutomaticRestartTime)); left < 7*24*time.Hour-time.Minute || left > 7*24*time.Hour {
		t.Errorf("it starts by itself in %v", left)
	}
	out, err := r.StartDBCluster(t.Context(), &api.StartDBClusterInput{DBClusterIdentifier: aws.String(*c.DBClusterArn)})
	if err != nil || *out.DBCluster.Status != "starting" {
		t.Fatalf("%+v, %v", out, err)
	}
	wait(t, "it is available", func() bool { return *r.cluster(t, "demo").Status == "available" })
	if at := r.cluster(t, "demo").AutomaticRestartTime; at != nil {
		t.Errorf("a cluster that runs starts by itself at %v", at)
	}
}

func TestStoppedClusterIsNotChanged(t *testing.T) {
	r := available(t)
	id, w := aws.String("demo"), aws.String("w")
	_, err := r.StartDBCluster(t.Context(), &api.StartDBClusterInput{DBClusterIdentifier: id})
	if wantCode(t, "start what runs", err, "InvalidDBClusterStateFault"); !strings.Contains(err.Error(), "is in available state but expected it to be one of stopped") {
		t.Error(err)
	}
	_, err = r.StopDBCluster(t.Context(), &api.StopDBClusterInput{DBClusterIdentifier: aws.String("none")})
	wantCode(t, "stop what is not there", err, "DBClusterNotFoundFault")
	_, err = r.StartDBCluster(t.Context(), &api.StartDBClusterInput{DBClusterIdentifier: aws.String("none")})
	wantCode(t, "start what is not there", err, "DBClusterNotFoundFault")
	r.stop(t, "demo")
	before := r.stored(t, "demo")
	for what, try := range map[string]func() error{
		"InvalidDBClusterStateFault stop again": func() error {
			_, err := r.StopDBCluster(t.Context(), &api.StopDBClusterInput{DBClusterIdentifier: id})
			return err
		},
		"InvalidDBClusterStateFault modify": func() error {
			_, err := r.ModifyDBCluster(t.Context(), &api.ModifyDBClusterInput{DBClusterIdentifier: id, BackupRetentionPeriod: aws.Int32(3), ApplyImmediately: aws.Bool(true)})
			return err
		},
		"InvalidDBClusterStateFault fail over": func() error {
			_, err := r.FailoverDBCluster(t.Context(), &api.FailoverDBClusterInput{DBClusterIdentifier: id})
			return err
		},
		"InvalidDBClusterStateFault delete": func() error {
			_, err := r.DeleteDBCluster(t.Context(), &api.DeleteDBClusterInput{DBClusterIdentifier: id, SkipFinalSnapshot: aws.Bool(true)})
			return err
		},
		"InvalidDBClusterStateFault add an instance": func() error {
			_, err := r.CreateDBInstance(t.Context(), instanceInput("demo", "more"))
			return err
		},
		"InvalidDBInstanceState modify an instance": func() error {
			_, err := r.ModifyDBInstance(t.Context(), &api.ModifyDBInstanceInput{DBInstanceIdentifier: w, PromotionTier: aws.Int32(4)})
			return err
		},
		"InvalidDBInstanceState reboot": func() error {
			_, err := r.RebootDBInstance(t.Context(), &api.RebootDBInstanceInput{DBInstanceIdentifier: w})
			return err
		},
		"InvalidDBInstanceState delete an instance": func() error {
			_, err := r.DeleteDBInstance(t.Context(), &api.DeleteDBInstanceInput{DBInstanceIdentifier: w})
			return err
		},
	} {
		want, _, _ := strings.Cut(what, " ")
		wantCode(t, what, try(), want)
	}
	if after := r.stored(t, "demo"); after.Generation != before.Generation {
		t.Errorf("something was changed: %+v", after)
	}
}

func TestOnlyAClusterThatIsAvailableIsStopped(t *testing.T) {
	r := start(t)
	r.create(t, "demo", "w")
	_, err := r.StopDBCluster(t.Context(), &api.StopDBClusterInput{DBClusterIdentifier: aws.String("demo")})
	wantCode(t, "stop what is being created", err, "InvalidDBClusterStateFault")
}

func TestClusterStartsByItselfAfterSevenDays(t *testing.T) {
	r := available(t)
	r.stop(t, "demo")
	_, err := state.DBClusters(r.store).Update(t.Context(), *r.cluster(t, "demo").DbClusterResourceId, func(c *aurora.DBCluster) error {
		long := time.Now().Add(-aurora.MaxStop)
		c.Spec.Stopped = &long
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wait(t, "it is available", func() bool { return *r.cluster(t, "demo").Status == "available" })
	events, err := state.Events(t.Context(), r.store, time.Now().Add(-time.Hour))
	if err != nil || len(events) == 0 || events[len(events)-1].EventID != "RDS-EVENT-0153" {
		t.Errorf("%+v, %v", events, err)
	}
}
