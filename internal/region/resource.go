package region

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// Policies name resources by ARN. RDS and EC2 name theirs in a few parameters,
// each of which makes an ARN of one form; services whose names need more than
// that say their resources themselves.
var resourceForms = map[string][]struct{ parameter, form string }{
	"rds": {
		{"DBClusterIdentifier", "cluster:%s"}, {"DBInstanceIdentifier", "db:%s"}, {"DBSubnetGroupName", "subgrp:%s"},
		{"DBClusterParameterGroupName", "cluster-pg:%s"}, {"DBParameterGroupName", "pg:%s"},
		{"DBClusterSnapshotIdentifier", "cluster-snapshot:%s"}, {"GlobalClusterIdentifier", "global-cluster:%s"},
		{"DBClusterEndpointIdentifier", "cluster-endpoint:%s"}, {"ResourceName", "%s"},
		{"SourceDBClusterParameterGroupIdentifier", "cluster-pg:%s"}, {"TargetDBClusterParameterGroupIdentifier", "cluster-pg:%s"},
		{"SourceDBParameterGroupIdentifier", "pg:%s"}, {"TargetDBParameterGroupIdentifier", "pg:%s"}, {"ResourceIdentifier", "%s"},
		{"SubscriptionName", "es:%s"},
	},
	"ec2": {
		{"GroupId", "security-group/%s"}, {"VpcId", "vpc/%s"}, {"SubnetId", "subnet/%s"}, {"RouteTableId", "route-table/%s"},
		{"InternetGatewayId", "internet-gateway/%s"}, {"NetworkAclId", "network-acl/%s"},
	},
}

// nameResources tells a service of the table what its calls are about.
func nameResources(s *awswire.Service) {
	forms, ok := resourceForms[s.Name()]
	if !ok {
		return
	}
	s.NameResources(func(ctx context.Context, in any) []string {
		id := awswire.IdentityFrom(ctx)
		var arns []string
		for _, f := range forms {
			field := reflect.ValueOf(in).Elem().FieldByName(f.parameter)
			if !field.IsValid() {
				continue
			}
			value, _ := field.Interface().(*string)
			switch {
			case value == nil || *value == "":
			case strings.HasPrefix(*value, "arn:"):
				arns = append(arns, *value)
			default:
				name := *value
				if s.Name() == "rds" {
					name = strings.ToLower(name) // as RDS keeps it
				}
				arns = append(arns, fmt.Sprintf("arn:aws:%s:%s:%s:", s.Name(), id.Region, id.Account)+fmt.Sprintf(f.form, name))
			}
		}
		return arns
	})
}
