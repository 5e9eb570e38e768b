package rds

import (
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

// clusterEvents are what a user's change of a cluster tells. That it is made, fails
// over or is gone is told when it is so, and not here.
func clusterEvents(before, after aurora.DBCluster) []aurora.Event {
	var all []aurora.Event
	if before.Spec.MasterPasswordGeneration != after.Spec.MasterPasswordGeneration {
		all = append(all, aurora.CredentialsReset(&after))
	}
	if before.Spec.Identifier != after.Spec.Identifier {
		all = append(all, aurora.ClusterRenamed(&after, before.Spec.Identifier))
	}
	if stoppedTooLong(&before, time.Now()) && after.Spec.Stopped == nil {
		all = append(all, aurora.ClusterStoppedTooLong(&after))
	}
	if before.Spec.EngineVersion != after.Spec.EngineVersion {
		all = append(all, aurora.VersionUpgraded(&after))
	}
	return all
}

// instanceEvents are what a user's change of an instance tells.
func instanceEvents(before, after aurora.DBInstance) []aurora.Event {
	var all []aurora.Event
	if before.Spec.Class != after.Spec.Class {
		all = append(all, aurora.ClassModified(&after))
	}
	if before.Spec.ParameterGroupName != after.Spec.ParameterGroupName {
		all = append(all, aurora.ParameterGroupChanged(&after))
	}
	if before.Spec.MonitoringInterval != after.Spec.MonitoringInterval {
		all = append(all, aurora.MonitoringModified(&after))
	}
	return all
}
