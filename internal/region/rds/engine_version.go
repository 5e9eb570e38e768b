package rds

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/ec2"
)

// versionNumber orders versions of one major.
func versionNumber(version string) int {
	_, minor, _ := strings.Cut(version, ".")
	n, _ := strconv.Atoi(minor)
	return n
}

func globalClusterNotFound(id string) error {
	return awswire.Errorf(404, "GlobalClusterNotFoundFault", "Global cluster %s not found. There are no global clusters in this region yet.", id)
}

// DescribeGlobalClusters answers none: there are no global clusters here.
func (s *service) DescribeGlobalClusters(_ context.Context, in *rds.DescribeGlobalClustersInput) (*rds.DescribeGlobalClustersOutput, error) {
	if in.GlobalClusterIdentifier != nil {
		return nil, globalClusterNotFound(*in.GlobalClusterIdentifier)
	}
	return &rds.DescribeGlobalClustersOutput{}, nil
}

// DescribeDBEngineVersions answers the versions that can be asked for.
func (s *service) DescribeDBEngineVersions(_ context.Context, in *rds.DescribeDBEngineVersionsInput) (*rds.DescribeDBEngineVersionsOutput, error) {
	var found []string
	if in.Engine == nil || *in.Engine == engine {
		for _, minor := range minors {
			version := fmt.Sprintf("15.%d", minor)
			asked := aws.ToString(in.EngineVersion)
			if asked != "" && asked != version && asked != "15" {
				continue
			}
			if aws.ToBool(in.DefaultOnly) && version != defaultVersion {
				continue
			}
			found = append(found, version)
		}
	}
	if family := aws.ToString(in.DBParameterGroupFamily); family != "" && family != "aurora-postgresql15" {
		found = nil
	}
	page, marker, err := awswire.Page(found, in.Marker, in.MaxRecords, awswire.RDSPages(), func(v string) string { return fmt.Sprintf("%06d", versionNumber(v)) })
	if err != nil {
		return nil, err
	}
	out := &rds.DescribeDBEngineVersionsOutput{Marker: marker}
	for _, version := range page {
		out.DBEngineVersions = append(out.DBEngineVersions, showVersion(version))
	}
	return out, nil
}

func showVersion(version string) types.DBEngineVersion {
	v := types.DBEngineVersion{
		Engine: aws.String(engine), EngineVersion: aws.String(version), MajorEngineVersion: aws.String("15"),
		DBParameterGroupFamily: aws.String("aurora-postgresql15"), Status: aws.String("available"),
		DBEngineDescription: aws.String("Aurora PostgreSQL"), DBEngineVersionDescription: aws.String("Aurora PostgreSQL (Compatible with PostgreSQL " + version + ")"),
		SupportedEngineModes: []string{"provisioned"}, ExportableLogTypes: []string{"postgresql"},
		SupportsReadReplica: aws.Bool(true), SupportsGlobalDatabases: aws.Bool(false), SupportsLogExportsToCloudwatchLogs: aws.Bool(false),
	}
	for _, minor := range minors {
		if minor > versionNumber(version) {
			v.ValidUpgradeTarget = append(v.ValidUpgradeTarget, types.UpgradeTarget{
				Engine: aws.String(engine), EngineVersion: aws.String(fmt.Sprintf("15.%d", minor)),
				AutoUpgrade: aws.Bool(false), IsMajorVersionUpgrade: aws.Bool(false),
			})
		}
	}
	return v
}

// orderable are the classes that are listed; others of Aurora's shape are
// accepted too.
var orderable = []string{"db.r5.2xlarge", "db.r5.4xlarge", "db.r5.large", "db.r5.xlarge", "db.r6g.2xlarge", "db.r6g.4xlarge", "db.r6g.8xlarge",
	"db.r6g.large", "db.r6g.xlarge", "db.r6i.large", "db.r6i.xlarge", "db.r7g.2xlarge", "db.r7g.large", "db.r7g.xlarge", "db.r8g.large",
	"db.serverless", "db.t3.large", "db.t3.medium", "db.t4g.large", "db.t4g.medium", "db.x2g.large"}

// DescribeOrderableDBInstanceOptions answers the classes of each version.
func (s *service) DescribeOrderableDBInstanceOptions(ctx context.Context, in *rds.DescribeOrderableDBInstanceOptionsInput) (*rds.DescribeOrderableDBInstanceOptionsOutput, error) {
	if err := checkEngine(aws.ToString(in.Engine)); err != nil {
		return nil, err
	}
	var zones []types.AvailabilityZone
	for _, z := range ec2.Zones(scopeOf(ctx).region) {
		zones = append(zones, types.AvailabilityZone{Name: aws.String(z.Name)})
	}
	var found []types.OrderableDBInstanceOption
	for _, minor := range minors {
		version := fmt.Sprintf("15.%d", minor)
		if asked := aws.ToString(in.EngineVersion); asked != "" && asked != version {
			continue
		}
		for _, class := range orderable {
			if asked := aws.ToString(in.DBInstanceClass); asked != "" && asked != class {
				continue
			}
			found = append(found, types.OrderableDBInstanceOption{
				Engine: aws.String(engine), EngineVersion: aws.String(version), DBInstanceClass: aws.String(class),
				LicenseModel: aws.String("postgresql-license"), AvailabilityZones: zones, Vpc: aws.Bool(true), StorageType: aws.String("aurora"),
				SupportedEngineModes: []string{"provisioned"}, SupportedNetworkTypes: []string{"IPV4"}, SupportsClusters: aws.Bool(true),
				SupportsStorageEncryption: aws.Bool(true), MultiAZCapable: aws.Bool(false), ReadReplicaCapable: aws.Bool(false),
			})
		}
	}
	limits := awswire.RDSPages()
	limits.Max = 1000
	page, marker, err := awswire.Page(slices.Clone(found), in.Marker, in.MaxRecords, limits, func(o types.OrderableDBInstanceOption) string {
		return fmt.Sprintf("%06d/%s", versionNumber(*o.EngineVersion), *o.DBInstanceClass)
	})
	return &rds.DescribeOrderableDBInstanceOptionsOutput{OrderableDBInstanceOptions: page, Marker: marker}, err
}
