package kms

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/policy"
)

const (
	policyName = "default" // the only one that keys have
	maxPolicy  = 32768
)

// defaultPolicy leaves a key to the policies of the account's users.
func defaultPolicy(account string) string {
	text, _ := json.MarshalIndent(map[string]any{ // texts always have JSON
		"Version": "2012-10-17",
		"Id":      "key-default-1",
		"Statement": []any{map[string]any{
			"Sid": "Enable IAM User Permissions", "Effect": "Allow",
			"Principal": map[string]any{"AWS": "arn:aws:iam::" + account + ":root"},
			"Action":    "kms:*", "Resource": "*",
		}},
	}, "", "  ")
	return string(text)
}

func checkPolicy(text string) error {
	if len(text) > maxPolicy {
		return awswire.BadRequestf("LimitExceededException", "A key's policy must have at most %d characters.", maxPolicy)
	}
	document, err := policy.Parse(text)
	if err == nil {
		err = document.CheckResource()
	}
	if err != nil {
		return awswire.BadRequestf("MalformedPolicyDocumentException", "%v.", err)
	}
	return nil
}

func checkPolicyName(name *string) error {
	if name != nil && *name != policyName {
		return awswire.BadRequestf("NotFoundException", "No such policy exists")
	}
	return nil
}

// GetKeyPolicy answers a key's policy.
func (a *API) GetKeyPolicy(ctx context.Context, in *api.GetKeyPolicyInput) (*api.GetKeyPolicyOutput, error) {
	item, err := a.key(ctx, in.KeyId)
	if err = first(err, checkPolicyName(in.PolicyName)); err != nil {
		return nil, err
	}
	return &api.GetKeyPolicyOutput{Policy: &item.Value.Policy, PolicyName: aws.String(policyName)}, nil
}

// PutKeyPolicy changes a key's policy. Who may use the key is decided by
// it and by the policies of users.
func (a *API) PutKeyPolicy(ctx context.Context, in *api.PutKeyPolicyInput) (*api.PutKeyPolicyOutput, error) {
	if err := first(checkPolicyName(in.PolicyName), checkPolicy(aws.ToString(in.Policy))); err != nil {
		return nil, err
	}
	_, err := a.update(ctx, in.KeyId, func(k *Key) error {
		k.Policy = *in.Policy
		return notGivenUp(k)
	})
	return nil, err
}

// ListKeyPolicies answers the name of the policy that every key has.
func (a *API) ListKeyPolicies(ctx context.Context, in *api.ListKeyPoliciesInput) (*api.ListKeyPoliciesOutput, error) {
	if _, err := a.key(ctx, in.KeyId); err != nil {
		return nil, err
	}
	return &api.ListKeyPoliciesOutput{PolicyNames: []string{policyName}}, nil
}
