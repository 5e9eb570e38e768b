// Package aws is the part of Terraform's hashicorp/aws that Aurora stacks use: the same schemas and the
// same stored state as version 5.100.0, so that a state written with one is read by the other.
//
// It differs in one thing: it looks for the end of a change every fraction of a second, where the
// original sleeps for 30 seconds first.
//
// It is a client of the AWS API, whoever serves it, and must not know what is behind that API.
package aws

import (
	_ "embed"
	"fmt"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

// Version is the version of hashicorp/aws that this package stands in for.
const Version = "5.100.0"

//go:embed schemas.txt
var schemasText string

// New makes the provider.
func New() (*plugin.Provider, error) {
	schemas, err := plugin.ParseSchemas(schemasText)
	if err != nil {
		return nil, fmt.Errorf("aws: %w", err)
	}
	c := &client{}
	return &plugin.Provider{
		Schemas:   schemas,
		Legacy:    true,
		Configure: c.configure,
		Resources: map[string]plugin.Resource{
			"aws_security_group":              c.securityGroup(),
			"aws_db_subnet_group":             c.subnetGroup(),
			"aws_rds_cluster":                 c.cluster(),
			"aws_rds_cluster_instance":        c.instance(),
			"aws_rds_cluster_parameter_group": c.parameterGroup(clusterGroups{c}),
			"aws_db_parameter_group":          c.parameterGroup(instanceGroups{c}),
			"aws_appautoscaling_target":       c.scalingTarget(),
			"aws_appautoscaling_policy":       c.scalingPolicy(),
		},
		DataSources: map[string]plugin.DataSource{
			"aws_vpc":                c.readVPC,
			"aws_subnets":            c.readSubnets,
			"aws_availability_zones": c.readZones,
			"aws_caller_identity":    c.readCallerIdentity,
			"aws_region":             c.readRegion,
			"aws_partition":          c.readPartition,
		},
	}, nil
}
