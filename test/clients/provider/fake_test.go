package provider

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/iam"
	"github.com/daybreakdb/daybreak/internal/region/sts"
)

// A fake is a region with one DB cluster, whose status the test says.
type fake struct {
	mu        sync.Mutex
	cluster   *types.DBCluster
	status    string
	refuse    error
	described int
	modified  []*rds.ModifyDBClusterInput
	deleted   []*rds.DeleteDBClusterInput
	endpoint  string
}

func newFake(t *testing.T) *fake {
	f := &fake{status: "available"}
	s := awswire.RDS()
	awswire.Register(s, f.create)
	awswire.Register(s, f.describe)
	awswire.Register(s, f.modify)
	awswire.Register(s, f.delete)
	awswire.Register(s, func(context.Context, *rds.DescribeGlobalClustersInput) (*rds.DescribeGlobalClustersOutput, error) {
		return &rds.DescribeGlobalClustersOutput{}, nil
	})
	f.endpoint = aws.ToString(wiretest.Serve(t, s, sts.New(&iam.Directory{})).BaseEndpoint)
	return f
}

// say sets the status of the cluster and what a creation is refused with.
func (f *fake) say(status string, refuse error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status, f.refuse = status, refuse
}

func (f *fake) create(_ context.Context, in *rds.CreateDBClusterInput) (*rds.CreateDBClusterOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return nil, f.refuse
	}
	f.cluster = &types.DBCluster{
		DBClusterIdentifier: in.DBClusterIdentifier, Engine: in.Engine, EngineMode: in.EngineMode, EngineVersion: aws.String("15.10"),
		DBClusterArn: aws.String("arn:aws:rds:us-west-2:111122223333:cluster:" + aws.ToString(in.DBClusterIdentifier)),
		TagList:      in.Tags, BackupRetentionPeriod: aws.Int32(1), Port: aws.Int32(5432), MasterUsername: in.MasterUsername,
	}
	return &rds.CreateDBClusterOutput{DBCluster: f.shown()}, nil
}

func (f *fake) shown() *types.DBCluster {
	c := *f.cluster
	c.Status = aws.String(f.status)
	return &c
}

func (f *fake) describe(_ context.Context, in *rds.DescribeDBClustersInput) (*rds.DescribeDBClustersOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.described++
	if f.cluster == nil {
		return nil, &awswire.Error{Status: 404, Code: "DBClusterNotFoundFault", Message: "DBCluster " + aws.ToString(in.DBClusterIdentifier) + " not found."}
	}
	return &rds.DescribeDBClustersOutput{DBClusters: []types.DBCluster{*f.shown()}}, nil
}

func (f *fake) modify(_ context.Context, in *rds.ModifyDBClusterInput) (*rds.ModifyDBClusterOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.modified = append(f.modified, in)
	return &rds.ModifyDBClusterOutput{DBCluster: f.shown()}, nil
}

func (f *fake) delete(_ context.Context, in *rds.DeleteDBClusterInput) (*rds.DeleteDBClusterOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deleted = append(f.deleted, in)
	out := &rds.DeleteDBClusterOutput{DBCluster: f.shown()}
	f.cluster = nil
	return out, nil
}

func (f *fake) seen() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.described
}

// config is a stack with the cluster and nothing else.
func (f *fake) config(arguments string) string {
	return fmt.Sprintf(`
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  region     = "us-west-2"
  access_key = %q
  secret_key = %q

  endpoints {
    rds = %[3]q
    sts = %[3]q
  }
}

resource "aws_rds_cluster" "this" {
  cluster_identifier = "one"
  engine             = "aurora-postgresql"
  engine_version     = "15"
  master_username    = "postgres"
  %[4]s
}
`, wiretest.AccessKey, wiretest.SecretKey, f.endpoint, arguments)
}
