package rds_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	iamapi "github.com/aws/aws-sdk-go-v2/service/iam"
	api "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/region/rds"
	"github.com/daybreakdb/daybreak/internal/region/regiontest"
)

func TestRolesOfAClusterAreKept(t *testing.T) {
	served := regiontest.Serve(t, rds.New)
	client := api.NewFromConfig(served.Root)
	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"rds.amazonaws.com"}}}`
	role, err := iamapi.NewFromConfig(served.Root).CreateRole(t.Context(), &iamapi.CreateRoleInput{RoleName: aws.String("load"), Path: aws.String("/a/"), AssumeRolePolicyDocument: &trust})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateDBCluster(t.Context(), clusterInput("demo")); err != nil {
		t.Fatal(err)
	}
	add := func(arn, feature string) error {
		_, err := client.AddRoleToDBCluster(t.Context(), &api.AddRoleToDBClusterInput{DBClusterIdentifier: aws.String("demo"), RoleArn: &arn, FeatureName: &feature})
		return err
	}
	if err := add(*role.Role.Arn, "s3Import"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "the same once more", add(*role.Role.Arn, "s3Import"), "DBClusterRoleAlreadyExists")
	wantCode(t, "another feature", add(*role.Role.Arn, "s3Exports"), "InvalidParameterValue")
	wantCode(t, "no role", add(*role.Role.Arn+"x", "Lambda"), "InvalidParameterValue")
	out, err := client.DescribeDBClusters(t.Context(), nil)
	if err != nil || len(out.DBClusters[0].AssociatedRoles) != 1 || *out.DBClusters[0].AssociatedRoles[0].Status != "ACTIVE" {
		t.Fatalf("%+v, %v", out, err)
	}
	remove := func() error {
		_, err := client.RemoveRoleFromDBCluster(t.Context(), &api.RemoveRoleFromDBClusterInput{DBClusterIdentifier: aws.String("demo"), RoleArn: role.Role.Arn, FeatureName: aws.String("s3Import")})
		return err
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
	wantCode(t, "remove what is gone", remove(), "DBClusterRoleNotFound")
}

func TestWhatIsNotForAuroraSaysSo(t *testing.T) {
	r := start(t)
	r.create(t, "demo", "w")
	id, w := aws.String("demo"), aws.String("w")
	_, err := r.StopDBInstance(t.Context(), &api.StopDBInstanceInput{DBInstanceIdentifier: w})
	wantCode(t, "stop an instance", err, "InvalidDBInstanceState")
	_, err = r.StartDBInstance(t.Context(), &api.StartDBInstanceInput{DBInstanceIdentifier: aws.String("none")})
	wantCode(t, "start no instance", err, "DBInstanceNotFound")
	_, err = r.RebootDBCluster(t.Context(), &api.RebootDBClusterInput{DBClusterIdentifier: id})
	wantCode(t, "reboot a cluster", err, "InvalidDBClusterStateFault")
	_, err = r.PromoteReadReplicaDBCluster(t.Context(), &api.PromoteReadReplicaDBClusterInput{DBClusterIdentifier: id})
	wantCode(t, "promote", err, "InvalidDBClusterStateFault")
	_, err = r.DescribeDBProxies(t.Context(), nil)
	if wantCode(t, "proxies", err, "UnsupportedOperation"); err != nil && !strings.Contains(err.Error(), "no RDS Proxy") {
		t.Error(err)
	}
	_, err = r.DescribeOptionGroups(t.Context(), nil)
	wantCode(t, "what Aurora PostgreSQL does not have", err, "InvalidAction")
	if out, err := r.DescribeDBMajorEngineVersions(t.Context(), nil); err != nil || len(out.DBMajorEngineVersions) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err := r.DescribeSourceRegions(t.Context(), nil); err != nil || len(out.SourceRegions) < 5 {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err := r.DescribeValidDBInstanceModifications(t.Context(), &api.DescribeValidDBInstanceModificationsInput{DBInstanceIdentifier: w}); err != nil || out.ValidDBInstanceModificationsMessage == nil {
		t.Errorf("%+v, %v", out, err)
	}
}
