package rds

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// DescribeDBInstances answers one instance, or those that match the filters.
func (s *service) DescribeDBInstances(ctx context.Context, in *rds.DescribeDBInstancesInput) (*rds.DescribeDBInstancesOutput, error) {
	c := scopeOf(ctx)
	var found []*aurora.DBInstance
	if id := aws.ToString(in.DBInstanceIdentifier); id != "" {
		item, err := s.instance(c, id)
		if err != nil {
			return nil, err
		}
		found = append(found, &item.Value)
	} else {
		all := s.instances.All()
		for i := range all {
			if c.has(&all[i].Value.Meta) {
				found = append(found, &all[i].Value)
			}
		}
	}
	found, err := filtered(found, in.Filters, c.instanceFilters())
	if err != nil {
		return nil, err
	}
	page, marker, err := awswire.Page(found, in.Marker, in.MaxRecords, awswire.RDSPages(), func(v *aurora.DBInstance) string { return v.Spec.Identifier })
	if err != nil {
		return nil, err
	}
	out := &rds.DescribeDBInstancesOutput{Marker: marker, DBInstances: make([]types.DBInstance, 0, len(page))}
	for _, instance := range page {
		out.DBInstances = append(out.DBInstances, *s.showInstance(c, instance))
	}
	return out, nil
}

// instanceFilters are the values that filters look at.
func (c scope) instanceFilters() map[string]func(*aurora.DBInstance) []string {
	return map[string]func(*aurora.DBInstance) []string{
		"db-cluster-id": func(v *aurora.DBInstance) []string {
			return []string{v.Spec.ClusterIdentifier, c.arn("cluster", v.Spec.ClusterIdentifier)}
		},
		"db-instance-id": func(v *aurora.DBInstance) []string {
			return []string{v.Spec.Identifier, c.arn("db", v.Spec.Identifier)}
		},
		"dbi-resource-id": func(v *aurora.DBInstance) []string { return []string{v.ResourceID} },
		"engine":          func(v *aurora.DBInstance) []string { return []string{v.Spec.Engine} },
	}
}

// instanceStatus is the status that AWS would show.
func instanceStatus(v *aurora.DBInstance) string {
	switch {
	case v.DeleteRequested:
		return aurora.InstanceStatusDeleting
	case v.Status.Status == "":
		return aurora.InstanceStatusCreating
	case v.Status.Status == aurora.InstanceStatusAvailable && v.Spec.RestartGeneration != v.Server.RestartGeneration:
		return aurora.InstanceStatusRebooting
	case v.Status.Status == aurora.InstanceStatusAvailable && v.Status.ObservedGeneration != v.Generation:
		return aurora.InstanceStatusModifying
	}
	return v.Status.Status
}

func (s *service) showInstance(c scope, v *aurora.DBInstance) *types.DBInstance {
	spec := &v.Spec
	out := &types.DBInstance{
		DBInstanceArn: aws.String(c.arn("db", spec.Identifier)), DBInstanceIdentifier: &spec.Identifier, DbiResourceId: &v.ResourceID,
		DBClusterIdentifier: &spec.ClusterIdentifier, DBInstanceClass: &spec.Class, DBInstanceStatus: aws.String(instanceStatus(v)),
		Engine: &spec.Engine, InstanceCreateTime: &v.CreateTime, AllocatedStorage: aws.Int32(1), StorageType: aws.String("aurora"),
		PromotionTier: aws.Int32(int32(spec.PromotionTier)), PubliclyAccessible: &spec.PubliclyAccessible, MultiAZ: aws.Bool(false),
		AutoMinorVersionUpgrade: &spec.AutoMinorVersionUpgrade, CopyTagsToSnapshot: &spec.CopyTagsToSnapshot,
		CACertificateIdentifier: &spec.CACertificateIdentifier, LicenseModel: aws.String(licenseModel),
		PreferredBackupWindow: &spec.PreferredBackupWindow, PreferredMaintenanceWindow: &spec.PreferredMaintenanceWindow,
		MonitoringInterval: aws.Int32(int32(spec.MonitoringInterval)), MonitoringRoleArn: optional(spec.MonitoringRoleArn),
		PerformanceInsightsEnabled: &spec.PerformanceInsightsEnabled, PerformanceInsightsKMSKeyId: optional(spec.PerformanceInsightsKMSKeyID),
		NetworkType: aws.String("IPV4"), IAMDatabaseAuthenticationEnabled: aws.Bool(false), DeletionProtection: aws.Bool(false),
		CustomerOwnedIpEnabled: aws.Bool(false), TagList: showTags(v.Tags),
		AvailabilityZone: optional(v.Status.AvailabilityZone),
		DBParameterGroups: []types.DBParameterGroupStatus{{
			DBParameterGroupName: &spec.ParameterGroupName, ParameterApplyStatus: aws.String(applyInSync),
		}},
	}
	out.PendingModifiedValues = showInstanceChanges(spec)
	if spec.PerformanceInsightsRetention > 0 {
		out.PerformanceInsightsRetentionPeriod = aws.Int32(int32(spec.PerformanceInsightsRetention))
	}
	if e := v.Status.Endpoint; e.Host != "" {
		out.Endpoint = &types.Endpoint{Address: hostOf(s.config.Names.Instance(v), e), Port: aws.Int32(int32(e.Port)), HostedZoneId: aws.String(hostedZoneID)}
	}
	if item, ok := s.clusters.Get(spec.ClusterResourceID); ok {
		s.showFromCluster(c, out, &item.Value)
		_, own := s.applyStatuses(&item.Value, v)
		out.DBParameterGroups[0].ParameterApplyStatus = &own
		out.StatusInfos = serverInfos(v, &item.Value)
	}
	return out
}

// Whether an instance has what its parameter groups set.
const (
	applyInSync   = "in-sync"
	applyGoesOn   = "applying"
	applyAtReboot = "pending-reboot"
)

// applyStatuses are those of the cluster's parameter group and of the instance's own.
func (s *service) applyStatuses(cluster *aurora.DBCluster, in *aurora.DBInstance) (ofCluster, own string) {
	groups := s.groupsOf(cluster, in.Spec.ParameterGroupName)
	clusterWaits, ownWaits := groups.waits(in)
	status := func(waits, behind bool) string {
		switch {
		case behind || in.Server.Phase != aurora.PhaseNone && in.Server.ParameterGeneration != in.Spec.ParameterGeneration:
			return applyGoesOn
		case waits:
			return applyAtReboot
		}
		return applyInSync
	}
	spec := &in.Spec
	return status(clusterWaits, spec.ClusterGroupName != groups.cluster.Name || spec.ClusterGroupRevision != groups.cluster.Revision),
		status(ownWaits, spec.GroupRevision != groups.own.Revision)
}

// showFromCluster sets what an instance has from its cluster.
func (s *service) showFromCluster(c scope, out *types.DBInstance, cluster *aurora.DBCluster) {
	spec := &cluster.Spec
	out.EngineVersion = &spec.EngineVersion
	out.PreferredBackupWindow = &spec.PreferredBackupWindow
	out.MasterUsername = &spec.MasterUsername
	out.DBName = optional(spec.DatabaseName)
	out.StorageEncrypted, out.KmsKeyId = &spec.StorageEncrypted, optional(spec.KmsKeyID)
	out.BackupRetentionPeriod = aws.Int32(int32(spec.BackupRetentionPeriod))
	out.EnabledCloudwatchLogsExports = spec.CloudwatchLogExports
	for _, id := range spec.VpcSecurityGroupIDs {
		out.VpcSecurityGroups = append(out.VpcSecurityGroups, types.VpcSecurityGroupMembership{VpcSecurityGroupId: aws.String(id), Status: aws.String("active")})
	}
	if group, err := s.subnetGroup(c, spec.DBSubnetGroupName); err == nil {
		out.DBSubnetGroup = c.showSubnetGroup(group)
	}
}
