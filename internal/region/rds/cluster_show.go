package rds

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// DescribeDBClusters answers one cluster, or those that match the filters.
func (s *service) DescribeDBClusters(ctx context.Context, in *rds.DescribeDBClustersInput) (*rds.DescribeDBClustersOutput, error) {
	c := scopeOf(ctx)
	var found []*aurora.DBCluster
	if id := aws.ToString(in.DBClusterIdentifier); id != "" {
		item, err := s.cluster(c, id)
		if err != nil {
			return nil, err
		}
		found = append(found, &item.Value)
	} else {
		all := s.clusters.All()
		for i := range all {
			if c.has(&all[i].Value.Meta) {
				found = append(found, &all[i].Value)
			}
		}
	}
	found, err := filtered(found, in.Filters, c.clusterFilters())
	if err != nil {
		return nil, err
	}
	page, marker, err := awswire.Page(found, in.Marker, in.MaxRecords, awswire.RDSPages(), func(v *aurora.DBCluster) string { return v.Spec.Identifier })
	if err != nil {
		return nil, err
	}
	out := &rds.DescribeDBClustersOutput{Marker: marker, DBClusters: make([]types.DBCluster, len(page))}
	for i, cluster := range page {
		s.fillCluster(c, &out.DBClusters[i], cluster, s.membersOf(cluster.ResourceID))
	}
	return out, nil
}

// clusterFilters are the values that filters look at.
func (c scope) clusterFilters() map[string]func(*aurora.DBCluster) []string {
	return map[string]func(*aurora.DBCluster) []string{
		"db-cluster-id": func(v *aurora.DBCluster) []string {
			return []string{v.Spec.Identifier, c.arn("cluster", v.Spec.Identifier)}
		},
		"db-cluster-resource-id": func(v *aurora.DBCluster) []string { return []string{v.ResourceID} },
		"engine":                 func(v *aurora.DBCluster) []string { return []string{v.Spec.Engine} },
	}
}

// clusterStatus is the status that AWS would show.
func clusterStatus(v *aurora.DBCluster) string {
	switch {
	case v.DeleteRequested:
		return aurora.ClusterStatusDeleting
	case v.Status.Status == "":
		return aurora.ClusterStatusCreating
	case v.Spec.Stopped != nil && v.Status.Status != aurora.ClusterStatusStopped:
		return aurora.ClusterStatusStopping
	case v.Spec.Stopped == nil && (v.Status.Status == aurora.ClusterStatusStopped || v.Status.Status == aurora.ClusterStatusStopping):
		return aurora.ClusterStatusStarting
	case v.Status.Status == aurora.ClusterStatusAvailable && v.Status.FailoverGeneration != v.Spec.Failover.Generation:
		return aurora.ClusterStatusFailingOver
	case v.Status.Status == aurora.ClusterStatusAvailable && v.Status.ObservedGeneration != v.Generation:
		return aurora.ClusterStatusModifying
	}
	return v.Status.Status
}

func (s *service) showCluster(c scope, v *aurora.DBCluster) *types.DBCluster {
	out := new(types.DBCluster)
	s.fillCluster(c, out, v, s.membersOf(v.ResourceID))
	return out
}

// fillCluster shows a cluster. What it sets may point into v: read only.
func (s *service) fillCluster(c scope, out *types.DBCluster, v *aurora.DBCluster, members []*aurora.DBInstance) {
	spec := &v.Spec
	*out = types.DBCluster{
		DBClusterArn: aws.String(c.arn("cluster", spec.Identifier)), DBClusterIdentifier: &spec.Identifier,
		DbClusterResourceId: &v.ResourceID, Status: aws.String(clusterStatus(v)), ClusterCreateTime: &v.CreateTime,
		Engine: &spec.Engine, EngineMode: &spec.EngineMode, EngineVersion: &spec.EngineVersion,
		EngineLifecycleSupport: aws.String(lifecycleSupport),
		MasterUsername:         &spec.MasterUsername, AllocatedStorage: aws.Int32(1),
		AvailabilityZones: spec.AvailabilityZones, DBSubnetGroup: &spec.DBSubnetGroupName,
		DBClusterParameterGroup: &spec.ParameterGroupName, NetworkType: &spec.NetworkType,
		BackupRetentionPeriod: aws.Int32(int32(spec.BackupRetentionPeriod)), PreferredBackupWindow: &spec.PreferredBackupWindow,
		PreferredMaintenanceWindow: &spec.PreferredMaintenanceWindow,
		StorageEncrypted:           &spec.StorageEncrypted, DeletionProtection: &spec.DeletionProtection,
		CopyTagsToSnapshot: &spec.CopyTagsToSnapshot, HttpEndpointEnabled: &spec.HTTPEndpoint,
		IAMDatabaseAuthenticationEnabled: &spec.IAMDatabaseAuth, MultiAZ: aws.Bool(false), CrossAccountClone: aws.Bool(false),
		AutoMinorVersionUpgrade: aws.Bool(true), ActivityStreamStatus: types.ActivityStreamStatusStopped,
		HostedZoneId: aws.String(hostedZoneID), EnabledCloudwatchLogsExports: spec.CloudwatchLogExports, TagList: showTags(v.Tags),
		DatabaseName: optional(spec.DatabaseName), KmsKeyId: optional(spec.KmsKeyID),
		MonitoringInterval: aws.Int32(int32(spec.MonitoringInterval)), MonitoringRoleArn: optional(spec.MonitoringRoleArn),
		PerformanceInsightsEnabled:  &spec.PerformanceInsightsEnabled,
		PerformanceInsightsKMSKeyId: optional(spec.PerformanceInsightsKMSKeyID),
	}
	if of, ok := s.backedUp(v.ResourceID); ok {
		if earliest, latest, ok := of.window(); ok {
			out.EarliestRestorableTime, out.LatestRestorableTime = &earliest, &latest
		}
	}
	out.AssociatedRoles = showRoles(v)
	out.MasterUserSecret = s.showMasterSecret(v)
	if spec.Stopped != nil {
		out.AutomaticRestartTime = aws.Time(spec.Stopped.Add(aurora.MaxStop))
	}
	out.PendingModifiedValues = showClusterChanges(spec)
	if spec.PerformanceInsightsRetention > 0 {
		out.PerformanceInsightsRetentionPeriod = aws.Int32(int32(spec.PerformanceInsightsRetention))
	}
	if spec.EngineLifecycleSupport != "" {
		out.EngineLifecycleSupport = &spec.EngineLifecycleSupport
	}
	if spec.StorageType == "aurora-iopt1" {
		out.StorageType = &spec.StorageType
	}
	if sc := spec.ServerlessV2; sc != nil {
		out.ServerlessV2ScalingConfiguration = &types.ServerlessV2ScalingConfigurationInfo{MinCapacity: &sc.MinCapacity, MaxCapacity: &sc.MaxCapacity}
	}
	out.Port = aws.Int32(int32(spec.Port))
	if host := v.Status.WriterEndpoint; host.Host != "" {
		out.Endpoint, out.Port = hostOf(s.config.Names.Writer(v), host), aws.Int32(int32(host.Port))
	} else if spec.Port == 0 {
		out.Port = aws.Int32(defaultPort)
	}
	out.ReaderEndpoint = hostOf(s.config.Names.Reader(v), v.Status.ReaderEndpoint)
	for _, id := range spec.VpcSecurityGroupIDs {
		out.VpcSecurityGroups = append(out.VpcSecurityGroups, types.VpcSecurityGroupMembership{VpcSecurityGroupId: aws.String(id), Status: aws.String("active")})
	}
	for i := range spec.CustomEndpoints {
		e := &spec.CustomEndpoints[i]
		if host := hostOf(s.config.Names.Custom(v, e), v.CustomAddress(e.ResourceID)); host != nil {
			out.CustomEndpoints = append(out.CustomEndpoints, *host)
		}
	}
	out.DBClusterMembers = make([]types.DBClusterMember, 0, len(members))
	for _, m := range members {
		parameters, _ := s.applyStatuses(v, m)
		out.DBClusterMembers = append(out.DBClusterMembers, types.DBClusterMember{
			DBInstanceIdentifier: &m.Spec.Identifier, IsClusterWriter: aws.Bool(m.ResourceID == v.Status.Writer),
			DBClusterParameterGroupStatus: &parameters, PromotionTier: aws.Int32(int32(m.Spec.PromotionTier)),
		})
	}
}

const (
	defaultPort  = 5432
	hostedZoneID = "Z1DAYBREAKREGION"
)

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
