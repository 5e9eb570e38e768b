package region_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/rdsdata"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/region/regiontest"
	"github.com/daybreakdb/daybreak/internal/state"
)

// TestTheDataAPINeedsTheClusterAndTheSecret calls it as users who may use the one,
// the other, or both.
func TestTheDataAPINeedsTheClusterAndTheSecret(t *testing.T) {
	r := regiontest.Serve(t)
	cluster := aurora.DBCluster{
		Meta:   aurora.Meta{ResourceID: "cluster-demo", Account: wiretest.Account, Region: wiretest.Region},
		Spec:   aurora.DBClusterSpec{Identifier: "demo", HTTPEndpoint: true},
		Status: aurora.DBClusterStatus{Writer: "db-1", WriterEndpoint: aurora.Address{Host: "127.0.0.1", Port: 1}}, // where nobody is
	}
	if _, err := state.DBClusters(r.Store).Create(t.Context(), cluster.ResourceID, cluster); err != nil {
		t.Fatal(err)
	}
	instance := aurora.DBInstance{Spec: aurora.DBInstanceSpec{ClusterResourceID: cluster.ResourceID}}
	if _, err := state.DBInstances(r.Store).Create(t.Context(), "db-1", instance); err != nil {
		t.Fatal(err)
	}
	secret, err := secretsmanager.NewFromConfig(r.Root).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name: aws.String("demo"), SecretString: aws.String(`{"username":"a","password":"b"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	users := iam.NewFromConfig(r.Root)
	for actions, want := range map[string]string{
		`"rds-data:*"`:                                  "AccessDeniedException",
		`"secretsmanager:GetSecretValue"`:               "AccessDeniedException",
		`"rds-data:*", "secretsmanager:GetSecretValue"`: "DatabaseUnavailableException",
	} {
		name := aws.String("u" + want[:1] + actions[1:4])
		if _, err := users.CreateUser(t.Context(), &iam.CreateUserInput{UserName: name}); err != nil {
			t.Fatal(err)
		}
		_, err := users.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: name, PolicyName: name,
			PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Resource":"*","Action":[` + actions + `]}}`)})
		if err != nil {
			t.Fatal(err)
		}
		key, err := users.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: name})
		if err != nil {
			t.Fatal(err)
		}
		client := rdsdata.NewFromConfig(r.As(key.AccessKey.AccessKeyId, key.AccessKey.SecretAccessKey, nil))
		for _, call := range []func() error{
			func() error {
				_, err := client.ExecuteStatement(t.Context(), &rdsdata.ExecuteStatementInput{
					ResourceArn: aws.String("arn:aws:rds:us-west-2:111122223333:cluster:demo"), SecretArn: secret.ARN, Sql: aws.String("select 1"),
				})
				return err
			},
			func() error {
				_, err := client.BeginTransaction(t.Context(), &rdsdata.BeginTransactionInput{
					ResourceArn: aws.String("arn:aws:rds:us-west-2:111122223333:cluster:demo"), SecretArn: secret.ARN,
				})
				return err
			},
		} {
			if err := call(); regiontest.Code(err) != want {
				t.Errorf("%s: %v, want %s", actions, err, want)
			}
		}
	}
}
