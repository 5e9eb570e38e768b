package region_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	api "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/region/rds"
	"github.com/daybreakdb/daybreak/internal/region/regiontest"
)

// TestPoliciesMayNameDatabases: what a call is about stands in its parameters.
func TestPoliciesMayNameDatabases(t *testing.T) {
	r := regiontest.Serve(t, rds.New)
	client, name := iam.NewFromConfig(r.Root), aws.String("alice")
	if _, err := client.CreateUser(t.Context(), &iam.CreateUserInput{UserName: name}); err != nil {
		t.Fatal(err)
	}
	_, err := client.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: name, PolicyName: aws.String("own"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"rds:*","Resource":"arn:aws:rds:us-west-2:*:cluster:alice-*"},
		{"Effect":"Allow","Action":"rds:DescribeDBClusters","Resource":"*"}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	key, err := client.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: name})
	if err != nil {
		t.Fatal(err)
	}
	cfg := r.As(key.AccessKey.AccessKeyId, key.AccessKey.SecretAccessKey, nil)
	databases := api.NewFromConfig(cfg)
	remove := func(id string) string {
		_, err := databases.DeleteDBCluster(t.Context(), &api.DeleteDBClusterInput{DBClusterIdentifier: &id, SkipFinalSnapshot: aws.Bool(true)})
		return regiontest.Code(err)
	}
	for id, code := range map[string]string{
		"alice-1": "DBClusterNotFoundFault", "Alice-1": "DBClusterNotFoundFault", "bob-1": "AccessDenied",
		"arn:aws:rds:us-west-2:111122223333:cluster:alice-2": "DBClusterNotFoundFault",
		"arn:aws:rds:us-west-2:111122223333:cluster:bob-2":   "AccessDenied",
	} {
		if got := remove(id); got != code {
			t.Errorf("%s: %s, want %s", id, got, code)
		}
	}
	if _, err := databases.DescribeDBClusters(t.Context(), nil); err != nil {
		t.Error(err)
	}
	_, err = ec2.NewFromConfig(cfg).DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: aws.String("sg-12345678")})
	if regiontest.Code(err) != "UnauthorizedOperation" {
		t.Errorf("another service: %v", err)
	}
}
