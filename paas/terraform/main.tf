terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

provider "aws" {
  region = var.region
}

locals {
  name               = "aurora-${var.deployment_id}"
  read_replica_count = tonumber(var.read_replica_count)
  serverless         = var.instance_class == "db.serverless"
  family             = "aurora-postgresql${split(".", var.postgres_version)[0]}"

  # Who may connect: what was asked for, else the deployment's own network.
  allowed_cidr_blocks = length(var.allowed_cidr_blocks) > 0 ? var.allowed_cidr_blocks : [var.vpc_cidr]

  cluster_parameter_group  = length(var.cluster_parameters) > 0 ? aws_rds_cluster_parameter_group.this[0].name : null
  instance_parameter_group = length(var.instance_parameters) > 0 ? aws_db_parameter_group.this[0].name : null

  tags = merge(var.tags, { Name = local.name })

  # Instances are made side by side, and failovers change roles: which of them
  # writes is what AWS says, not what their names say.
  instances = concat([aws_rds_cluster_instance.writer], aws_rds_cluster_instance.reader)
}

resource "aws_security_group" "this" {
  name        = local.name
  description = "Who may connect to the Aurora PostgreSQL cluster"
  vpc_id      = var.vpc_id

  ingress {
    description = "PostgreSQL"
    from_port   = coalesce(var.port, 5432)
    to_port     = coalesce(var.port, 5432)
    protocol    = "tcp"
    cidr_blocks = local.allowed_cidr_blocks
  }

  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }

  tags = local.tags
}

resource "aws_db_subnet_group" "this" {
  name        = local.name
  description = "Subnets of the Aurora PostgreSQL cluster, one in each of three zones"
  subnet_ids  = var.subnet_ids

  tags = local.tags
}

resource "aws_rds_cluster_parameter_group" "this" {
  count = length(var.cluster_parameters) > 0 ? 1 : 0

  name        = local.name
  family      = local.family
  description = "Parameters of the Aurora PostgreSQL cluster"

  dynamic "parameter" {
    for_each = var.cluster_parameters
    content {
      name         = parameter.value.name
      value        = parameter.value.value
      apply_method = parameter.value.apply_method
    }
  }

  tags = local.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_parameter_group" "this" {
  count = length(var.instance_parameters) > 0 ? 1 : 0

  name        = local.name
  family      = local.family
  description = "Parameters of the Aurora PostgreSQL instances"

  dynamic "parameter" {
    for_each = var.instance_parameters
    content {
      name         = parameter.value.name
      value        = parameter.value.value
      apply_method = parameter.value.apply_method
    }
  }

  tags = local.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_rds_cluster" "this" {
  cluster_identifier = local.name
  engine             = "aurora-postgresql"
  engine_version     = var.postgres_version
  database_name      = var.database_name
  port               = var.port

  master_username = var.master_username
  master_password = var.master_password

  db_subnet_group_name            = aws_db_subnet_group.this.name
  vpc_security_group_ids          = [aws_security_group.this.id]
  db_cluster_parameter_group_name = local.cluster_parameter_group

  storage_encrypted = true
  kms_key_id        = var.kms_key_id

  backup_retention_period      = var.backup_retention_period
  preferred_backup_window      = var.preferred_backup_window
  preferred_maintenance_window = var.preferred_maintenance_window
  copy_tags_to_snapshot        = true

  deletion_protection       = var.deletion_protection
  skip_final_snapshot       = var.skip_final_snapshot
  final_snapshot_identifier = var.skip_final_snapshot ? null : "${local.name}-final"

  enabled_cloudwatch_logs_exports = var.enabled_cloudwatch_logs_exports

  apply_immediately = var.apply_immediately

  dynamic "serverlessv2_scaling_configuration" {
    for_each = local.serverless ? [1] : []
    content {
      min_capacity = var.serverless_min_capacity
      max_capacity = var.serverless_max_capacity
    }
  }

  tags = local.tags
}

resource "aws_rds_cluster_instance" "writer" {
  identifier         = "${local.name}-1"
  cluster_identifier = aws_rds_cluster.this.id
  instance_class     = var.instance_class
  engine             = aws_rds_cluster.this.engine
  engine_version     = aws_rds_cluster.this.engine_version

  db_parameter_group_name = local.instance_parameter_group
  publicly_accessible     = var.publicly_accessible
  promotion_tier          = 0
  apply_immediately       = var.apply_immediately

  tags = merge(var.tags, { Name = "${local.name}-1" })
}

resource "aws_rds_cluster_instance" "reader" {
  count = local.read_replica_count

  identifier         = "${local.name}-${count.index + 2}"
  cluster_identifier = aws_rds_cluster.this.id
  instance_class     = var.instance_class
  engine             = aws_rds_cluster.this.engine
  engine_version     = aws_rds_cluster.this.engine_version

  db_parameter_group_name = local.instance_parameter_group
  publicly_accessible     = var.publicly_accessible
  promotion_tier          = 1
  apply_immediately       = var.apply_immediately

  tags = merge(var.tags, { Name = "${local.name}-${count.index + 2}" })
}

resource "aws_appautoscaling_target" "readers" {
  count = var.autoscaling_enabled ? 1 : 0

  service_namespace  = "rds"
  scalable_dimension = "rds:cluster:ReadReplicaCount"
  resource_id        = "cluster:${aws_rds_cluster.this.cluster_identifier}"
  min_capacity       = var.autoscaling_min_capacity
  max_capacity       = var.autoscaling_max_capacity
}

resource "aws_appautoscaling_policy" "readers" {
  count = var.autoscaling_enabled ? 1 : 0

  name               = "${local.name}-readers"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.readers[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.readers[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.readers[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value = var.autoscaling_target_cpu

    predefined_metric_specification {
      predefined_metric_type = "RDSReaderAverageCPUUtilization"
    }
  }
}
