package rds

import (
	"context"
	"errors"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

const (
	restoreAttribute = "restore"
	// maxShared is how many accounts may restore one snapshot.
	maxShared = 20
)

var accountPattern = regexp.MustCompile(`^\d{12}$`)

// DescribeDBClusterSnapshotAttributes answers who may restore a snapshot.
func (s *service) DescribeDBClusterSnapshotAttributes(ctx context.Context, in *rds.DescribeDBClusterSnapshotAttributesInput) (*rds.DescribeDBClusterSnapshotAttributesOutput, error) {
	v, err := s.snapshot(scopeOf(ctx), aws.ToString(in.DBClusterSnapshotIdentifier))
	if err != nil {
		return nil, err
	}
	return &rds.DescribeDBClusterSnapshotAttributesOutput{DBClusterSnapshotAttributesResult: showShared(v)}, nil
}

func showShared(v *aurora.DBClusterSnapshot) *types.DBClusterSnapshotAttributesResult {
	return &types.DBClusterSnapshotAttributesResult{DBClusterSnapshotIdentifier: &v.Identifier,
		DBClusterSnapshotAttributes: []types.DBClusterSnapshotAttribute{{AttributeName: aws.String(restoreAttribute), AttributeValues: v.Shared}}}
}

// ModifyDBClusterSnapshotAttribute lets other accounts restore a manual snapshot, or
// everybody ("all").
func (s *service) ModifyDBClusterSnapshotAttribute(ctx context.Context, in *rds.ModifyDBClusterSnapshotAttributeInput) (*rds.ModifyDBClusterSnapshotAttributeOutput, error) {
	if name := aws.ToString(in.AttributeName); name != restoreAttribute {
		return nil, awswire.InvalidParameterValue("Invalid attribute name: %s. Valid values: %s.", name, restoreAttribute)
	}
	for _, value := range slices.Concat(in.ValuesToAdd, in.ValuesToRemove) {
		if value != everybody && !accountPattern.MatchString(value) {
			return nil, awswire.InvalidParameterValue("Invalid value %s: an account ID or %s.", value, everybody)
		}
	}
	given := aws.ToString(in.DBClusterSnapshotIdentifier)
	v, err := s.manualSnapshot(scopeOf(ctx), given)
	if err != nil {
		return nil, err
	}
	changed, err := s.updateSnapshot(ctx, v.ResourceID, func(v *aurora.DBClusterSnapshot) error {
		if err := checkSnapshotAvailable(v); err != nil {
			return err
		}
		shared := slices.DeleteFunc(slices.Concat(v.Shared, in.ValuesToAdd), func(have string) bool { return slices.Contains(in.ValuesToRemove, have) })
		slices.Sort(shared)
		if v.Shared = slices.Compact(shared); len(v.Shared) > maxShared {
			return awswire.BadRequestf("SharedSnapshotQuotaExceeded", "A snapshot is shared with at most %d accounts.", maxShared)
		}
		return nil
	})
	if errors.Is(err, state.ErrNotFound) {
		return nil, snapshotNotFound(given)
	}
	if err != nil {
		return nil, err
	}
	return &rds.ModifyDBClusterSnapshotAttributeOutput{DBClusterSnapshotAttributesResult: showShared(&changed)}, nil
}

func (s *service) updateSnapshot(ctx context.Context, key string, change func(*aurora.DBClusterSnapshot) error) (aurora.DBClusterSnapshot, error) {
	none := func(*aurora.DBClusterSnapshot) []ownName { return nil }
	silent := func(_, _ aurora.DBClusterSnapshot) []aurora.Event { return nil }
	return update(ctx, s.store, kind[aurora.DBClusterSnapshot]{state.DBClusterSnapshots(s.store), s.snapshots, none, silent}, key, change, nil)
}

// manualSnapshot finds a snapshot that can be changed.
func (s *service) manualSnapshot(c scope, given string) (*aurora.DBClusterSnapshot, error) {
	v, err := s.snapshot(c, given)
	if err == nil && v.Type != aurora.SnapshotTypeManual {
		return nil, awswire.BadRequestf("InvalidDBClusterSnapshotStateFault", "DB cluster snapshot %s is an automated one: it can be copied, and not changed.", v.Identifier)
	}
	return v, err
}
