//go:build clients && awsprovider

package clients

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/jackc/pgx/v5"

	"github.com/daybreakdb/daybreak/test/harness"
)

// configuration is a cluster with two instances, a custom endpoint, and a password
// that the region manages.
const configuration = `
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
provider "aws" {
  region                      = "us-west-2"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}
resource "aws_sns_topic" "events" { name = "events" }
resource "aws_db_event_subscription" "mine" {
  name        = "mine"
  sns_topic   = aws_sns_topic.events.arn
  source_type = "db-cluster"
  source_ids  = [aws_rds_cluster.demo.id]
  tags        = { a = "b" }
}
resource "aws_rds_cluster" "demo" {
  cluster_identifier              = "demo"
  engine                          = "aurora-postgresql"
  engine_version                  = "15.10"
  database_name                   = "app"
  master_username                 = "postgres"
  manage_master_user_password     = true
  enabled_cloudwatch_logs_exports = ["postgresql"]
  skip_final_snapshot             = true
}
resource "aws_rds_cluster_instance" "member" {
  count              = 2
  identifier         = "member-${count.index}"
  cluster_identifier = aws_rds_cluster.demo.id
  engine             = aws_rds_cluster.demo.engine
  instance_class     = "db.t3.medium"
}
resource "aws_rds_cluster_endpoint" "reports" {
  cluster_identifier          = aws_rds_cluster.demo.id
  cluster_endpoint_identifier = "reports"
  custom_endpoint_type        = "ANY"
  static_members              = [aws_rds_cluster_instance.member[1].identifier]
  tags                        = { a = "b" }
}
`

// TestRealProviderHasNothingToDoAfterAStop applies, stops and starts the cluster,
// plans, uses the custom endpoint with the managed password, and destroys.
func TestRealProviderHasNothingToDoAfterAStop(t *testing.T) {
	t.Parallel()
	in := harness.New(t, harness.Options{})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	mirror := need(t, "DAYBREAK_TEST_AWS_PROVIDER_MIRROR")
	if err := os.WriteFile(filepath.Join(dir, "rc"), []byte("provider_installation {\n  filesystem_mirror { path = \""+mirror+"\" }\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	terraform := func(args ...string) string {
		t.Helper()
		c := exec.Command("terraform", append(args, "-no-color", "-input=false")...)
		c.Dir, c.Env = dir, append(os.Environ(), "TF_CLI_CONFIG_FILE="+filepath.Join(dir, "rc"))
		for name, value := range in.AWSEnv() {
			c.Env = append(c.Env, name+"="+value)
		}
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("terraform %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	unchanged := func(when string) {
		t.Helper()
		if out := terraform("plan"); !strings.Contains(out, "No changes.") {
			t.Errorf("%s there is something to do:\n%s", when, out)
		}
	}
	terraform("init")
	terraform("apply", "-auto-approve")
	unchanged("after the creation")

	client, id := in.RDS(), aws.String("demo")
	becomes := func(status string) {
		t.Helper()
		harness.Eventually(t, time.Minute, "the cluster is "+status, func() error {
			out, err := client.DescribeDBClusters(t.Context(), &rds.DescribeDBClustersInput{DBClusterIdentifier: id})
			if err != nil {
				return err
			}
			return is(*out.DBClusters[0].Status, status)
		})
	}
	if _, err := client.StopDBCluster(t.Context(), &rds.StopDBClusterInput{DBClusterIdentifier: id}); err != nil {
		t.Fatal(err)
	}
	becomes("stopped")
	if left := in.Postmasters(); len(left) > 0 {
		t.Errorf("servers of a stopped cluster: %v", left)
	}
	if _, err := client.StartDBCluster(t.Context(), &rds.StartDBClusterInput{DBClusterIdentifier: id}); err != nil {
		t.Fatal(err)
	}
	becomes("available")
	for _, member := range []string{"member-0", "member-1"} {
		harness.Eventually(t, time.Minute, member+" is available", func() error {
			out, err := client.DescribeDBInstances(t.Context(), &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &member})
			if err != nil {
				return err
			}
			return is(*out.DBInstances[0].DBInstanceStatus, "available")
		})
	}
	unchanged("after stop and start")
	useCustomEndpoint(t, in)
	terraform("destroy", "-auto-approve")
}

// useCustomEndpoint connects through it with the password of the cluster's secret,
// which is rotated then.
func useCustomEndpoint(t *testing.T, in *harness.Installation) {
	t.Helper()
	client, secrets := in.RDS(), secretsmanager.NewFromConfig(in.AWS())
	clusters, err := client.DescribeDBClusters(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	endpoints, err := client.DescribeDBClusterEndpoints(t.Context(), &rds.DescribeDBClusterEndpointsInput{DBClusterEndpointIdentifier: aws.String("reports")})
	if err != nil || len(endpoints.DBClusterEndpoints) != 1 {
		t.Fatalf("%+v, %v", endpoints, err)
	}
	arn := clusters.DBClusters[0].MasterUserSecret.SecretArn
	password := func() string {
		t.Helper()
		var v struct{ Password string }
		out, err := secrets.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: arn})
		if err == nil {
			err = json.Unmarshal([]byte(*out.SecretString), &v)
		}
		if err != nil {
			t.Fatal(err)
		}
		return v.Password
	}
	answers := func() error {
		config, err := pgx.ParseConfig("sslmode=require connect_timeout=5 dbname=app user=postgres")
		if err != nil {
			return err
		}
		config.Host, config.Port, config.Password = *endpoints.DBClusterEndpoints[0].Endpoint, uint16(*clusters.DBClusters[0].Port), password()
		conn, err := pgx.ConnectConfig(t.Context(), config)
		if err != nil {
			return err
		}
		defer conn.Close(t.Context())
		var member string
		if err := conn.QueryRow(t.Context(), "select aurora_db_instance_identifier()").Scan(&member); err != nil {
			return err
		}
		return is(member, "member-1")
	}
	harness.Eventually(t, 30*time.Second, "the custom endpoint leads to its member", answers)
	before := password()
	if _, err := secrets.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{SecretId: arn}); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, 30*time.Second, "there is another password", func() error {
		if password() == before {
			return errors.New("it is the same")
		}
		return nil
	})
	harness.Eventually(t, 30*time.Second, "PostgreSQL knows it", answers)
}
