package system

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/jackc/pgx/v5"

	"github.com/daybreakdb/daybreak/test/harness"
)

const family = "aurora-postgresql15"

// tuned is a cluster of a writer and a reader with parameter groups of its own, all
// of them named so.
const tuned = "tuned"

// TestParametersReachPostgreSQL changes parameter groups with the SDK and asks the
// servers.
func TestParametersReachPostgreSQL(t *testing.T) {
	in := harness.New(t, harness.Options{})
	client := in.RDS()
	name := aws.String(tuned)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	set := func(parameter, value, method string) {
		t.Helper()
		must(client.ModifyDBClusterParameterGroup(t.Context(), &rds.ModifyDBClusterParameterGroupInput{DBClusterParameterGroupName: name,
			Parameters: []types.Parameter{{ParameterName: &parameter, ParameterValue: &value, ApplyMethod: types.ApplyMethod(method)}}}))
	}
	must(client.CreateDBClusterParameterGroup(t.Context(), &rds.CreateDBClusterParameterGroupInput{
		DBClusterParameterGroupName: name, DBParameterGroupFamily: aws.String(family), Description: name}))
	set("max_connections", "111", "pending-reboot")
	makeTuned(t, client)
	writer, reader := tunedEndpoints(t, client)
	is := func(e harness.Endpoint, parameter, want string) {
		t.Helper()
		harness.Eventually(t, 30*time.Second, parameter+" is "+want, in.Is(e, "SHOW "+parameter, want))
	}
	reboot := func(instance, want string) {
		t.Helper()
		must(client.RebootDBInstance(t.Context(), &rds.RebootDBInstanceInput{DBInstanceIdentifier: &instance}))
		settled(t, client, want)
	}
	is(writer, "max_connections", "111")

	set("work_mem", "{DBInstanceClassMemory/32768}", "immediate")
	harness.Eventually(t, 30*time.Second, "a formula has its value", func() error {
		got, err := in.Query(reader, "SELECT (pg_size_bytes(current_setting('work_mem')) / 1024 = pg_size_bytes(current_setting('shared_buffers')) * 4 / 32768)::text")
		if err != nil || got != "true" {
			return fmt.Errorf("%s, %v", got, err)
		}
		return nil
	})

	set("track_activity_query_size", "8192", "pending-reboot")
	set("max_connections", "90", "pending-reboot")
	settled(t, client, "pending-reboot")
	is(writer, "track_activity_query_size", "4kB")
	reboot(tuned+"-2", "pending-reboot") // max_connections waits for the writer
	is(reader, "track_activity_query_size", "8kB")
	is(reader, "max_connections", "111")
	reboot(tuned+"-1", "in-sync")
	is(writer, "track_activity_query_size", "8kB")
	is(writer, "max_connections", "90")

	set("rds.force_ssl", "1", "immediate")
	harness.Eventually(t, 30*time.Second, "clients without TLS are refused", func() error {
		_, err := pgx.Connect(t.Context(), fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres password=%s sslmode=disable", writer.Host, writer.Port, harness.Password))
		if err == nil || !strings.Contains(err.Error(), "no pg_hba.conf entry") {
			return fmt.Errorf("%v", err)
		}
		return nil
	})
	is(writer, `"rds.force_ssl"`, "1")
}

func makeTuned(t *testing.T, client *rds.Client) {
	t.Helper()
	_, err := client.CreateDBCluster(t.Context(), &rds.CreateDBClusterInput{
		DBClusterIdentifier: aws.String(tuned), Engine: aws.String("aurora-postgresql"), DBClusterParameterGroupName: aws.String(tuned),
		MasterUsername: aws.String("postgres"), MasterUserPassword: aws.String(harness.Password)})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{tuned + "-1", tuned + "-2"} {
		_, err := client.CreateDBInstance(t.Context(), &rds.CreateDBInstanceInput{DBInstanceIdentifier: aws.String(id),
			DBClusterIdentifier: aws.String(tuned), Engine: aws.String("aurora-postgresql"), DBInstanceClass: aws.String("db.t4g.medium")})
		if err != nil {
			t.Fatal(err)
		}
		harness.Eventually(t, 3*time.Minute, id+" is available", func() error {
			out, err := client.DescribeDBInstances(t.Context(), &rds.DescribeDBInstancesInput{DBInstanceIdentifier: aws.String(id)})
			if err != nil {
				return err
			}
			if status := *out.DBInstances[0].DBInstanceStatus; status != "available" {
				return fmt.Errorf("it is %s", status)
			}
			return nil
		})
	}
}

func tunedEndpoints(t *testing.T, client *rds.Client) (writer, reader harness.Endpoint) {
	t.Helper()
	c := describeTuned(t, client)
	return harness.Endpoint{Host: *c.Endpoint, Port: int(*c.Port)}, harness.Endpoint{Host: *c.ReaderEndpoint, Port: int(*c.Port)}
}

func describeTuned(t *testing.T, client *rds.Client) types.DBCluster {
	t.Helper()
	out, err := client.DescribeDBClusters(t.Context(), &rds.DescribeDBClustersInput{DBClusterIdentifier: aws.String(tuned)})
	if err != nil {
		t.Fatal(err)
	}
	return out.DBClusters[0]
}

// settled waits until all instances are available and one at least has the status
// for the cluster's parameter group; for in-sync, until none is applying.
func settled(t *testing.T, client *rds.Client, want string) {
	t.Helper()
	harness.Eventually(t, time.Minute, "the instances are settled, "+want, func() error {
		out, err := client.DescribeDBInstances(t.Context(), nil)
		if err != nil {
			return err
		}
		for _, i := range out.DBInstances {
			if *i.DBInstanceStatus != "available" {
				return fmt.Errorf("%s is %s", *i.DBInstanceIdentifier, *i.DBInstanceStatus)
			}
		}
		found := false
		var all []string
		for _, m := range describeTuned(t, client).DBClusterMembers {
			all = append(all, *m.DBClusterParameterGroupStatus)
			found = found || *m.DBClusterParameterGroupStatus == want
			if *m.DBClusterParameterGroupStatus == "applying" {
				return fmt.Errorf("%v", all)
			}
		}
		if !found {
			return fmt.Errorf("%v", all)
		}
		return nil
	})
}

// TestParametersOfTheShippedPlan deploys the plan with parameters of both kinds, and
// plans again.
func TestParametersOfTheShippedPlan(t *testing.T) {
	in := harness.New(t, harness.Options{})
	up := []string{"up", in.PlanWithParameters(), "--name", "demo", "--param", "password=@" + in.Write("password", harness.Password)}
	var d harness.Deployment
	in.JSON(&d, up...)
	for parameter, want := range harness.PlanParameters {
		if got, err := in.Query(d.Endpoints.Writer, "SHOW "+parameter); err != nil || got != want {
			t.Errorf("%s is %q (%v), want %s", parameter, got, err, want)
		}
	}
	in.JSON(&d, up...)
	if d.Changed {
		t.Error("a second up changed something")
	}
	in.Run("down", "demo", "--yes")
}
