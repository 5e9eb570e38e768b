package iam

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// CreatePolicyVersion adds a document to a policy.
func (a *API) CreatePolicyVersion(ctx context.Context, in *api.CreatePolicyVersionInput) (*api.CreatePolicyVersionOutput, error) {
	if err := checkManaged(aws.ToString(in.PolicyDocument)); err != nil {
		return nil, err
	}
	p, err := a.updatePolicy(ctx, aws.ToString(in.PolicyArn), func(p *Policy) error {
		if len(p.Versions) >= maxVersions {
			return limitExceeded("A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
		}
		v := Version{ID: fmt.Sprint("v", p.NextVersion), Document: *in.PolicyDocument, Created: time.Now().UTC().Truncate(time.Second)}
		p.Versions, p.NextVersion, p.Updated = append(p.Versions, v), p.NextVersion+1, v.Created
		if in.SetAsDefault {
			p.Default = v.ID
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.CreatePolicyVersionOutput{PolicyVersion: wireVersion(p, p.Versions[len(p.Versions)-1], false)}, nil
}

// GetPolicyVersion answers one document of a policy.
func (a *API) GetPolicyVersion(ctx context.Context, in *api.GetPolicyVersionInput) (*api.GetPolicyVersionOutput, error) {
	item, err := a.policy(ctx, aws.ToString(in.PolicyArn))
	if err != nil {
		return nil, err
	}
	i, err := item.Value.find(aws.ToString(in.VersionId))
	if err != nil {
		return nil, err
	}
	return &api.GetPolicyVersionOutput{PolicyVersion: wireVersion(item.Value, item.Value.Versions[i], true)}, nil
}

// ListPolicyVersions answers a policy's versions, the newest first.
func (a *API) ListPolicyVersions(ctx context.Context, in *api.ListPolicyVersionsInput) (*api.ListPolicyVersionsOutput, error) {
	item, err := a.policy(ctx, aws.ToString(in.PolicyArn))
	if err != nil {
		return nil, err
	}
	out := &api.ListPolicyVersionsOutput{}
	for _, v := range slices.Backward(item.Value.Versions) {
		out.Versions = append(out.Versions, *wireVersion(item.Value, v, false))
	}
	return out, nil
}

// SetDefaultPolicyVersion says which document is in force.
func (a *API) SetDefaultPolicyVersion(ctx context.Context, in *api.SetDefaultPolicyVersionInput) (*api.SetDefaultPolicyVersionOutput, error) {
	_, err := a.updatePolicy(ctx, aws.ToString(in.PolicyArn), func(p *Policy) error {
		i, err := p.find(aws.ToString(in.VersionId))
		if err == nil {
			p.Default, p.Updated = p.Versions[i].ID, time.Now().UTC().Truncate(time.Second)
		}
		return err
	})
	return nil, err
}

// DeletePolicyVersion removes a document that is not in force.
func (a *API) DeletePolicyVersion(ctx context.Context, in *api.DeletePolicyVersionInput) (*api.DeletePolicyVersionOutput, error) {
	_, err := a.updatePolicy(ctx, aws.ToString(in.PolicyArn), func(p *Policy) error {
		i, err := p.find(aws.ToString(in.VersionId))
		if err != nil {
			return err
		}
		if p.Versions[i].ID == p.Default {
			return conflict("Cannot delete the default version of a policy.")
		}
		p.Versions = slices.Delete(p.Versions, i, i+1)
		return nil
	})
	return nil, err
}

func (p Policy) find(version string) (int, error) {
	i := slices.IndexFunc(p.Versions, func(v Version) bool { return v.ID == version })
	if i < 0 {
		return 0, awswire.Errorf(404, "NoSuchEntity", "Policy %s version %.20s does not exist or is not attachable.", p.ARN(), version)
	}
	return i, nil
}

func wireVersion(p Policy, v Version, document bool) *types.PolicyVersion {
	wire := &types.PolicyVersion{VersionId: &v.ID, IsDefaultVersion: v.ID == p.Default, CreateDate: &v.Created}
	if document {
		wire.Document = encoded(v.Document)
	}
	return wire
}
