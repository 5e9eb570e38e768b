package rds

import (
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/state"
)

// changedSpec counts a change of a Spec, without what clear takes out of it: what
// waits, and what the data plane has nothing to do with.
func changedSpec[T any](generation *int64, before, after T, clear func(*T)) error {
	if reflect.DeepEqual(before, after) {
		return state.ErrUnchanged
	}
	clear(&before)
	clear(&after)
	if !reflect.DeepEqual(before, after) {
		*generation++
	}
	return nil
}

// applyClusterChanges makes the changes that wait.
func applyClusterChanges(spec *aurora.DBClusterSpec) {
	p := spec.Pending
	if p == nil {
		return
	}
	if p.Identifier != "" {
		spec.Identifier = p.Identifier
	}
	if p.EngineVersion != "" {
		spec.EngineVersion = p.EngineVersion
	}
	if p.BackupRetentionPeriod != 0 {
		spec.BackupRetentionPeriod = p.BackupRetentionPeriod
	}
	set(&spec.StorageType, p.StorageType)
	set(&spec.CloudwatchLogExports, p.CloudwatchLogExports)
	spec.Pending = nil
}

// deferClusterChanges takes those changes back that can wait, and has them wait.
func deferClusterChanges(spec, before *aurora.DBClusterSpec) {
	var p aurora.PendingClusterChanges
	if spec.Identifier != before.Identifier {
		p.Identifier = spec.Identifier
	}
	if spec.EngineVersion != before.EngineVersion {
		p.EngineVersion = spec.EngineVersion
	}
	if spec.BackupRetentionPeriod != before.BackupRetentionPeriod {
		p.BackupRetentionPeriod = spec.BackupRetentionPeriod
	}
	if spec.StorageType != before.StorageType {
		p.StorageType = aws.String(spec.StorageType)
	}
	if !slices.Equal(spec.CloudwatchLogExports, before.CloudwatchLogExports) {
		exports := spec.CloudwatchLogExports
		p.CloudwatchLogExports = &exports
	}
	spec.Identifier = before.Identifier
	spec.EngineVersion, spec.BackupRetentionPeriod = before.EngineVersion, before.BackupRetentionPeriod
	spec.StorageType, spec.CloudwatchLogExports = before.StorageType, before.CloudwatchLogExports
	if p != (aurora.PendingClusterChanges{}) {
		spec.Pending = &p
	}
}

func showClusterChanges(spec *aurora.DBClusterSpec) *types.ClusterPendingModifiedValues {
	p := spec.Pending
	if p == nil {
		return nil
	}
	out := &types.ClusterPendingModifiedValues{DBClusterIdentifier: optional(p.Identifier), EngineVersion: optional(p.EngineVersion), StorageType: p.StorageType}
	if p.BackupRetentionPeriod != 0 {
		out.BackupRetentionPeriod = aws.Int32(int32(p.BackupRetentionPeriod))
	}
	if p.CloudwatchLogExports != nil {
		without := func(list, others []string) []string {
			return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(others, s) })
		}
		out.PendingCloudwatchLogsExports = &types.PendingCloudwatchLogsExports{
			LogTypesToEnable:  without(*p.CloudwatchLogExports, spec.CloudwatchLogExports),
			LogTypesToDisable: without(spec.CloudwatchLogExports, *p.CloudwatchLogExports),
		}
	}
	return out
}

// waits says whether changes of an instance wait.
func waits(spec *aurora.DBInstanceSpec) bool {
	return spec.PendingClass != "" || spec.PendingIdentifier != ""
}

// applyInstanceChanges makes the changes that wait.
func applyInstanceChanges(spec *aurora.DBInstanceSpec) {
	if spec.PendingClass != "" {
		spec.Class, spec.PendingClass = spec.PendingClass, ""
	}
	if spec.PendingIdentifier != "" {
		spec.Identifier, spec.PendingIdentifier = spec.PendingIdentifier, ""
	}
}

// deferInstanceChanges takes those changes back that can wait, and has them wait.
func deferInstanceChanges(spec, before *aurora.DBInstanceSpec) {
	if spec.Class != before.Class {
		spec.Class, spec.PendingClass = before.Class, spec.Class
	}
	if spec.Identifier != before.Identifier {
		spec.Identifier, spec.PendingIdentifier = before.Identifier, spec.Identifier
	}
}

func showInstanceChanges(spec *aurora.DBInstanceSpec) *types.PendingModifiedValues {
	if !waits(spec) {
		return nil
	}
	return &types.PendingModifiedValues{DBInstanceClass: optional(spec.PendingClass), DBInstanceIdentifier: optional(spec.PendingIdentifier)}
}
