package region_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/daybreakdb/daybreak/internal/region/regiontest"
)

// user makes a user with a policy, and the configuration of its clients.
func user(t *testing.T, r regiontest.Region, name, document string) aws.Config {
	t.Helper()
	client := iam.NewFromConfig(r.Root)
	if _, err := client.CreateUser(t.Context(), &iam.CreateUserInput{UserName: &name}); err != nil {
		t.Fatal(err)
	}
	if document != "" {
		if _, err := client.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: &name, PolicyName: aws.String("own"), PolicyDocument: &document}); err != nil {
			t.Fatal(err)
		}
	}
	key, err := client.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		t.Fatal(err)
	}
	return r.As(key.AccessKey.AccessKeyId, key.AccessKey.SecretAccessKey, nil)
}

const (
	everything = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	toRoot     = `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"*","Resource":"*"}`
	toBob      = `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"},"Action":"*","Resource":"*"}`
	denyAlice  = `{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::111122223333:user/alice"},"Action":"*","Resource":"*"}`
)

func statements(list string) *string {
	return aws.String(`{"Version":"2012-10-17","Statement":[` + list + `]}`)
}

// TestPoliciesOfResourcesDecideWithThoseOfUsers: alice's own policy allows
// everything, bob has none.
func TestPoliciesOfResourcesDecideWithThoseOfUsers(t *testing.T) {
	r := regiontest.Serve(t)
	ctx := t.Context()
	configs := map[string]aws.Config{"alice": user(t, r, "alice", everything), "bob": user(t, r, "bob", "")}

	key, err := kms.NewFromConfig(r.Root).CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	secret, err := secretsmanager.NewFromConfig(r.Root).CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("s"), SecretString: aws.String("x")})
	if err != nil {
		t.Fatal(err)
	}
	topic, err := sns.NewFromConfig(r.Root).CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("t")})
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]func(policy *string) error{
		"key": func(policy *string) error {
			_, err := kms.NewFromConfig(r.Root).PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: key.KeyMetadata.KeyId, Policy: policy})
			return err
		},
		"secret": func(policy *string) error {
			_, err := secretsmanager.NewFromConfig(r.Root).PutResourcePolicy(ctx, &secretsmanager.PutResourcePolicyInput{SecretId: secret.ARN, ResourcePolicy: policy})
			return err
		},
		"topic": func(policy *string) error {
			_, err := sns.NewFromConfig(r.Root).SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: topic.TopicArn, AttributeName: aws.String("Policy"), AttributeValue: policy})
			return err
		},
	}
	use := map[string]func(aws.Config) error{
		"key": func(c aws.Config) error {
			_, err := kms.NewFromConfig(c).Encrypt(ctx, &kms.EncryptInput{KeyId: key.KeyMetadata.KeyId, Plaintext: []byte("x")})
			return err
		},
		"secret": func(c aws.Config) error {
			_, err := secretsmanager.NewFromConfig(c).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("s")})
			return err
		},
		"topic": func(c aws.Config) error {
			_, err := sns.NewFromConfig(c).Publish(ctx, &sns.PublishInput{TopicArn: topic.TopicArn, Message: aws.String("x")})
			return err
		},
	}
	for _, test := range []struct {
		name, resource, list string // no list: as it was made
		alice, bob           bool
	}{
		{"a new key", "key", "", true, false},
		{"a new secret", "secret", "", true, false},
		{"a new topic", "topic", "", true, false},
		{"a key that leaves it to the account", "key", toRoot, true, false},
		{"a key for bob alone", "key", toBob, false, true},
		{"a key for the account and bob", "key", toRoot + "," + toBob, true, true},
		{"a key that denies alice", "key", toRoot + "," + denyAlice, false, false},
		{"a secret for bob", "secret", toBob, true, true},
		{"a secret that denies alice", "secret", toBob + "," + denyAlice, false, true},
		{"a topic for bob", "topic", toBob, true, true},
		{"a topic that denies alice", "topic", denyAlice, false, false},
	} {
		if test.list != "" {
			if err := set[test.resource](statements(test.list)); err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
		}
		for name, allowed := range map[string]bool{"alice": test.alice, "bob": test.bob} {
			if err := use[test.resource](configs[name]); (err == nil) != allowed {
				t.Errorf("%s used by %s: %v, want it allowed: %v", test.name, name, err, allowed)
			}
		}
		if err := use[test.resource](r.Root); err != nil {
			t.Errorf("%s used by root: %v", test.name, err)
		}
	}
}
