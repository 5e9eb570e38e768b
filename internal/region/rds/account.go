package rds

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
)

// DescribeAccountAttributes answers the quotas that this region has.
func (s *service) DescribeAccountAttributes(ctx context.Context, _ *rds.DescribeAccountAttributesInput) (*rds.DescribeAccountAttributesOutput, error) {
	c := scopeOf(ctx)
	used := map[string]int{}
	for _, item := range s.instances.All() {
		if c.has(&item.Value.Meta) {
			used["DBInstances"]++
		}
	}
	for _, item := range s.parameterGroups.All() {
		switch v := &item.Value; {
		case v.Account != c.account || v.Region != c.region:
		case v.Kind == clusterGroup:
			used["DBClusterParameterGroups"]++
		default:
			used["DBParameterGroups"]++
		}
	}
	out := &rds.DescribeAccountAttributesOutput{}
	for _, quota := range []struct {
		name string
		most int
	}{{"DBClusterParameterGroups", maxParameterGroups}, {"DBInstances", maxInstances}, {"DBParameterGroups", maxParameterGroups}} {
		out.AccountQuotas = append(out.AccountQuotas, types.AccountQuota{
			AccountQuotaName: aws.String(quota.name), Used: aws.Int64(int64(used[quota.name])), Max: aws.Int64(int64(quota.most)),
		})
	}
	return out, nil
}
