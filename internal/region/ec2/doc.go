// Package ec2 holds the actions of Amazon EC2 that a database needs around it:
// security groups, VPCs with subnets, routes and internet gateways, and the default
// VPC of every account and region with a public subnet in each of three zones. VPCs
// are records: what reaches a database is decided by security groups alone. The package
// must not know what else may refer to a security group than DB clusters.
package ec2
