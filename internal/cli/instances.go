package cli

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

// instance is a DB instance of a deployment on the embedded region, with what
// its labels mean on this host.
type instance struct {
	Identifier    string            `json:"identifier"`
	Role          string            `json:"role"` // writer or reader
	Status        string            `json:"status"`
	Class         string            `json:"class"`         // as asked for
	EngineVersion string            `json:"engineVersion"` // as asked for
	Zone          string            `json:"zone"`
	Server        string            `json:"server"`              // what really runs
	Published     map[string]string `json:"published,omitempty"` // addresses for other hosts, by endpoint
}

// instances asks the AWS API for those of the deployment's cluster.
func (a *app) instances(ctx context.Context, d rest.Deployment) ([]instance, error) {
	id, _ := d.Outputs["cluster_id"].(string)
	if d.Target != rest.TargetEmbedded || id == "" {
		return nil, nil
	}
	c, keys, err := a.installation()
	if err != nil {
		return nil, err
	}
	client := rds.New(rds.Options{
		Region: d.Region, BaseEndpoint: aws.String("http://" + c.RegionAddr),
		Credentials: credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, ""),
	})
	clusters, err := client.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: &id})
	if err != nil || len(clusters.DBClusters) == 0 {
		return nil, err
	}
	writer := map[string]bool{}
	for _, m := range clusters.DBClusters[0].DBClusterMembers {
		writer[aws.ToString(m.DBInstanceIdentifier)] = aws.ToBool(m.IsClusterWriter)
	}
	out, err := client.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{
		Filters: []types.Filter{{Name: aws.String("db-cluster-id"), Values: []string{id}}},
	})
	if err != nil {
		return nil, err
	}
	var found []instance
	for _, i := range out.DBInstances {
		found = append(found, describeInstance(i, writer[aws.ToString(i.DBInstanceIdentifier)]))
	}
	return found, nil
}

func describeInstance(i types.DBInstance, writer bool) instance {
	v := instance{
		Identifier: aws.ToString(i.DBInstanceIdentifier), Role: "reader", Status: aws.ToString(i.DBInstanceStatus), Class: aws.ToString(i.DBInstanceClass),
		EngineVersion: aws.ToString(i.EngineVersion), Zone: aws.ToString(i.AvailabilityZone), Published: map[string]string{},
	}
	if writer {
		v.Role = "writer"
	}
	for _, info := range i.StatusInfos {
		switch aws.ToString(info.StatusType) {
		case "server":
			v.Server = aws.ToString(info.Status) + ": " + aws.ToString(info.Message)
		case "published endpoint":
			v.Published[aws.ToString(info.Status)] = aws.ToString(info.Message)
		}
	}
	return v
}

// published are the addresses of the cluster's endpoints for other hosts.
func published(instances []instance) map[string]string {
	addresses := map[string]string{}
	for _, i := range instances {
		for name, addr := range i.Published {
			if name != "instance" {
				addresses[name] = addr
			}
		}
	}
	return addresses
}
