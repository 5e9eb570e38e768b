package rds

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/ec2"
)

// What Aurora PostgreSQL answers to actions that are for other databases, and lists
// that are short here.

// StopDBInstance refuses: an instance stops with its cluster.
func (s *service) StopDBInstance(ctx context.Context, in *rds.StopDBInstanceInput) (*rds.StopDBInstanceOutput, error) {
	return nil, s.refuseMember(ctx, in.DBInstanceIdentifier, "stop", "StopDBCluster")
}

// StartDBInstance refuses: an instance starts with its cluster.
func (s *service) StartDBInstance(ctx context.Context, in *rds.StartDBInstanceInput) (*rds.StartDBInstanceOutput, error) {
	return nil, s.refuseMember(ctx, in.DBInstanceIdentifier, "start", "StartDBCluster")
}

func (s *service) refuseMember(ctx context.Context, given *string, what, instead string) error {
	item, err := s.instance(scopeOf(ctx), aws.ToString(given))
	if err != nil {
		return err
	}
	return awswire.BadRequestf("InvalidDBInstanceState", "Cannot %s DB instance %s because it is a member of DB cluster %s. Use %s.",
		what, item.Value.Spec.Identifier, item.Value.Spec.ClusterIdentifier, instead)
}

// RebootDBCluster refuses: it is for Multi-AZ DB clusters, and RebootDBInstance for
// those of Aurora.
func (s *service) RebootDBCluster(ctx context.Context, in *rds.RebootDBClusterInput) (*rds.RebootDBClusterOutput, error) {
	item, err := s.cluster(scopeOf(ctx), aws.ToString(in.DBClusterIdentifier))
	if err != nil {
		return nil, err
	}
	return nil, awswire.BadRequestf("InvalidDBClusterStateFault", "RebootDBCluster is not supported for DB cluster %s of engine %s. Use RebootDBInstance.", item.Value.Spec.Identifier, engine)
}

// PromoteReadReplicaDBCluster refuses: no cluster of this region is a replica of
// another one.
func (s *service) PromoteReadReplicaDBCluster(ctx context.Context, in *rds.PromoteReadReplicaDBClusterInput) (*rds.PromoteReadReplicaDBClusterOutput, error) {
	item, err := s.cluster(scopeOf(ctx), aws.ToString(in.DBClusterIdentifier))
	if err != nil {
		return nil, err
	}
	return nil, awswire.BadRequestf("InvalidDBClusterStateFault", "DB cluster %s is not a read replica.", item.Value.Spec.Identifier)
}

// DescribeValidDBInstanceModifications answers that an instance has no storage of its
// own and no processor features that could be changed.
func (s *service) DescribeValidDBInstanceModifications(ctx context.Context, in *rds.DescribeValidDBInstanceModificationsInput) (*rds.DescribeValidDBInstanceModificationsOutput, error) {
	if _, err := s.instance(scopeOf(ctx), aws.ToString(in.DBInstanceIdentifier)); err != nil {
		return nil, err
	}
	return &rds.DescribeValidDBInstanceModificationsOutput{ValidDBInstanceModificationsMessage: &types.ValidDBInstanceModificationsMessage{
		Storage: []types.ValidStorageOptions{{StorageType: aws.String("aurora")}},
	}}, nil
}

// DescribeDBMajorEngineVersions answers the one major version that there is. It has
// no end of support to show.
func (s *service) DescribeDBMajorEngineVersions(_ context.Context, in *rds.DescribeDBMajorEngineVersionsInput) (*rds.DescribeDBMajorEngineVersionsOutput, error) {
	out := &rds.DescribeDBMajorEngineVersionsOutput{}
	if e, v := aws.ToString(in.Engine), aws.ToString(in.MajorEngineVersion); (e == "" || e == engine) && (v == "" || v == majorVersion) {
		out.DBMajorEngineVersions = []types.DBMajorEngineVersion{{Engine: aws.String(engine), MajorEngineVersion: aws.String(majorVersion)}}
	}
	return out, nil
}

const majorVersion = "15"

// DescribeSourceRegions answers the other regions that have names of their own.
func (s *service) DescribeSourceRegions(ctx context.Context, in *rds.DescribeSourceRegionsInput) (*rds.DescribeSourceRegionsOutput, error) {
	if err := noFilters(in.Filters); err != nil {
		return nil, err
	}
	var names []string
	for _, name := range ec2.RegionNames() {
		if name != scopeOf(ctx).region && (in.RegionName == nil || *in.RegionName == name) {
			names = append(names, name)
		}
	}
	page, marker, err := awswire.Page(names, in.Marker, in.MaxRecords, awswire.RDSPages(), func(v string) string { return v })
	out := &rds.DescribeSourceRegionsOutput{Marker: marker}
	for _, name := range page {
		out.SourceRegions = append(out.SourceRegions, types.SourceRegion{
			RegionName: aws.String(name), Status: aws.String("available"), SupportsDBInstanceAutomatedBackupsReplication: aws.Bool(false),
		})
	}
	return out, err
}
