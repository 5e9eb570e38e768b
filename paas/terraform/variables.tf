# What customers choose: the plan's API parameters.

variable "master_username" {
  description = "Master username of the cluster"
  type        = string
  default     = "{{ $var.username }}"
}

variable "master_password" {
  description = "Master password of the cluster: 8 to 41 printable ASCII characters other than / \" @ and space"
  type        = string
  default     = "{{ $var.password }}"
  sensitive   = true
}

variable "instance_class" {
  description = "Instance class of the writer and the readers; db.serverless for Serverless v2"
  type        = string
  default     = "{{ $var.instanceType }}"
}

variable "read_replica_count" {
  description = "Number of readers, 0 to 15"
  type        = string
  default     = "{{ $var.readReplicaCount }}"
}

variable "region" {
  description = "AWS region"
  type        = string
  default     = "{{ $sys.deploymentCell.region }}"
}

# Where the deployment stands: set by the platform.

variable "deployment_id" {
  description = "Id of the deployment, part of every name"
  type        = string
  default     = "{{ $sys.id }}"
}

variable "vpc_id" {
  description = "VPC of the cluster"
  type        = string
  default     = "{{ $sys.deploymentCell.cloudProviderNetworkID }}"
}

variable "vpc_cidr" {
  description = "Addresses of the VPC"
  type        = string
  default     = "{{ $sys.deploymentCell.cidrRange }}"
}

variable "subnet_ids" {
  description = "Subnets of the cluster, one in each of three zones"
  type        = list(string)
  default = [
    "{{ $sys.deploymentCell.publicSubnetIDs[0].id }}",
    "{{ $sys.deploymentCell.publicSubnetIDs[1].id }}",
    "{{ $sys.deploymentCell.publicSubnetIDs[2].id }}",
  ]
}

# What the provider of the plan sets.

variable "postgres_version" {
  description = "Engine version of Aurora PostgreSQL"
  type        = string
  default     = "15.4"
}

variable "database_name" {
  description = "Database that is created with the cluster"
  type        = string
  default     = "postgres"
}

variable "port" {
  description = "Port of the cluster; null for 5432, or what the embedded region has in its place"
  type        = number
  default     = null
}

variable "allowed_cidr_blocks" {
  description = "Addresses that may connect; empty for those of the deployment's own network"
  type        = list(string)
  default     = []
}

variable "publicly_accessible" {
  description = "Whether the instances get public addresses; the security group decides all the same"
  type        = bool
  default     = false
}

variable "backup_retention_period" {
  description = "Days that automated backups are kept, 1 to 35"
  type        = number
  default     = 7

  validation {
    condition     = var.backup_retention_period >= 1 && var.backup_retention_period <= 35
    error_message = "Automated backups are kept for 1 to 35 days."
  }
}

variable "preferred_backup_window" {
  description = "Daily time of automated backups, UTC; must not overlap the maintenance window"
  type        = string
  default     = "07:00-09:00"
}

variable "preferred_maintenance_window" {
  description = "Weekly time of maintenance, UTC, in lower case"
  type        = string
  default     = "sun:05:00-sun:07:00"
}

variable "deletion_protection" {
  description = "Refuse to delete the cluster"
  type        = bool
  default     = false
}

variable "skip_final_snapshot" {
  description = "Delete the cluster without a last snapshot"
  type        = bool
  default     = true
}

variable "kms_key_id" {
  description = "ARN of the KMS key that encrypts the cluster; null for the account's default key"
  type        = string
  default     = null
}

variable "enabled_cloudwatch_logs_exports" {
  description = "Logs that are exported to CloudWatch Logs, as [\"postgresql\"]"
  type        = list(string)
  default     = []
}

variable "cluster_parameters" {
  description = "Parameters over those of the default cluster parameter group"
  type = list(object({
    name         = string
    value        = string
    apply_method = optional(string, "immediate")
  }))
  default = []
}

variable "instance_parameters" {
  description = "Parameters over those of the default DB parameter group"
  type = list(object({
    name         = string
    value        = string
    apply_method = optional(string, "immediate")
  }))
  default = []
}

variable "apply_immediately" {
  description = "Apply changes at once instead of in the maintenance window"
  type        = bool
  default     = true
}

variable "serverless_min_capacity" {
  description = "Least capacity of db.serverless instances, in ACUs"
  type        = number
  default     = 0.5
}

variable "serverless_max_capacity" {
  description = "Most capacity of db.serverless instances, in ACUs"
  type        = number
  default     = 16
}

variable "autoscaling_enabled" {
  description = "Add and remove readers by their CPU load, beside those of read_replica_count"
  type        = bool
  default     = false
}

variable "autoscaling_min_capacity" {
  description = "Fewest readers that auto scaling keeps"
  type        = number
  default     = 1
}

variable "autoscaling_max_capacity" {
  description = "Most readers that auto scaling makes"
  type        = number
  default     = 5
}

variable "autoscaling_target_cpu" {
  description = "Average CPU utilization of the readers that auto scaling aims at, percent"
  type        = number
  default     = 60
}

variable "tags" {
  description = "Tags of every resource"
  type        = map(string)
  default     = {}
}
