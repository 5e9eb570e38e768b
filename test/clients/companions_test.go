//go:build clients && awscli

package clients

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/test/harness"
)

// TestAWSCLIReachesTheCompanionServices calls each service that a database needs
// around it once or more with the AWS CLI, at the one address of the region.
func TestAWSCLIReachesTheCompanionServices(t *testing.T) {
	t.Parallel()
	in := harness.New(t, harness.Options{})
	run := func(args ...string) string {
		t.Helper()
		return strings.TrimSpace(in.Run(append([]string{"aws"}, append(args, "--output", "text")...)...))
	}
	refused := func(code string, args ...string) {
		t.Helper()
		_, stderr, err := in.Try(append([]string{"aws"}, args...)...)
		if err == nil || !strings.Contains(stderr, code) {
			t.Errorf("aws %v: %v %s; want %s", args, err, stderr, code)
		}
	}

	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"111122223333"}}}`
	role := run("iam", "create-role", "--role-name", "r", "--assume-role-policy-document", trust, "--query", "Role.Arn")
	run("iam", "attach-role-policy", "--role-name", "r", "--policy-arn", "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole")
	if got := run("iam", "list-attached-role-policies", "--role-name", "r", "--query", "AttachedPolicies[0].PolicyName"); got != "AmazonRDSEnhancedMonitoringRole" {
		t.Errorf("attached %s", got)
	}
	if got := run("sts", "assume-role", "--role-arn", role, "--role-session-name", "me", "--query", "AssumedRoleUser.Arn"); !strings.HasSuffix(got, "assumed-role/r/me") {
		t.Errorf("session %s", got)
	}
	refused("DeleteConflict", "iam", "delete-role", "--role-name", "r")

	key := run("kms", "create-key", "--query", "KeyMetadata.KeyId")
	run("kms", "create-alias", "--alias-name", "alias/app", "--target-key-id", key)
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	sealed, err := base64.StdEncoding.DecodeString(run("kms", "encrypt", "--key-id", "alias/app", "--plaintext", "fileb://"+plain, "--query", "CiphertextBlob"))
	if err != nil {
		t.Fatal(err)
	}
	blob := filepath.Join(t.TempDir(), "blob")
	if err := os.WriteFile(blob, sealed, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := run("kms", "decrypt", "--ciphertext-blob", "fileb://"+blob, "--query", "Plaintext"); got != base64.StdEncoding.EncodeToString([]byte("text")) {
		t.Errorf("decrypted %s", got)
	}
	refused("NotFoundException", "kms", "describe-key", "--key-id", "alias/none")

	run("secretsmanager", "create-secret", "--name", "app/db", "--secret-string", "hidden")
	if got := run("secretsmanager", "get-secret-value", "--secret-id", "app/db", "--query", "SecretString"); got != "hidden" {
		t.Errorf("secret %s", got)
	}
	refused("ResourceNotFoundException", "secretsmanager", "describe-secret", "--secret-id", "none")

	topic := run("sns", "create-topic", "--name", "events", "--query", "TopicArn")
	run("sns", "publish", "--topic-arn", topic, "--message", "hello")
	refused("InvalidParameter", "sns", "subscribe", "--topic-arn", topic, "--protocol", "http", "--notification-endpoint", "http://127.0.0.1:1/")
}
