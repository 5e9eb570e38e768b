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

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/aurora/parameter"
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
	for _, minor := range minors {
		version := fmt.Sprintf("15.%d", minor)
		asked := aws.ToString(in.EngineVersion)
		if asked != "" && asked != version && asked != "15" || aws.ToBool(in.DefaultOnly) && version != defaultVersion {
			continue
		}
		found = append(found, version)
	}
	if e, family := aws.ToString(in.Engine), aws.ToString(in.DBParameterGroupFamily); e != "" && e != engine || family != "" && family != parameter.Family {
		found = nil
	}
	found, err := filtered(found, in.Filters, versionFilters)
	if err != nil {
		return nil, err
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

func always(value string) func(string) []string {
	return func(string) []string { return []string{value} }
}

var versionFilters = map[string]func(string) []string{
	"db-parameter-group-family": always(parameter.Family),
	"engine":                    always(engine),
	"engine-mode":               always("provisioned"),
	"engine-version":            func(version string) []string { return []string{version} },
	"status":                    always("available"),
}

func showVersion(version string) types.DBEngineVersion {
	v := types.DBEngineVersion{
		Engine: aws.String(engine), EngineVersion: aws.String(version), MajorEngineVersion: aws.String("15"),
		DBParameterGroupFamily: aws.String(parameter.Family), Status: aws.String("available"),
		DBEngineDescription: aws.String("Aurora PostgreSQL"), DBEngineVersionDescription: aws.String("Aurora PostgreSQL (Compatible with PostgreSQL " + version + ")"),
		SupportedEngineModes: []string{"provisioned"}, ExportableLogTypes: logExports,
		SupportsReadReplica: aws.Bool(true), SupportsGlobalDatabases: aws.Bool(false), SupportsLogExportsToCloudwatchLogs: aws.Bool(false),
		SupportsBabelfish: aws.Bool(false), SupportsIntegrations: aws.Bool(false), SupportsLimitlessDatabase: aws.Bool(false),
		SupportsLocalWriteForwarding: aws.Bool(false), SupportsParallelQuery: aws.Bool(false),
		SupportedCACertificateIdentifiers: []string{caIdentifier},
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

// DescribeOrderableDBInstanceOptions answers the classes of each version.
func (s *service) DescribeOrderableDBInstanceOptions(ctx context.Context, in *rds.DescribeOrderableDBInstanceOptionsInput) (*rds.DescribeOrderableDBInstanceOptionsOutput, error) {
	if err := checkEngine(aws.ToString(in.Engine)); err != nil {
		return nil, err
	}
	var zones []types.AvailabilityZone
	for _, z := range ec2.Zones(scopeOf(ctx).region) {
		zones = append(zones, types.AvailabilityZone{Name: aws.String(z.Name)})
	}
	if err := noFilters(in.Filters); err != nil {
		return nil, err
	}
	var found []types.OrderableDBInstanceOption
	if license := aws.ToString(in.LicenseModel); license != "" && license != licenseModel || in.Vpc != nil && !*in.Vpc ||
		in.AvailabilityZoneGroup != nil && *in.AvailabilityZoneGroup != scopeOf(ctx).region {
		return &rds.DescribeOrderableDBInstanceOptionsOutput{}, nil
	}
	for _, minor := range minors {
		version := fmt.Sprintf("15.%d", minor)
		if asked := aws.ToString(in.EngineVersion); asked != "" && asked != version && asked != "15" {
			continue
		}
		for _, class := range aurora.Classes() {
			if asked := aws.ToString(in.DBInstanceClass); asked != "" && asked != class {
				continue
			}
			found = append(found, types.OrderableDBInstanceOption{
				Engine: aws.String(engine), EngineVersion: aws.String(version), DBInstanceClass: aws.String(class),
				LicenseModel: aws.String(licenseModel), AvailabilityZones: zones, Vpc: aws.Bool(true), StorageType: aws.String("aurora"),
				SupportedEngineModes: []string{"provisioned"}, SupportedNetworkTypes: []string{"IPV4"}, SupportsClusters: aws.Bool(true),
				SupportsStorageEncryption: aws.Bool(true), MultiAZCapable: aws.Bool(false), ReadReplicaCapable: aws.Bool(false),
				SupportsEnhancedMonitoring: aws.Bool(false), SupportsGlobalDatabases: aws.Bool(false), SupportsIAMDatabaseAuthentication: aws.Bool(true),
				SupportsIops: aws.Bool(false), SupportsKerberosAuthentication: aws.Bool(false), SupportsPerformanceInsights: aws.Bool(false),
				SupportsStorageAutoscaling: aws.Bool(false), OutpostCapable: aws.Bool(false),
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
