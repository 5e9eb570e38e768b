package aws

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

const provisioned = "provisioned"

func (c *client) cluster() plugin.Resource {
	hour := time.Hour
	return plugin.Resource{
		Rules:     clusterRules(),
		Timeouts:  map[string]time.Duration{"create": 2 * hour, "update": 2 * hour, "delete": 2 * hour},
		Validate:  validateCluster,
		Customize: c.planCluster,
		Create:    c.createCluster,
		Read:      c.readCluster,
		Update:    c.updateCluster,
		Delete:    c.deleteCluster,
		Import: func(id string) (plugin.Object, error) {
			// No API tells how the cluster shall be deleted.
			return plugin.Object{"id": id, "skip_final_snapshot": true, "delete_automated_backups": true}, nil
		},
		Upgrade: func(_ int64, state plugin.Object) {
			if state["delete_automated_backups"] == nil {
				state["delete_automated_backups"] = true
			}
		},
	}
}

func clusterRules() plugin.Rules {
	replace := plugin.Rule{Replace: true}
	return plugin.Rules{
		"availability_zones":                              replace,
		"cluster_scalability_type":                        {Replace: true, Check: oneOf("standard", "limited")},
		"database_name":                                   replace,
		"db_subnet_group_name":                            replace,
		"db_system_id":                                    replace,
		"master_username":                                 replace,
		"source_region":                                   replace,
		"storage_encrypted":                               replace,
		"restore_to_point_in_time":                        replace,
		"s3_import":                                       replace,
		"kms_key_id":                                      {Replace: true, Check: arnText},
		"engine":                                          {Replace: true, Check: oneOf("aurora-postgresql", "aurora-mysql", "mysql", "postgres")},
		"engine_mode":                                     {Replace: true, Default: provisioned, Check: oneOf("global", "multimaster", "parallelquery", provisioned, "serverless", "")},
		"cluster_identifier":                              {Replace: true, Conflicts: []string{"cluster_identifier_prefix"}, Check: identifier},
		"cluster_identifier_prefix":                       {Replace: true, Conflicts: []string{"cluster_identifier"}, Check: identifierPrefix},
		"snapshot_identifier":                             {Replace: true, Conflicts: []string{"global_cluster_identifier"}, Keep: func(_, config any) bool { return config == nil || config == "" }},
		"copy_tags_to_snapshot":                           {Default: false},
		"delete_automated_backups":                        {Default: true},
		"enable_global_write_forwarding":                  {Default: false},
		"enable_http_endpoint":                            {Default: false},
		"enable_local_write_forwarding":                   {Default: false},
		"skip_final_snapshot":                             {Default: false},
		"backup_retention_period":                         {Check: between(0, 35)},
		"backtrack_window":                                {Check: between(0, 259200)},
		"database_insights_mode":                          {Check: oneOf("standard", "advanced")},
		"engine_lifecycle_support":                        {Check: oneOf("open-source-rds-extended-support", "open-source-rds-extended-support-disabled")},
		"enabled_cloudwatch_logs_exports":                 {Check: oneOf("audit", "error", "general", "iam-db-auth-error", "instance", "postgresql", "slowquery", "upgrade")},
		"final_snapshot_identifier":                       {Check: finalSnapshot},
		"manage_master_user_password":                     {Conflicts: []string{"master_password", "master_password_wo"}},
		"master_password":                                 {Conflicts: []string{"manage_master_user_password", "master_password_wo"}},
		"master_password_wo":                              {Conflicts: []string{"manage_master_user_password", "master_password"}},
		"monitoring_role_arn":                             {Check: arnText},
		"network_type":                                    {Check: oneOf("IPV4", "DUAL")},
		"performance_insights_kms_key_id":                 {Check: arnText},
		"preferred_backup_window":                         {Check: backupWindow},
		"preferred_maintenance_window":                    {Check: maintenanceWindow, State: strings.ToLower},
		"scaling_configuration":                           {Keep: leftOut},
		"scaling_configuration.auto_pause":                {Default: true},
		"scaling_configuration.max_capacity":              {Default: 16.0},
		"scaling_configuration.min_capacity":              {Default: 1.0},
		"scaling_configuration.seconds_before_timeout":    {Default: 300.0, Check: between(60, 600)},
		"scaling_configuration.seconds_until_auto_pause":  {Default: 300.0, Check: between(300, 86400)},
		"scaling_configuration.timeout_action":            {Default: "RollbackCapacityChange", Check: oneOf("ForceApplyCapacityChange", "RollbackCapacityChange")},
		"serverlessv2_scaling_configuration":              {Keep: leftOut},
		"serverlessv2_scaling_configuration.max_capacity": {Check: between(1, 256)},
		"serverlessv2_scaling_configuration.min_capacity": {Check: between(0, 256)},
		"serverlessv2_scaling_configuration.seconds_until_auto_pause": {Check: between(300, 86400)},
	}
}

// leftOut says that a block which is there was left out of the configuration.
func leftOut(prior, config any) bool {
	before, _ := prior.([]any)
	now, _ := config.([]any)
	return len(before) == 1 && len(now) == 0
}

func finalSnapshot(v any) string {
	if strings.Contains(text(v), "--") || strings.HasSuffix(text(v), "-") {
		return "cannot hold two consecutive hyphens or end in a hyphen"
	}
	return matches(`^[0-9A-Za-z-]+$`, "may hold only alphanumeric characters and hyphens")(v)
}

func validateCluster(config plugin.Object) error {
	if (config["master_password_wo"] == nil) != (config["master_password_wo_version"] == nil) {
		return &plugin.Problem{Attribute: "master_password_wo", Summary: "master_password_wo and master_password_wo_version must be specified together"}
	}
	for _, r := range config.Objects("restore_to_point_in_time") {
		for _, pair := range [][2]string{{"source_cluster_identifier", "source_cluster_resource_id"}, {"restore_to_time", "use_latest_restorable_time"}} {
			if (r[pair[0]] == nil) == (r[pair[1]] == nil) {
				return &plugin.Problem{Attribute: "restore_to_point_in_time", Summary: fmt.Sprintf("only one of %s, %s must be specified", pair[0], pair[1])}
			}
		}
	}
	return nil
}

func (c *client) planCluster(p *plugin.Plan) {
	c.planTags(p)
	// The API answers the default storage type with nothing.
	if p.Prior != nil && p.Planned["storage_type"] == "aurora" && p.Prior.String("storage_type") == "" {
		p.Planned["storage_type"] = p.Prior["storage_type"]
	}
}

// findCluster returns nil when there is no such cluster.
func (c *client) findCluster(ctx context.Context, id string) (*types.DBCluster, error) {
	out, err := c.rds.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: &id})
	if failed(err, "DBClusterNotFoundFault") || err == nil && len(out.DBClusters) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &out.DBClusters[0], nil
}

func (c *client) readCluster(ctx context.Context, o plugin.Object) (bool, error) {
	id := o.String("id")
	d, err := c.findCluster(ctx, id)
	if err != nil || d == nil {
		return false, wrap(err, "reading RDS Cluster (%s)", id)
	}
	setCluster(o, d)
	c.setTags(o, fromRDSTags(d.TagList))
	global, err := c.globalCluster(ctx, d)
	if err != nil {
		return false, fmt.Errorf("reading RDS Global Cluster for RDS Cluster (%s): %w", id, err)
	}
	o["global_cluster_identifier"] = global
	return true, nil
}

func setCluster(o plugin.Object, d *types.DBCluster) {
	for name, v := range map[string]any{
		"allocated_storage": d.AllocatedStorage, "arn": d.DBClusterArn, "availability_zones": d.AvailabilityZones,
		"backtrack_window": d.BacktrackWindow, "backup_retention_period": d.BackupRetentionPeriod,
		"cluster_identifier": d.DBClusterIdentifier, "cluster_resource_id": d.DbClusterResourceId,
		"cluster_scalability_type": d.ClusterScalabilityType, "copy_tags_to_snapshot": d.CopyTagsToSnapshot,
		"database_insights_mode": d.DatabaseInsightsMode, "db_cluster_instance_class": d.DBClusterInstanceClass,
		"db_cluster_parameter_group_name": d.DBClusterParameterGroup, "db_subnet_group_name": d.DBSubnetGroup,
		"db_system_id": d.DBSystemId, "deletion_protection": d.DeletionProtection, "enable_http_endpoint": d.HttpEndpointEnabled,
		"enabled_cloudwatch_logs_exports": d.EnabledCloudwatchLogsExports, "endpoint": d.Endpoint, "engine": d.Engine,
		"engine_lifecycle_support": d.EngineLifecycleSupport, "engine_mode": d.EngineMode, "hosted_zone_id": d.HostedZoneId,
		"iam_database_authentication_enabled": d.IAMDatabaseAuthenticationEnabled, "iops": d.Iops, "kms_key_id": d.KmsKeyId,
		"master_username": d.MasterUsername, "monitoring_interval": d.MonitoringInterval, "monitoring_role_arn": d.MonitoringRoleArn,
		"network_type": d.NetworkType, "performance_insights_enabled": d.PerformanceInsightsEnabled,
		"performance_insights_kms_key_id":       d.PerformanceInsightsKMSKeyId,
		"performance_insights_retention_period": d.PerformanceInsightsRetentionPeriod, "port": d.Port,
		"preferred_backup_window": d.PreferredBackupWindow, "preferred_maintenance_window": d.PreferredMaintenanceWindow,
		"reader_endpoint": d.ReaderEndpoint, "replication_source_identifier": d.ReplicationSourceIdentifier,
		"storage_encrypted": d.StorageEncrypted, "storage_type": d.StorageType,
		"domain": "", "domain_iam_role_name": "",
	} {
		o.Set(name, v)
	}
	o["cluster_identifier_prefix"] = prefixOf(aws.ToString(d.DBClusterIdentifier))
	if d.DatabaseName != nil {
		o.Set("database_name", d.DatabaseName)
	}
	if d.CertificateDetails != nil {
		o.Set("ca_certificate_identifier", d.CertificateDetails.CAIdentifier)
		o["ca_certificate_valid_till"] = ""
		if till := d.CertificateDetails.ValidTill; till != nil {
			o["ca_certificate_valid_till"] = till.Format(time.RFC3339)
		}
	}
	for _, m := range d.DomainMemberships {
		o.Set("domain", m.Domain)
		o.Set("domain_iam_role_name", m.IAMRoleName)
	}
	setClusterLists(o, d)
	var pending *string
	if d.PendingModifiedValues != nil {
		pending = d.PendingModifiedValues.EngineVersion
	}
	setEngineVersion(o, aws.ToString(d.EngineVersion), aws.ToString(pending))
}

func setClusterLists(o plugin.Object, d *types.DBCluster) {
	members, roles, groups, secret, scaling, scaling2 := []any{}, []any{}, []any{}, []any{}, []any{}, []any{}
	for _, m := range d.DBClusterMembers {
		members = append(members, aws.ToString(m.DBInstanceIdentifier))
	}
	for _, r := range d.AssociatedRoles {
		roles = append(roles, aws.ToString(r.RoleArn))
	}
	for _, g := range d.VpcSecurityGroups {
		groups = append(groups, aws.ToString(g.VpcSecurityGroupId))
	}
	if s := d.MasterUserSecret; s != nil {
		secret = append(secret, element("kms_key_id", s.KmsKeyId, "secret_arn", s.SecretArn, "secret_status", s.SecretStatus))
	}
	if s := d.ServerlessV2ScalingConfiguration; s != nil {
		scaling2 = append(scaling2, element("max_capacity", s.MaxCapacity, "min_capacity", s.MinCapacity, "seconds_until_auto_pause", s.SecondsUntilAutoPause))
	}
	if s := d.ScalingConfigurationInfo; s != nil {
		scaling = append(scaling, present("auto_pause", s.AutoPause, "max_capacity", s.MaxCapacity, "min_capacity", s.MinCapacity,
			"seconds_before_timeout", s.SecondsBeforeTimeout, "seconds_until_auto_pause", s.SecondsUntilAutoPause, "timeout_action", s.TimeoutAction))
	}
	o["cluster_members"], o["iam_roles"], o["vpc_security_group_ids"] = members, roles, groups
	o["master_user_secret"], o["scaling_configuration"], o["serverlessv2_scaling_configuration"] = secret, scaling, scaling2
}

// element makes an object of names and values in turn.
func element(pairs ...any) plugin.Object {
	o := plugin.Object{}
	for i := 0; i < len(pairs); i += 2 {
		o.Set(pairs[i].(string), pairs[i+1])
	}
	return o
}

// setEngineVersion keeps a configured version that names the actual one in part, or that is under way.
func setEngineVersion(o plugin.Object, actual, pending string) {
	configured := o.String("engine_version")
	if configured == "" || !strings.HasPrefix(actual, configured+".") && configured != pending {
		o["engine_version"] = actual
	}
	o["engine_version_actual"] = actual
}

// globalCluster finds the global database that a cluster belongs to, usually none.
func (c *client) globalCluster(ctx context.Context, d *types.DBCluster) (string, error) {
	clusterARN := aws.ToString(d.DBClusterArn)
	out, err := c.rds.DescribeGlobalClusters(ctx, &rds.DescribeGlobalClustersInput{
		Filters: []types.Filter{{Name: aws.String("db-cluster-id"), Values: []string{clusterARN}}},
	})
	if failed(err, "GlobalClusterNotFoundFault") || failed(err, "InvalidParameterValue", "Access Denied to API Version: APIGlobalDatabases") {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for _, g := range out.GlobalClusters {
		for _, m := range g.GlobalClusterMembers {
			if aws.ToString(m.DBClusterArn) == clusterARN {
				return aws.ToString(g.GlobalClusterIdentifier), nil
			}
		}
	}
	return "", nil
}
