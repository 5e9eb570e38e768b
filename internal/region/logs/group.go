package logs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/kms"
	"github.com/daybreakdb/daybreak/internal/state"
)

// CreateLogGroup makes a group whose events are kept for ever.
func (a *API) CreateLogGroup(ctx context.Context, in *api.CreateLogGroupInput) (*api.CreateLogGroupOutput, error) {
	p, name := placeOf(ctx), aws.ToString(in.LogGroupName)
	switch {
	case !groupName.MatchString(name) || strings.HasPrefix(name, "aws/"):
		return nil, invalid("1 validation error detected: Value '%.60s' at 'logGroupName' failed to satisfy constraint: "+
			`Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+`, name)
	case in.LogGroupClass != "" && in.LogGroupClass != types.LogGroupClassStandard:
		return nil, invalid("This region has log groups of the class STANDARD only.")
	}
	key, err := a.usableKey(ctx, in.KmsKeyId)
	if err != nil {
		return nil, err
	}
	tags, err := mergeTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	g := Group{
		Account: p.account, Region: p.region, Name: name, ID: newID(), Created: a.now().UTC().Truncate(time.Millisecond),
		KmsKeyID: key, Protected: aws.ToBool(in.DeletionProtectionEnabled), Tags: tags,
	}
	_, err = a.groups.Create(ctx, g.key(), g)
	if errors.Is(err, state.ErrExists) {
		return nil, awswire.BadRequestf("ResourceAlreadyExistsException", "The specified log group already exists")
	}
	return nil, err
}

// usableKey is the ARN of the key that a group is to have, empty without one.
func (a *API) usableKey(ctx context.Context, given *string) (string, error) {
	if aws.ToString(given) == "" {
		return "", nil
	}
	p := placeOf(ctx)
	key, err := kms.Usable(ctx, a.store, p.account, p.region, *given)
	if errors.Is(err, kms.ErrUnusable) {
		return "", invalid("The specified KMS key does not exist or is not allowed to be used with log group: %.300s", *given)
	}
	return key, err
}

// AssociateKmsKey notes another key.
func (a *API) AssociateKmsKey(ctx context.Context, in *api.AssociateKmsKeyInput) (*api.AssociateKmsKeyOutput, error) {
	key, err := a.usableKey(ctx, in.KmsKeyId)
	if err != nil {
		return nil, err
	}
	return nil, a.update(ctx, func(g *Group) error { g.KmsKeyID = key; return nil }, in.LogGroupName, in.ResourceIdentifier)
}

// DisassociateKmsKey takes the key from a group.
func (a *API) DisassociateKmsKey(ctx context.Context, in *api.DisassociateKmsKeyInput) (*api.DisassociateKmsKeyOutput, error) {
	return nil, a.update(ctx, func(g *Group) error { g.KmsKeyID = ""; return nil }, in.LogGroupName, in.ResourceIdentifier)
}

// PutLogGroupDeletionProtection says whether a group can be deleted.
func (a *API) PutLogGroupDeletionProtection(ctx context.Context, in *api.PutLogGroupDeletionProtectionInput) (*api.PutLogGroupDeletionProtectionOutput, error) {
	return nil, a.update(ctx, func(g *Group) error { g.Protected = aws.ToBool(in.DeletionProtectionEnabled); return nil }, in.LogGroupIdentifier)
}

// DeleteLogGroup removes a group with its streams and events.
func (a *API) DeleteLogGroup(ctx context.Context, in *api.DeleteLogGroupInput) (*api.DeleteLogGroupOutput, error) {
	item, err := a.group(ctx, in.LogGroupName)
	if err != nil {
		return nil, err
	}
	if item.Value.Protected {
		return nil, awswire.BadRequestf("ValidationException", "The log group is protected from deletion. Disable its deletion protection first.")
	}
	_, err = a.store.Commit(ctx, a.groups.DeleteOp(item.Key, item.Revision))
	if errors.Is(err, state.ErrConflict) {
		return a.DeleteLogGroup(ctx, in)
	}
	if err != nil {
		return nil, err
	}
	return nil, a.forget(ctx, item.Value.ID)
}

// forget removes what belonged to a group that is gone. What a crash leaves is
// found by Tidy.
func (a *API) forget(ctx context.Context, id string) error {
	streams, _, err := a.streams.List(ctx, id+"/")
	if err != nil {
		return err
	}
	for _, s := range streams {
		if err := a.streams.Delete(ctx, s.Key); err != nil {
			return err
		}
	}
	return a.events.remove(id)
}

// retentions are the days that a group's events can be kept.
var retentions = []int32{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// PutRetentionPolicy says for how long events are kept.
func (a *API) PutRetentionPolicy(ctx context.Context, in *api.PutRetentionPolicyInput) (*api.PutRetentionPolicyOutput, error) {
	days := aws.ToInt32(in.RetentionInDays)
	if !slices.Contains(retentions, days) {
		return nil, invalid("1 validation error detected: Value '%d' at 'retentionInDays' failed to satisfy constraint: Member must be one of %v", days, retentions)
	}
	return nil, a.update(ctx, func(g *Group) error { g.Retention = days; return nil }, in.LogGroupName)
}

// DeleteRetentionPolicy keeps events for ever again.
func (a *API) DeleteRetentionPolicy(ctx context.Context, in *api.DeleteRetentionPolicyInput) (*api.DeleteRetentionPolicyOutput, error) {
	return nil, a.update(ctx, func(g *Group) error { g.Retention = 0; return nil }, in.LogGroupName)
}

// DescribeLogGroups answers the caller's groups.
func (a *API) DescribeLogGroups(ctx context.Context, in *api.DescribeLogGroupsInput) (*api.DescribeLogGroupsOutput, error) {
	if in.LogGroupNamePattern != nil && in.LogGroupNamePrefix != nil {
		return nil, invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	}
	p := placeOf(ctx)
	items, _, err := a.groups.List(ctx, p.key(aws.ToString(in.LogGroupNamePrefix)))
	if err != nil {
		return nil, err
	}
	items = slices.DeleteFunc(items, func(item state.Item[Group]) bool {
		g := item.Value
		return !strings.Contains(strings.ToLower(g.Name), strings.ToLower(aws.ToString(in.LogGroupNamePattern))) ||
			len(in.LogGroupIdentifiers) > 0 && !slices.ContainsFunc(in.LogGroupIdentifiers, func(id string) bool { return p.nameOf(id) == g.Name }) ||
			in.LogGroupClass != "" && in.LogGroupClass != types.LogGroupClassStandard
	})
	page, next, err := awswire.Page(items, in.NextToken, in.Limit, pages(50), func(item state.Item[Group]) string { return item.Value.Name })
	if err != nil {
		return nil, err
	}
	out := &api.DescribeLogGroupsOutput{NextToken: next, LogGroups: []types.LogGroup{}}
	for _, item := range page {
		g := item.Value
		size, err := a.sizeOf(ctx, g)
		if err != nil {
			return nil, err
		}
		wire := types.LogGroup{
			Arn: aws.String(g.arn() + ":*"), LogGroupArn: aws.String(g.arn()), LogGroupName: &g.Name, LogGroupClass: types.LogGroupClassStandard,
			CreationTime: aws.Int64(g.Created.UnixMilli()), MetricFilterCount: aws.Int32(0), StoredBytes: &size, DeletionProtectionEnabled: &g.Protected,
		}
		if g.Retention != 0 {
			wire.RetentionInDays = &g.Retention
		}
		if g.KmsKeyID != "" {
			wire.KmsKeyId = &g.KmsKeyID
		}
		out.LogGroups = append(out.LogGroups, wire)
	}
	return out, nil
}

func (a *API) sizeOf(ctx context.Context, g Group) (int64, error) {
	streams, _, err := a.streams.List(ctx, g.ID+"/")
	var size int64
	for _, s := range streams {
		size += a.events.size(g.directory(s.Value))
	}
	return size, err
}
