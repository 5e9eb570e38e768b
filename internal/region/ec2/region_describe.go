package ec2

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// DescribeAvailabilityZones answers the three zones of the caller's region.
func (a *API) DescribeAvailabilityZones(ctx context.Context, in *api.DescribeAvailabilityZonesInput) (*api.DescribeAvailabilityZonesOutput, error) {
	region := awswire.IdentityFrom(ctx).Region
	zones := Zones(region)
	for _, name := range in.ZoneNames {
		if !slices.ContainsFunc(zones, func(z Zone) bool { return z.Name == name }) {
			return nil, awswire.InvalidParameterValue("Invalid availability zone: [%.60s]", name)
		}
	}
	for _, id := range in.ZoneIds {
		if !slices.ContainsFunc(zones, func(z Zone) bool { return z.ID == id }) {
			return nil, awswire.InvalidParameterValue("Invalid availability zone-id: [%.60s]", id)
		}
	}
	zones = slices.DeleteFunc(zones, func(z Zone) bool {
		return len(in.ZoneNames)+len(in.ZoneIds) > 0 && !slices.Contains(in.ZoneNames, z.Name) && !slices.Contains(in.ZoneIds, z.ID)
	})
	zones, err := filtered(zones, in.Filters, func(z Zone) attributes {
		return attributes{
			"zone-name": {z.Name}, "zone-id": {z.ID}, "region-name": {region}, "group-name": {region}, "state": {"available"},
			"zone-type": {"availability-zone"}, "opt-in-status": {"opt-in-not-required"}, "message": nil,
			"parent-zone-id": nil, "parent-zone-name": nil,
		}
	})
	out := &api.DescribeAvailabilityZonesOutput{}
	for _, z := range zones {
		out.AvailabilityZones = append(out.AvailabilityZones, types.AvailabilityZone{
			ZoneName: &z.Name, ZoneId: &z.ID, RegionName: &region, GroupName: &region, NetworkBorderGroup: &region,
			State: types.AvailabilityZoneStateAvailable, OptInStatus: types.AvailabilityZoneOptInStatusOptInNotRequired,
			ZoneType: aws.String("availability-zone"), Messages: []types.AvailabilityZoneMessage{},
		})
	}
	return out, err
}

// RegionNames are those that are listed. Every other one works too.
func RegionNames() []string {
	return []string{
		"ap-northeast-1", "ap-southeast-1", "ap-southeast-2", "eu-central-1", "eu-north-1", "eu-west-1",
		"us-east-1", "us-east-2", "us-west-1", "us-west-2",
	}
}

// DescribeRegions answers some regions of AWS and the caller's: any name is a
// region here.
func (a *API) DescribeRegions(ctx context.Context, in *api.DescribeRegionsInput) (*api.DescribeRegionsOutput, error) {
	names := in.RegionNames
	if len(names) == 0 {
		names = append(RegionNames(), awswire.IdentityFrom(ctx).Region)
	}
	slices.Sort(names)
	regions, err := filtered(slices.Compact(names), in.Filters, func(name string) attributes {
		return attributes{"region-name": {name}, "endpoint": {endpoint(name)}, "opt-in-status": {"opt-in-not-required"}}
	})
	out := &api.DescribeRegionsOutput{}
	for _, name := range regions {
		out.Regions = append(out.Regions, types.Region{
			RegionName: &name, Endpoint: aws.String(endpoint(name)), OptInStatus: aws.String("opt-in-not-required"),
		})
	}
	return out, err
}

func endpoint(region string) string { return "ec2." + region + ".amazonaws.com" }
