package aws

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

func (c *client) instance() plugin.Resource {
	replace := plugin.Rule{Replace: true}
	limit := 90 * time.Minute
	return plugin.Resource{
		Rules: plugin.Rules{
			"availability_zone":               replace,
			"cluster_identifier":              replace,
			"db_subnet_group_name":            replace,
			"custom_iam_instance_profile":     {Replace: true, Check: matches("^AWSRDSCustom", "must begin with AWSRDSCustom")},
			"engine":                          {Replace: true, Check: oneOf("aurora-postgresql", "aurora-mysql", "mysql", "postgres")},
			"identifier":                      {Replace: true, Conflicts: []string{"identifier_prefix"}, Check: identifier},
			"identifier_prefix":               {Replace: true, Conflicts: []string{"identifier"}, Check: identifierPrefix},
			"auto_minor_version_upgrade":      {Default: true},
			"copy_tags_to_snapshot":           {Default: false},
			"force_destroy":                   {Default: false},
			"monitoring_interval":             {Default: 0.0},
			"promotion_tier":                  {Default: 0.0},
			"performance_insights_kms_key_id": {Check: arnText},
			"preferred_backup_window":         {Check: backupWindow},
			"preferred_maintenance_window":    {Check: maintenanceWindow, State: strings.ToLower},
		},
		Timeouts:  map[string]time.Duration{"create": limit, "update": limit, "delete": limit},
		Customize: c.planTags,
		Create:    c.createInstance,
		Read:      c.readInstance,
		Update:    c.updateInstance,
		Delete:    c.deleteInstance,
		Import:    importID,
	}
}

// instanceSettings are the settings of an instance that a request names. The requests to create and to modify
// call them the same.
func instanceSettings(p picker) *rds.CreateDBInstanceInput {
	return &rds.CreateDBInstanceInput{
		AutoMinorVersionUpgrade:            p.boolean("auto_minor_version_upgrade"),
		AvailabilityZone:                   p.str("availability_zone"),
		CopyTagsToSnapshot:                 p.boolean("copy_tags_to_snapshot"),
		CustomIamInstanceProfile:           p.str("custom_iam_instance_profile"),
		DBInstanceClass:                    p.str("instance_class"),
		DBParameterGroupName:               p.str("db_parameter_group_name"),
		DBSubnetGroupName:                  p.str("db_subnet_group_name"),
		EnablePerformanceInsights:          p.boolean("performance_insights_enabled"),
		MonitoringInterval:                 p.int32("monitoring_interval"),
		MonitoringRoleArn:                  p.str("monitoring_role_arn"),
		PerformanceInsightsKMSKeyId:        p.str("performance_insights_kms_key_id"),
		PerformanceInsightsRetentionPeriod: p.int32("performance_insights_retention_period"),
		PreferredBackupWindow:              p.str("preferred_backup_window"),
		PreferredMaintenanceWindow:         p.str("preferred_maintenance_window"),
		PromotionTier:                      p.int32("promotion_tier"),
		PubliclyAccessible:                 p.boolean("publicly_accessible"),
	}
}

func (c *client) createInstance(ctx context.Context, change *plugin.Change) error {
	o := change.State
	id := c.names.choose(o, "identifier", "identifier_prefix", "tf-")
	cluster := o.String("cluster_identifier")
	in := instanceSettings(picker{o, func(name string) bool {
		switch name {
		case "auto_minor_version_upgrade", "copy_tags_to_snapshot", "promotion_tier", "publicly_accessible":
			return true
		}
		return o.Has(name)
	}})
	in.DBInstanceIdentifier, in.DBClusterIdentifier = aws.String(id), aws.String(cluster)
	in.Engine = aws.String(o.String("engine"))
	in.EngineVersion = picker{o, o.Has}.str("engine_version")
	in.Tags = rdsTags(c.newTags(change))
	out, err := c.rds.CreateDBInstance(ctx, in)
	if err != nil {
		return fmt.Errorf("creating RDS Cluster (%s) Instance (%s): %w", cluster, id, err)
	}
	o.Set("id", out.DBInstance.DBInstanceIdentifier)
	if err := c.waitInstance(ctx, id, change.Timeout, false); err != nil {
		return fmt.Errorf("waiting for RDS Cluster Instance (%s) create: %w", id, err)
	}
	if ca := o.String("ca_cert_identifier"); ca != "" && ca != aws.ToString(out.DBInstance.CACertificateIdentifier) {
		return c.changeCertificate(ctx, id, ca, change.Timeout)
	}
	return nil
}

// changeCertificate chooses another authority, which takes a restart to be used.
func (c *client) changeCertificate(ctx context.Context, id, ca string, timeout time.Duration) error {
	in := &rds.ModifyDBInstanceInput{DBInstanceIdentifier: &id, ApplyImmediately: aws.Bool(true), CACertificateIdentifier: &ca}
	if err := c.modifyInstance(ctx, in, timeout); err != nil {
		return err
	}
	if _, err := c.rds.RebootDBInstance(ctx, &rds.RebootDBInstanceInput{DBInstanceIdentifier: &id}); err != nil {
		return fmt.Errorf("rebooting RDS Cluster Instance (%s): %w", id, err)
	}
	return wrap(c.waitInstance(ctx, id, timeout, true), "waiting for RDS Cluster Instance (%s) update", id)
}

// findInstance returns nil when there is no such instance.
func (c *client) findInstance(ctx context.Context, id string) (*types.DBInstance, error) {
	out, err := c.rds.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &id})
	if failed(err, "DBInstanceNotFound") || err == nil && len(out.DBInstances) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &out.DBInstances[0], nil
}

// waitInstance waits until an instance is available, and until nothing is pending on it when changes apply at once.
func (c *client) waitInstance(ctx context.Context, id string, timeout time.Duration, nothingPending bool) error {
	return plugin.Wait(ctx, timeout, func(ctx context.Context) (string, bool, error) {
		d, err := c.findInstance(ctx, id)
		if err != nil || d == nil {
			return "", false, err
		}
		if nothingPending && d.PendingModifiedValues != nil && !reflect.ValueOf(*d.PendingModifiedValues).IsZero() {
			return "modifying", false, nil
		}
		return settled(aws.ToString(d.DBInstanceStatus))
	})
}

func (c *client) readInstance(ctx context.Context, o plugin.Object) (bool, error) {
	id := o.String("id")
	d, err := c.findInstance(ctx, id)
	if err != nil || d == nil {
		return false, wrap(err, "reading RDS Cluster Instance (%s)", id)
	}
	clusterID := aws.ToString(d.DBClusterIdentifier)
	if clusterID == "" {
		return false, fmt.Errorf("DBClusterIdentifier is missing from RDS Cluster Instance (%s). The aws_db_instance resource should be used for non-Aurora instances", id)
	}
	cluster, err := c.findCluster(ctx, clusterID)
	if err == nil && cluster == nil {
		err = fmt.Errorf("couldn't find resource")
	}
	if err != nil {
		return false, fmt.Errorf("reading RDS Cluster (%s): %w", clusterID, err)
	}
	for _, m := range cluster.DBClusterMembers {
		if aws.ToString(m.DBInstanceIdentifier) == id {
			o["writer"] = aws.ToBool(m.IsClusterWriter)
		}
	}
	setInstance(o, d)
	c.setTags(o, fromRDSTags(d.TagList))
	return true, nil
}

func setInstance(o plugin.Object, d *types.DBInstance) {
	for name, v := range map[string]any{
		"arn": d.DBInstanceArn, "auto_minor_version_upgrade": d.AutoMinorVersionUpgrade, "availability_zone": d.AvailabilityZone,
		"ca_cert_identifier": d.CACertificateIdentifier, "cluster_identifier": d.DBClusterIdentifier,
		"copy_tags_to_snapshot": d.CopyTagsToSnapshot, "custom_iam_instance_profile": d.CustomIamInstanceProfile,
		"dbi_resource_id": d.DbiResourceId, "engine": d.Engine, "identifier": d.DBInstanceIdentifier,
		"instance_class": d.DBInstanceClass, "kms_key_id": d.KmsKeyId, "monitoring_interval": d.MonitoringInterval,
		"monitoring_role_arn": d.MonitoringRoleArn, "network_type": d.NetworkType,
		"performance_insights_enabled":          d.PerformanceInsightsEnabled,
		"performance_insights_kms_key_id":       d.PerformanceInsightsKMSKeyId,
		"performance_insights_retention_period": d.PerformanceInsightsRetentionPeriod,
		"preferred_backup_window":               d.PreferredBackupWindow, "preferred_maintenance_window": d.PreferredMaintenanceWindow,
		"promotion_tier": d.PromotionTier, "publicly_accessible": d.PubliclyAccessible, "storage_encrypted": d.StorageEncrypted,
	} {
		o.Set(name, v)
	}
	o["identifier_prefix"] = prefixOf(aws.ToString(d.DBInstanceIdentifier))
	if d.Endpoint != nil {
		o.Set("endpoint", d.Endpoint.Address)
		o.Set("port", d.Endpoint.Port)
	}
	if len(d.DBParameterGroups) > 0 {
		o.Set("db_parameter_group_name", d.DBParameterGroups[0].DBParameterGroupName)
	}
	if d.DBSubnetGroup != nil {
		o.Set("db_subnet_group_name", d.DBSubnetGroup.DBSubnetGroupName)
	}
	var pending *string
	if d.PendingModifiedValues != nil {
		pending = d.PendingModifiedValues.EngineVersion
	}
	setEngineVersion(o, aws.ToString(d.EngineVersion), aws.ToString(pending))
}

func (c *client) updateInstance(ctx context.Context, change *plugin.Change) error {
	o, id := change.State, change.State.String("id")
	if err := c.updateRDSTags(ctx, change); err != nil {
		return fmt.Errorf("updating tags for RDS Cluster Instance (%s): %w", id, err)
	}
	in := &rds.ModifyDBInstanceInput{}
	copyFields(in, instanceSettings(picker{o, func(name string) bool { return change.Changed(name) }}))
	if change.Changed("ca_cert_identifier") {
		in.CACertificateIdentifier = aws.String(o.String("ca_cert_identifier"))
	}
	if change.Changed("performance_insights_kms_key_id", "performance_insights_retention_period") {
		in.EnablePerformanceInsights = aws.Bool(o.Bool("performance_insights_enabled"))
	}
	if reflect.ValueOf(*in).IsZero() {
		return nil
	}
	in.DBInstanceIdentifier, in.ApplyImmediately = aws.String(id), aws.Bool(o.Bool("apply_immediately"))
	return c.modifyInstance(ctx, in, change.Timeout)
}

func (c *client) modifyInstance(ctx context.Context, in *rds.ModifyDBInstanceInput, timeout time.Duration) error {
	id := aws.ToString(in.DBInstanceIdentifier)
	busy := func(err error) bool { return failed(err, "InvalidDBInstanceState") }
	err := plugin.Retry(ctx, stateSettles, busy, func(ctx context.Context) error {
		_, err := c.rds.ModifyDBInstance(ctx, in)
		return err
	})
	if err != nil {
		return fmt.Errorf("updating RDS Cluster Instance (%s): %w", id, err)
	}
	return wrap(c.waitInstance(ctx, id, timeout, aws.ToBool(in.ApplyImmediately)), "waiting for RDS Cluster Instance (%s) update", id)
}

func (c *client) deleteInstance(ctx context.Context, state plugin.Object, timeout time.Duration) error {
	id := state.String("id")
	passes := func(err error) bool {
		return failed(err, "InvalidDBClusterStateFault", "Delete the replica cluster before deleting")
	}
	err := plugin.Retry(ctx, stateSettles, passes, func(ctx context.Context) error {
		_, err := c.rds.DeleteDBInstance(ctx, &rds.DeleteDBInstanceInput{DBInstanceIdentifier: &id})
		return err
	})
	if err != nil && !failed(err, "DBInstanceNotFound") && !failed(err, "InvalidDBInstanceState", "is already being deleted") {
		return fmt.Errorf("deleting RDS Cluster Instance (%s): %w", id, err)
	}
	err = plugin.Wait(ctx, timeout, func(ctx context.Context) (string, bool, error) {
		d, err := c.findInstance(ctx, id)
		if d == nil {
			return "", err == nil, err
		}
		return aws.ToString(d.DBInstanceStatus), false, nil
	})
	return wrap(err, "waiting for RDS Cluster Instance (%s) delete", id)
}
