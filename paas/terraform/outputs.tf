output "cluster_global_endpoint" {
  description = "Writer endpoint of the cluster"
  value       = aws_rds_cluster.this.endpoint
}

output "cluster_reader_endpoint" {
  description = "Reader endpoint of the cluster; leads to the writer while there is no reader"
  value       = aws_rds_cluster.this.reader_endpoint
}

output "cluster_port" {
  description = "Port of the cluster"
  value       = aws_rds_cluster.this.port
}

output "cluster_id" {
  description = "Identifier of the cluster"
  value       = aws_rds_cluster.this.cluster_identifier
}

output "cluster_arn" {
  description = "ARN of the cluster"
  value       = aws_rds_cluster.this.arn
}

output "master_username" {
  description = "Master username"
  value       = aws_rds_cluster.this.master_username
}

output "master_password" {
  description = "Master password"
  value       = aws_rds_cluster.this.master_password
  sensitive   = true
}

output "database_name" {
  description = "Database that was created with the cluster"
  value       = aws_rds_cluster.this.database_name
}

output "writer_instance_endpoint" {
  description = "Endpoint of the instance that writes"
  value       = concat([for i in local.instances : i.endpoint if i.writer], [aws_rds_cluster_instance.writer.endpoint])[0]
}

output "reader_instance_endpoints" {
  description = "Endpoints of the instances that read"
  value       = [for i in local.instances : i.endpoint if !i.writer]
}
