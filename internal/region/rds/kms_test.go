package rds_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	api "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/daybreakdb/daybreak/internal/region/rds"
	"github.com/daybreakdb/daybreak/internal/region/regiontest"
)

func TestAClustersKeyMustBeUsable(t *testing.T) {
	r := regiontest.Serve(t, rds.New)
	keys, client := kms.NewFromConfig(r.Root), api.NewFromConfig(r.Root)
	newKey := func() string {
		t.Helper()
		out, err := keys.CreateKey(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return *out.KeyMetadata.Arn
	}
	good, disabled := newKey(), newKey()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(keys.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &disabled}))
	must(keys.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String("alias/app"), TargetKeyId: &good}))
	create := func(ctx context.Context, id string, key *string) (string, error) {
		out, err := client.CreateDBCluster(ctx, &api.CreateDBClusterInput{
			DBClusterIdentifier: &id, Engine: aws.String("aurora-postgresql"), MasterUsername: aws.String("postgres"),
			MasterUserPassword: aws.String("a-long-password"), StorageEncrypted: aws.Bool(true), KmsKeyId: key,
		})
		if err != nil {
			return "", err
		}
		return *out.DBCluster.KmsKeyId, nil
	}
	own, err := keys.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/aws/rds")})
	if err != nil {
		t.Fatal(err)
	}
	for id, test := range map[string]struct {
		key  *string
		want string
	}{
		"default": {nil, *own.KeyMetadata.Arn}, "own": {aws.String("alias/aws/rds"), *own.KeyMetadata.Arn},
		"arn": {&good, good}, "alias": {aws.String("alias/app"), good},
	} {
		if got, err := create(t.Context(), id, test.key); err != nil || got != test.want {
			t.Errorf("%s: %s, %v; want %s", id, got, err, test.want)
		}
	}
	for id, key := range map[string]string{
		"disabled": disabled, "missing": good + "0", "no-alias": "alias/none", "abroad": "arn:aws:kms:eu-west-1:111122223333:key/x", "not-one": "arn:aws:s3:::x",
	} {
		if _, err := create(t.Context(), id, &key); regiontest.Code(err) != "KMSKeyNotAccessibleFault" {
			t.Errorf("%s: %v", id, err)
		}
	}
}
