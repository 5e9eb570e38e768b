//go:build clients && awsprovider && moto

package provider

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// stack has what paas/ has, and every kind of resource that a server which is not ours can make.
const stack = `
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  region     = "eu-west-1"
  access_key = "test"
  secret_key = "test"

  endpoints {
    rds            = "%[1]s"
    ec2            = "%[1]s"
    sts            = "%[1]s"
    appautoscaling = "%[1]s"
  }

  default_tags {
    tags = {
      Origin = "test"
    }
  }
}

data "aws_vpc" "this" {
  default = true
}

data "aws_subnets" "this" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.this.id]
  }
}

data "aws_availability_zones" "this" {
  state = "available"
}

data "aws_caller_identity" "this" {}
data "aws_region" "this" {}
data "aws_partition" "this" {}

output "facts" {
  value = [data.aws_vpc.this, data.aws_subnets.this, data.aws_availability_zones.this, data.aws_caller_identity.this, data.aws_region.this, data.aws_partition.this]
}

resource "aws_security_group" "this" {
  name        = "%[2]s"
  description = "Who may connect"
  vpc_id      = data.aws_vpc.this.id

  ingress {
    description = "PostgreSQL"
    from_port   = 5432
    to_port     = 5432
    protocol    = "tcp"
    cidr_blocks = ["127.0.0.0/8", "10.0.0.0/8"]
  }

  ingress {
    from_port = 5432
    to_port   = 5432
    protocol  = "TCP"
    self      = true
  }

  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "all"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "generated" {
  name_prefix = "%[2]s-"
}

resource "aws_db_subnet_group" "this" {
  name       = "%[2]s"
  subnet_ids = data.aws_subnets.this.ids

  tags = {
    Name   = "%[2]s"
    Origin = "test"
  }
}

resource "aws_rds_cluster_parameter_group" "this" {
  name   = "%[2]s"
  family = "aurora-postgresql15"

  parameter {
    name  = "log_statement"
    value = "ddl"
  }

  parameter {
    name         = "max_connections"
    value        = "200"
    apply_method = "pending-reboot"
  }
}

resource "aws_db_parameter_group" "this" {
  name   = "%[2]s"
  family = "aurora-postgresql15"
}

resource "aws_rds_cluster" "this" {
  cluster_identifier = "%[2]s"
  engine             = "aurora-postgresql"
  engine_version     = "15"
  database_name      = "postgres"
  master_username    = "postgres"
  master_password    = "not-very-secret"

  db_subnet_group_name            = aws_db_subnet_group.this.name
  vpc_security_group_ids          = [aws_security_group.this.id]
  db_cluster_parameter_group_name = aws_rds_cluster_parameter_group.this.name

  backup_retention_period      = 7
  preferred_backup_window      = "07:00-09:00"
  preferred_maintenance_window = "sun:05:00-sun:07:00"
  storage_encrypted            = true
  kms_key_id                   = null
  skip_final_snapshot          = true
  final_snapshot_identifier    = null

  enabled_cloudwatch_logs_exports = []

  serverlessv2_scaling_configuration {
    min_capacity = 0.5
    max_capacity = 2
  }

  timeouts {
    create = "20m"
  }

  tags = {
    Name = "%[2]s"
  }
}

resource "aws_rds_cluster_instance" "this" {
  count = 2

  identifier              = "%[2]s-${count.index}"
  cluster_identifier      = aws_rds_cluster.this.id
  instance_class          = "db.r6g.large"
  engine                  = aws_rds_cluster.this.engine
  db_parameter_group_name = count.index == 0 ? aws_db_parameter_group.this.name : null
  publicly_accessible     = count.index == 0
  promotion_tier          = count.index
}

resource "aws_appautoscaling_target" "this" {
  service_namespace  = "rds"
  scalable_dimension = "rds:cluster:ReadReplicaCount"
  resource_id        = "cluster:${aws_rds_cluster.this.cluster_identifier}"
  min_capacity       = 1
  max_capacity       = 3
}

resource "aws_appautoscaling_policy" "this" {
  name               = "%[2]s"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this.service_namespace
  scalable_dimension = aws_appautoscaling_target.this.scalable_dimension
  resource_id        = aws_appautoscaling_target.this.resource_id

  target_tracking_scaling_policy_configuration {
    target_value = 70.1

    predefined_metric_specification {
      predefined_metric_type = "RDSReaderAverageCPUUtilization"
    }
  }
}
`

func TestStateIsInterchangeable(t *testing.T) {
	endpoint := moto(t)
	for _, way := range []struct{ name, id, from, to string }{
		{"applied with the embedded provider, planned empty with the real one", "first", embeddedMirror(t), realMirror(t)},
		{"applied with the real provider, planned empty with the embedded one", "second", realMirror(t), embeddedMirror(t)},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			tf := newTerraform(t, way.from, fmt.Sprintf(stack, endpoint, way.id))
			tf.must("init", "-input=false")
			tf.must("apply", "-input=false", "-auto-approve")
			tf.mustPlanNothing("the provider that applied")
			tf.use(way.to)
			tf.must("init", "-input=false")
			tf.mustPlanNothing("the other provider")
			// It can remove what the other made.
			tf.must("destroy", "-input=false", "-auto-approve")
		})
	}
}

// moto starts a server that is not ours. A proxy hides its answer that no provider can plan empty, an empty
// configuration of a serverless cluster, and answers the one action that it lacks.
func moto(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	cmd := exec.Command("python3", "-m", "moto.server", "-p", strconv.Itoa(port))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	backend := &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port)}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if resp, err := http.Get(backend.String() + "/moto-api/"); err == nil {
			resp.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("moto does not answer")
		}
	}
	empty := regexp.MustCompile(`<ScalingConfigurationInfo\s*/>|<ScalingConfigurationInfo>\s*</ScalingConfigurationInfo>`)
	proxy := httputil.NewSingleHostReverseProxy(backend)
	proxy.ModifyResponse = func(r *http.Response) error {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		body = empty.ReplaceAll(body, nil)
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
		return nil
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") == "AnyScaleFrontendService.ListTagsForResource" {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			_, _ = io.WriteString(w, `{"Tags":{"Origin":"test"}}`)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
