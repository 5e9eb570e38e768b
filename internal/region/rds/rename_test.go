package rds_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/rds"
)

func TestAClusterAndItsInstanceGetOtherNames(t *testing.T) {
	r := available(t)
	r.create(t, "other", "taken")
	wait(t, "taken is available", func() bool { return *r.instance(t, "taken").DBInstanceStatus == "available" })
	cluster := func(from, to string, now bool) (*api.ModifyDBClusterOutput, error) {
		return r.ModifyDBCluster(t.Context(), &api.ModifyDBClusterInput{DBClusterIdentifier: &from, NewDBClusterIdentifier: &to, ApplyImmediately: &now})
	}
	for to, want := range map[string]string{"other": "DBClusterAlreadyExistsFault", "no--name": "InvalidParameterValue"} {
		_, err := cluster("demo", to, true)
		wantCode(t, "to "+to, err, want)
	}
	if out, err := cluster("demo", "Later", false); err != nil || *out.DBCluster.DBClusterIdentifier != "demo" || *out.DBCluster.PendingModifiedValues.DBClusterIdentifier != "later" {
		t.Fatalf("%+v, %v", out, err)
	}
	_, err := r.CreateDBCluster(t.Context(), clusterInput("later"))
	wantCode(t, "a name that is to come", err, "DBClusterAlreadyExistsFault")
	if out, err := cluster("demo", "new", true); err != nil || *out.DBCluster.DBClusterIdentifier != "new" || out.DBCluster.PendingModifiedValues != nil {
		t.Fatalf("%+v, %v", out, err)
	}
	for _, free := range []string{"later", "demo"} {
		if _, err := r.CreateDBCluster(t.Context(), clusterInput(free)); err != nil {
			t.Errorf("%s is not free: %v", free, err)
		}
	}
	wait(t, "the instance knows its cluster's name", func() bool { return *r.instance(t, "w").DBClusterIdentifier == "new" })

	_, err = r.ModifyDBInstance(t.Context(), &api.ModifyDBInstanceInput{DBInstanceIdentifier: aws.String("w"), NewDBInstanceIdentifier: aws.String("taken")})
	wantCode(t, "an instance's name that is taken", err, "DBInstanceAlreadyExists")
	if _, err := r.ModifyDBInstance(t.Context(), &api.ModifyDBInstanceInput{DBInstanceIdentifier: aws.String("w"), NewDBInstanceIdentifier: aws.String("x")}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ModifyDBInstance(t.Context(), &api.ModifyDBInstanceInput{DBInstanceIdentifier: aws.String("w"), PreferredMaintenanceWindow: window(-2)}); err != nil {
		t.Fatal(err)
	}
	wait(t, "the instance is renamed in its window", func() bool {
		out, err := r.DescribeDBInstances(t.Context(), &api.DescribeDBInstancesInput{DBInstanceIdentifier: aws.String("x")})
		return err == nil && len(out.DBInstances) == 1 && out.DBInstances[0].PendingModifiedValues == nil
	})
	if _, err := r.DeleteDBInstance(t.Context(), &api.DeleteDBInstanceInput{DBInstanceIdentifier: aws.String("x"), SkipFinalSnapshot: aws.Bool(true)}); err != nil {
		t.Error(err)
	}
}
