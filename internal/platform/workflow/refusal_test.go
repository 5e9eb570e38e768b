package workflow_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

// TestUnreachableAWSIsSaidAsSuch: it is no fault of the server, and the caller
// must see what AWS said.
func TestUnreachableAWSIsSaidAsSuch(t *testing.T) {
	f := newFixture(t)
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	t.Setenv("AWS_REGION", "us-west-2")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	_, err := f.engine.Up(t.Context(), "test", rest.UpRequest{
		Artifact: f.upload(specText, stackText), Target: rest.TargetAWS, Parameters: map[string]any{"password": secret},
	})
	var refused *rest.Error
	if !errors.As(err, &refused) || refused.Code != rest.CodeTarget || !strings.Contains(refused.Message, "AWS") || refused.Hint == "" {
		t.Errorf("%v", err)
	}
}

// TestLeftoversInASourceAreNotUsed: a state in the sources would have another
// deployment's resources destroyed, a lock file asks for other providers.
func TestLeftoversInASourceAreNotUsed(t *testing.T) {
	f := newFixture(t)
	digest := f.pack(map[string]string{
		"spec.yaml": specText, "stack/tf/main.tf": stackText,
		"stack/tf/terraform.tfstate":      `{"version":4,"terraform_version":"1.5.0","serial":7,"lineage":"somebody-elses","outputs":{"old":{"value":1,"type":"number"}},"resources":[]}`,
		"stack/tf/.terraform.lock.hcl":    `provider "registry.terraform.io/hashicorp/aws" { version = "1.0.0" }`,
		"stack/tf/.terraform/environment": "other",
	})
	run, err := f.engine.Up(t.Context(), "test", rest.UpRequest{Artifact: digest, Parameters: map[string]any{"password": secret}})
	if err != nil {
		t.Fatal(err)
	}
	if d := f.await(run); d.Status != rest.StatusRunning || d.Outputs["old"] != nil {
		t.Errorf("%s: %s %v", d.Status, d.Message, d.Outputs)
	}
}

// TestCredentialsOfARepositoryAreNotShown: neither those in its URL nor those of
// the spec, which also lie sealed.
func TestCredentialsOfARepositoryAreNotShown(t *testing.T) {
	f := newFixture(t)
	spec := strings.Replace(specText, `"https://example.com/x"`, `"http://user:`+secret+`@127.0.0.1:1/x", accessToken: `+secret, 1)
	_, err := f.engine.Up(t.Context(), "test", rest.UpRequest{Artifact: f.pack(map[string]string{"spec.yaml": spec}), Parameters: map[string]any{"password": secret}})
	var refused *rest.Error
	if !errors.As(err, &refused) || strings.Contains(refused.Message+refused.Hint, secret) {
		t.Errorf("%v", err)
	}
	f.noSecretsOnDisk()
}
