package secretsmanager

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// ListSecretVersionIds answers a secret's versions; those without labels only if
// they are asked for.
func (a *API) ListSecretVersionIds(ctx context.Context, in *api.ListSecretVersionIdsInput) (*api.ListSecretVersionIdsOutput, error) {
	item, err := a.get(ctx, in.SecretId)
	if err != nil {
		return nil, err
	}
	var versions []Version
	for _, v := range item.Value.Versions {
		if len(v.Stages) > 0 || aws.ToBool(in.IncludeDeprecated) {
			versions = append(versions, v)
		}
	}
	page, next, err := awswire.Page(versions, in.NextToken, in.MaxResults, pages(), func(v Version) string {
		return v.Created.Format(time.RFC3339Nano) + v.ID
	})
	out := &api.ListSecretVersionIdsOutput{ARN: aws.String(item.Value.ARN()), Name: &item.Value.Name, NextToken: next}
	for _, v := range page {
		out.Versions = append(out.Versions, types.SecretVersionsListEntry{VersionId: &v.ID, VersionStages: v.Stages, CreatedDate: &v.Created})
	}
	return out, err
}

// UpdateSecretVersionStage moves a label between versions, or takes it away.
func (a *API) UpdateSecretVersionStage(ctx context.Context, in *api.UpdateSecretVersionStageInput) (*api.UpdateSecretVersionStageOutput, error) {
	stage := aws.ToString(in.VersionStage)
	if err := checkStages([]string{stage}); err != nil {
		return nil, err
	}
	if in.MoveToVersionId == nil && stage == current {
		return nil, invalidParameter("You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.")
	}
	s, err := a.update(ctx, in.SecretId, func(s *Secret) ([]state.Op, error) {
		if err := refuseManaged(s); err != nil {
			return nil, err
		}
		return nil, s.moveStage(stage, in.RemoveFromVersionId, in.MoveToVersionId)
	})
	if err != nil {
		return nil, err
	}
	return &api.UpdateSecretVersionStageOutput{ARN: aws.String(s.ARN()), Name: &s.Name}, nil
}

func (s *Secret) moveStage(stage string, from, to *string) error {
	have := s.staged(stage)
	if from != nil && (have < 0 || s.Versions[have].ID != *from) || from == nil && to != nil && have >= 0 && s.Versions[have].ID != *to {
		return invalidParameter("The parameter RemoveFromVersionId can't be empty, and must be the version that has the label. "+
			"Staging label %.256s is currently attached to another version.", stage)
	}
	if to == nil {
		if have >= 0 {
			s.unlabel(have, stage)
		}
		return nil
	}
	i := s.version(*to)
	if i < 0 {
		return awswire.BadRequestf("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: %.64s", *to)
	}
	if len(s.Versions[i].Stages) >= maxStages {
		return awswire.BadRequestf("LimitExceededException", "A version can have %d labels.", maxStages)
	}
	s.label(i, stage)
	return nil
}
