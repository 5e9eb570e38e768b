package aws

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

// stateSettles bounds the retries of a request that the state of a cluster forbids for the moment.
const stateSettles = 5 * time.Minute

// clusterSettings are the settings of a cluster that a request names. The requests to create, restore and
// modify call them the same.
func clusterSettings(p picker) *rds.CreateDBClusterInput {
	in := &rds.CreateDBClusterInput{
		AllocatedStorage:                   p.int32("allocated_storage"),
		AvailabilityZones:                  p.strings("availability_zones"),
		BacktrackWindow:                    p.int64("backtrack_window"),
		BackupRetentionPeriod:              p.int32("backup_retention_period"),
		CACertificateIdentifier:            p.str("ca_certificate_identifier"),
		CopyTagsToSnapshot:                 p.boolean("copy_tags_to_snapshot"),
		DBClusterInstanceClass:             p.str("db_cluster_instance_class"),
		DBClusterParameterGroupName:        p.str("db_cluster_parameter_group_name"),
		DBSubnetGroupName:                  p.str("db_subnet_group_name"),
		DBSystemId:                         p.str("db_system_id"),
		DatabaseName:                       p.str("database_name"),
		DeletionProtection:                 p.boolean("deletion_protection"),
		Domain:                             p.str("domain"),
		DomainIAMRoleName:                  p.str("domain_iam_role_name"),
		EnableCloudwatchLogsExports:        p.strings("enabled_cloudwatch_logs_exports"),
		EnableGlobalWriteForwarding:        p.boolean("enable_global_write_forwarding"),
		EnableHttpEndpoint:                 p.boolean("enable_http_endpoint"),
		EnableIAMDatabaseAuthentication:    p.boolean("iam_database_authentication_enabled"),
		EnableLocalWriteForwarding:         p.boolean("enable_local_write_forwarding"),
		EnablePerformanceInsights:          p.boolean("performance_insights_enabled"),
		EngineLifecycleSupport:             p.str("engine_lifecycle_support"),
		EngineMode:                         p.str("engine_mode"),
		EngineVersion:                      p.str("engine_version"),
		GlobalClusterIdentifier:            p.str("global_cluster_identifier"),
		Iops:                               p.int32("iops"),
		KmsKeyId:                           p.str("kms_key_id"),
		ManageMasterUserPassword:           p.boolean("manage_master_user_password"),
		MasterUserPassword:                 p.str("master_password"),
		MasterUserSecretKmsKeyId:           p.str("master_user_secret_kms_key_id"),
		MasterUsername:                     p.str("master_username"),
		MonitoringInterval:                 p.int32("monitoring_interval"),
		MonitoringRoleArn:                  p.str("monitoring_role_arn"),
		NetworkType:                        p.str("network_type"),
		PerformanceInsightsKMSKeyId:        p.str("performance_insights_kms_key_id"),
		PerformanceInsightsRetentionPeriod: p.int32("performance_insights_retention_period"),
		Port:                               p.int32("port"),
		PreferredBackupWindow:              p.str("preferred_backup_window"),
		PreferredMaintenanceWindow:         p.str("preferred_maintenance_window"),
		ReplicationSourceIdentifier:        p.str("replication_source_identifier"),
		SourceRegion:                       p.str("source_region"),
		StorageEncrypted:                   p.boolean("storage_encrypted"),
		StorageType:                        p.str("storage_type"),
		VpcSecurityGroupIds:                p.strings("vpc_security_group_ids"),
	}
	if p.pick("cluster_scalability_type") {
		in.ClusterScalabilityType = types.ClusterScalabilityType(p.o.String("cluster_scalability_type"))
	}
	if p.pick("database_insights_mode") {
		in.DatabaseInsightsMode = types.DatabaseInsightsMode(p.o.String("database_insights_mode"))
	}
	for _, s := range p.o.Objects("serverlessv2_scaling_configuration") {
		if p.pick("serverlessv2_scaling_configuration") {
			in.ServerlessV2ScalingConfiguration = &types.ServerlessV2ScalingConfiguration{
				MinCapacity: aws.Float64(s.Float("min_capacity")), MaxCapacity: aws.Float64(s.Float("max_capacity")),
				SecondsUntilAutoPause: picker{s, s.Has}.int32("seconds_until_auto_pause"),
			}
		}
	}
	for _, s := range p.o.Objects("scaling_configuration") {
		if p.pick("scaling_configuration") {
			in.ScalingConfiguration = &types.ScalingConfiguration{
				AutoPause: aws.Bool(s.Bool("auto_pause")), MinCapacity: aws.Int32(s.Int("min_capacity")), MaxCapacity: aws.Int32(s.Int("max_capacity")),
				SecondsBeforeTimeout: aws.Int32(s.Int("seconds_before_timeout")), SecondsUntilAutoPause: aws.Int32(s.Int("seconds_until_auto_pause")),
				TimeoutAction: aws.String(s.String("timeout_action")),
			}
		}
	}
	return in
}

func (c *client) createCluster(ctx context.Context, change *plugin.Change) error {
	o := change.State
	id := c.names.choose(o, "cluster_identifier", "cluster_identifier_prefix", "tf-")
	in := clusterSettings(picker{o, func(name string) bool {
		// These are always sent; storage_encrypted where the configuration says anything.
		return o.Has(name) || name == "copy_tags_to_snapshot" || name == "deletion_protection" || name == "storage_encrypted" && o[name] != nil
	}})
	in.DBClusterIdentifier = aws.String(id)
	in.Engine = aws.String(o.String("engine"))
	in.Tags = rdsTags(c.newTags(change))
	if p := change.Config.String("master_password_wo"); p != "" {
		in.MasterUserPassword = aws.String(p)
	}
	if in.GlobalClusterIdentifier != nil {
		in.ReplicationSourceIdentifier = nil
	}
	later, err := c.launchCluster(ctx, o, in)
	if err != nil {
		return err
	}
	o["id"] = id
	if err := c.waitCluster(ctx, id, change.Timeout, false); err != nil {
		return fmt.Errorf("waiting for RDS Cluster (%s) create: %w", id, err)
	}
	if err := c.changeRoles(ctx, id, nil, o.Strings("iam_roles")); err != nil {
		return err
	}
	if later == nil {
		return nil
	}
	later.DBClusterIdentifier, later.ApplyImmediately = aws.String(id), aws.Bool(true)
	return c.modifyCluster(ctx, later, change.Timeout)
}

// launchCluster creates or restores. What a restore cannot set comes back, to be modified once the cluster is there.
func (c *client) launchCluster(ctx context.Context, o plugin.Object, in *rds.CreateDBClusterInput) (*rds.ModifyDBClusterInput, error) {
	id := aws.ToString(in.DBClusterIdentifier)
	switch {
	case len(o.Objects("s3_import")) > 0:
		return nil, &plugin.Problem{Attribute: "s3_import", Summary: "s3_import is not supported by the embedded provider", Detail: "Aurora PostgreSQL has no such import."}
	case o.Has("snapshot_identifier"):
		restore := &rds.RestoreDBClusterFromSnapshotInput{SnapshotIdentifier: aws.String(o.String("snapshot_identifier"))}
		later := notIn(in, copyFields(restore, in))
		_, err := c.rds.RestoreDBClusterFromSnapshot(ctx, restore)
		return later, wrap(err, "creating RDS Cluster (restore from snapshot) (%s)", id)
	case len(o.Objects("restore_to_point_in_time")) > 0:
		restore, err := pointInTime(o.Objects("restore_to_point_in_time")[0])
		if err != nil {
			return nil, err
		}
		later := notIn(in, copyFields(restore, in))
		_, err = c.rds.RestoreDBClusterToPointInTime(ctx, restore)
		return later, wrap(err, "creating RDS Cluster (restore to point-in-time) (%s)", id)
	}
	_, err := c.rds.CreateDBCluster(ctx, in)
	return nil, wrap(err, "creating RDS Cluster (%s)", id)
}

// notIn makes a modification of the settings that a restore lacks, nil when there are none. The engine, the master
// user and the database's name come with the backup.
func notIn(in *rds.CreateDBClusterInput, lacking []string) *rds.ModifyDBClusterInput {
	wanted := &rds.CreateDBClusterInput{}
	for _, name := range lacking {
		if slices.Contains([]string{"BackupRetentionPeriod", "ManageMasterUserPassword", "MasterUserPassword", "MasterUserSecretKmsKeyId",
			"PreferredBackupWindow", "PreferredMaintenanceWindow", "ScalingConfiguration", "ServerlessV2ScalingConfiguration"}, name) {
			reflect.ValueOf(wanted).Elem().FieldByName(name).Set(reflect.ValueOf(in).Elem().FieldByName(name))
		}
	}
	later := &rds.ModifyDBClusterInput{}
	copyFields(later, wanted)
	if reflect.ValueOf(*later).IsZero() {
		return nil
	}
	return later
}

func pointInTime(r plugin.Object) (*rds.RestoreDBClusterToPointInTimeInput, error) {
	p := picker{r, r.Has}
	in := &rds.RestoreDBClusterToPointInTimeInput{
		SourceDBClusterIdentifier: p.str("source_cluster_identifier"),
		SourceDbClusterResourceId: p.str("source_cluster_resource_id"),
		RestoreType:               p.str("restore_type"),
		UseLatestRestorableTime:   p.boolean("use_latest_restorable_time"),
	}
	if r.Has("restore_to_time") {
		at, err := time.Parse(time.RFC3339, r.String("restore_to_time"))
		if err != nil {
			return nil, &plugin.Problem{Attribute: "restore_to_point_in_time", Summary: "restore_to_time must be in RFC3339 time format", Detail: err.Error()}
		}
		in.RestoreToTime = &at
	}
	return in, nil
}

func (c *client) updateCluster(ctx context.Context, change *plugin.Change) error {
	o, id := change.State, change.State.String("id")
	if err := c.updateRDSTags(ctx, change); err != nil {
		return fmt.Errorf("updating tags for RDS Cluster (%s): %w", id, err)
	}
	in := &rds.ModifyDBClusterInput{}
	copyFields(in, clusterSettings(picker{o, func(name string) bool { return change.Changed(name) }}))
	in.CloudwatchLogsExportConfiguration = logExports(change)
	if change.Changed("db_instance_parameter_group_name") {
		in.DBInstanceParameterGroupName = aws.String(o.String("db_instance_parameter_group_name"))
	}
	if change.Changed("master_password_wo_version") && change.Config.Has("master_password_wo") {
		in.MasterUserPassword = aws.String(change.Config.String("master_password_wo"))
	}
	if change.Changed("performance_insights_kms_key_id", "performance_insights_retention_period") {
		in.EnablePerformanceInsights = aws.Bool(o.Bool("performance_insights_enabled"))
	}
	if !reflect.ValueOf(*in).IsZero() {
		in.DBClusterIdentifier = aws.String(id)
		in.ApplyImmediately = aws.Bool(o.Bool("apply_immediately"))
		if in.EngineVersion != nil || in.DBInstanceParameterGroupName != nil {
			in.AllowMajorVersionUpgrade = aws.Bool(o.Bool("allow_major_version_upgrade"))
		}
		if err := c.modifyCluster(ctx, in, change.Timeout); err != nil {
			return err
		}
	}
	if change.Changed("global_cluster_identifier") {
		if err := c.leaveGlobalCluster(ctx, change); err != nil {
			return err
		}
	}
	return c.changeRoles(ctx, id, change.Prior.Strings("iam_roles"), o.Strings("iam_roles"))
}

func logExports(change *plugin.Change) *types.CloudwatchLogsExportConfiguration {
	const name = "enabled_cloudwatch_logs_exports"
	if !change.Changed(name) {
		return nil
	}
	was, now := change.Prior.Strings(name), change.State.Strings(name)
	missing := func(from []string) func(string) bool {
		return func(s string) bool { return slices.Contains(from, s) }
	}
	return &types.CloudwatchLogsExportConfiguration{
		EnableLogTypes:  slices.DeleteFunc(slices.Clone(now), missing(was)),
		DisableLogTypes: slices.DeleteFunc(slices.Clone(was), missing(now)),
	}
}

func (c *client) modifyCluster(ctx context.Context, in *rds.ModifyDBClusterInput, timeout time.Duration) error {
	id := aws.ToString(in.DBClusterIdentifier)
	busy := func(err error) bool { return failed(err, "InvalidDBClusterStateFault") }
	err := plugin.Retry(ctx, stateSettles, busy, func(ctx context.Context) error {
		_, err := c.rds.ModifyDBCluster(ctx, in)
		if failed(err, "InvalidParameterCombination", "db-instance-parameter-group-name can only be specified for a major") {
			in.DBInstanceParameterGroupName = nil
			_, err = c.rds.ModifyDBCluster(ctx, in)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("updating RDS Cluster (%s): %w", id, err)
	}
	return wrap(c.waitCluster(ctx, id, timeout, aws.ToBool(in.ApplyImmediately)), "waiting for RDS Cluster (%s) update", id)
}

func (c *client) leaveGlobalCluster(ctx context.Context, change *plugin.Change) error {
	was, now := change.Prior.String("global_cluster_identifier"), change.State.String("global_cluster_identifier")
	if was == "" || now != "" {
		return &plugin.Problem{Attribute: "global_cluster_identifier", Summary: "existing RDS Clusters cannot be added to an existing RDS Global Cluster or moved between RDS Global Clusters"}
	}
	_, err := c.rds.RemoveFromGlobalCluster(ctx, &rds.RemoveFromGlobalClusterInput{
		DbClusterIdentifier: aws.String(change.Prior.String("arn")), GlobalClusterIdentifier: aws.String(was),
	})
	if failed(err, "GlobalClusterNotFoundFault") || failed(err, "InvalidParameterValue", "is not found in global cluster") {
		return nil
	}
	return wrap(err, "removing RDS Cluster (%s) from RDS Global Cluster (%s)", change.State.String("id"), was)
}

func (c *client) changeRoles(ctx context.Context, id string, was, now []string) error {
	for _, role := range now {
		if slices.Contains(was, role) {
			continue
		}
		if _, err := c.rds.AddRoleToDBCluster(ctx, &rds.AddRoleToDBClusterInput{DBClusterIdentifier: &id, RoleArn: aws.String(role)}); err != nil {
			return fmt.Errorf("adding IAM Role (%s) to RDS Cluster (%s): %w", role, id, err)
		}
	}
	for _, role := range was {
		if slices.Contains(now, role) {
			continue
		}
		if _, err := c.rds.RemoveRoleFromDBCluster(ctx, &rds.RemoveRoleFromDBClusterInput{DBClusterIdentifier: &id, RoleArn: aws.String(role)}); err != nil {
			return fmt.Errorf("removing IAM Role (%s) from RDS Cluster (%s): %w", role, id, err)
		}
	}
	return nil
}

// waitCluster waits until a cluster is available, and until nothing is pending on it when changes apply at once.
func (c *client) waitCluster(ctx context.Context, id string, timeout time.Duration, nothingPending bool) error {
	return plugin.Wait(ctx, timeout, func(ctx context.Context) (string, bool, error) {
		d, err := c.findCluster(ctx, id)
		if err != nil || d == nil {
			return "", false, err
		}
		if nothingPending && d.PendingModifiedValues != nil && !reflect.ValueOf(*d.PendingModifiedValues).IsZero() {
			return "modifying", false, nil
		}
		return settled(aws.ToString(d.Status))
	})
}

// settled judges the status of a cluster or an instance that is waited for.
func settled(status string) (string, bool, error) {
	if slices.Contains([]string{
		"cloning-failed", "deleting", "failed", "inaccessible-encryption-credentials", "incompatible-network", "incompatible-option-group",
		"incompatible-parameters", "incompatible-restore", "insufficient-capacity", "migration-failed", "restore-error", "stopped", "stopping", "storage-full",
	}, status) {
		return status, false, fmt.Errorf("unexpected state '%s', wanted target 'available'", status)
	}
	return status, status == "available" || status == "storage-optimization", nil
}

func (c *client) deleteCluster(ctx context.Context, state plugin.Object, timeout time.Duration) error {
	id := state.String("id")
	in := &rds.DeleteDBClusterInput{
		DBClusterIdentifier:    aws.String(id),
		DeleteAutomatedBackups: aws.Bool(state.Bool("delete_automated_backups")),
		SkipFinalSnapshot:      aws.Bool(state.Bool("skip_final_snapshot")),
	}
	if !state.Bool("skip_final_snapshot") {
		if !state.Has("final_snapshot_identifier") {
			return &plugin.Problem{Attribute: "final_snapshot_identifier", Summary: "RDS Cluster final_snapshot_identifier is required when skip_final_snapshot is false"}
		}
		in.FinalDBSnapshotIdentifier = aws.String(state.String("final_snapshot_identifier"))
	}
	if global := state.String("global_cluster_identifier"); global != "" {
		leave := &plugin.Change{Prior: state, State: plugin.Object{"id": id}}
		if err := c.leaveGlobalCluster(ctx, leave); err != nil {
			return err
		}
	}
	passes := func(err error) bool {
		return failed(err, "InvalidDBClusterStateFault", "is not currently in the available state") ||
			failed(err, "InvalidDBClusterStateFault", "cluster is a part of a global cluster")
	}
	err := plugin.Retry(ctx, stateSettles, passes, func(ctx context.Context) error {
		_, err := c.rds.DeleteDBCluster(ctx, in)
		return err
	})
	if err != nil && !failed(err, "DBClusterNotFoundFault") {
		return fmt.Errorf("deleting RDS Cluster (%s): %w", id, err)
	}
	err = plugin.Wait(ctx, timeout, func(ctx context.Context) (string, bool, error) {
		d, err := c.findCluster(ctx, id)
		if d == nil {
			return "", err == nil, err
		}
		return aws.ToString(d.Status), false, nil
	})
	return wrap(err, "waiting for RDS Cluster (%s) delete", id)
}
