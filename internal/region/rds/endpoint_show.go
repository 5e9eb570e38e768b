package rds

import (
	"cmp"
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// endpoint is an endpoint as it is listed; answer is it as the other actions answer
// it.
type endpoint types.DBClusterEndpoint

func (e endpoint) answer() endpointAnswer {
	return endpointAnswer{
		CustomEndpointType: e.CustomEndpointType, DBClusterEndpointArn: e.DBClusterEndpointArn,
		DBClusterEndpointIdentifier: e.DBClusterEndpointIdentifier, DBClusterEndpointResourceIdentifier: e.DBClusterEndpointResourceIdentifier,
		DBClusterIdentifier: e.DBClusterIdentifier, Endpoint: e.Endpoint, EndpointType: e.EndpointType,
		ExcludedMembers: e.ExcludedMembers, StaticMembers: e.StaticMembers, Status: e.Status,
	}
}

// endpointAnswer is what all actions but Describe answer.
type endpointAnswer rds.CreateDBClusterEndpointOutput

// DescribeDBClusterEndpoints answers the endpoints of one cluster or of all, the
// built-in ones too. An endpoint that is not there is no error.
func (s *service) DescribeDBClusterEndpoints(ctx context.Context, in *rds.DescribeDBClusterEndpointsInput) (*rds.DescribeDBClusterEndpointsOutput, error) {
	c := scopeOf(ctx)
	only := ""
	if given := aws.ToString(in.DBClusterIdentifier); given != "" {
		item, err := s.cluster(c, given)
		if err != nil {
			return nil, err
		}
		only = item.Key
	}
	named := c.identifier("cluster-endpoint", aws.ToString(in.DBClusterEndpointIdentifier))
	var found []endpoint
	all := s.clusters.All()
	for i := range all {
		if !c.has(&all[i].Value.Meta) || only != "" && all[i].Key != only {
			continue
		}
		for _, e := range s.endpoints(c, &all[i].Value) {
			if named == "" || aws.ToString(e.DBClusterEndpointIdentifier) == named {
				found = append(found, e)
			}
		}
	}
	found, err := filtered(found, in.Filters, endpointFilters())
	if err != nil {
		return nil, err
	}
	page, marker, err := awswire.Page(found, in.Marker, in.MaxRecords, awswire.RDSPages(), func(e endpoint) string {
		return aws.ToString(e.DBClusterIdentifier) + "/" + aws.ToString(e.DBClusterEndpointIdentifier) + "/" + aws.ToString(e.EndpointType)
	})
	if err != nil {
		return nil, err
	}
	out := &rds.DescribeDBClusterEndpointsOutput{Marker: marker}
	for _, e := range page {
		out.DBClusterEndpoints = append(out.DBClusterEndpoints, types.DBClusterEndpoint(e))
	}
	return out, nil
}

// endpointFilters are the values that filters look at; types and statuses are
// written in lower case there.
func endpointFilters() map[string]func(endpoint) []string {
	either := func(value *string) []string {
		return []string{aws.ToString(value), strings.ToLower(aws.ToString(value))}
	}
	return map[string]func(endpoint) []string{
		"db-cluster-endpoint-type":        func(e endpoint) []string { return either(e.EndpointType) },
		"db-cluster-endpoint-custom-type": func(e endpoint) []string { return either(e.CustomEndpointType) },
		"db-cluster-endpoint-id":          func(e endpoint) []string { return []string{aws.ToString(e.DBClusterEndpointIdentifier)} },
		"db-cluster-endpoint-status":      func(e endpoint) []string { return either(e.Status) },
	}
}

// endpoints are all of a cluster's.
func (s *service) endpoints(c scope, v *aurora.DBCluster) []endpoint {
	built := func(kind, name string, at aurora.Address) endpoint {
		return endpoint{DBClusterIdentifier: &v.Spec.Identifier, EndpointType: &kind, Endpoint: hostOf(name, at), Status: endpointStatus(v, at)}
	}
	all := []endpoint{
		built(aurora.EndpointTypeWriter, s.config.Names.Writer(v), v.Status.WriterEndpoint),
		built(aurora.EndpointTypeReader, s.config.Names.Reader(v), v.Status.ReaderEndpoint),
	}
	for i := range v.Spec.CustomEndpoints {
		all = append(all, s.showEndpoint(c, v, &v.Spec.CustomEndpoints[i]))
	}
	return all
}

func (s *service) showEndpoint(c scope, v *aurora.DBCluster, e *aurora.CustomEndpoint) endpoint {
	at := v.CustomAddress(e.ResourceID)
	return endpoint{
		DBClusterEndpointIdentifier: &e.Identifier, DBClusterEndpointResourceIdentifier: &e.ResourceID,
		DBClusterEndpointArn: aws.String(c.arn("cluster-endpoint", e.Identifier)), DBClusterIdentifier: &v.Spec.Identifier,
		EndpointType: aws.String("CUSTOM"), CustomEndpointType: &e.Type,
		StaticMembers: s.memberNames(e.StaticMembers), ExcludedMembers: s.memberNames(e.ExcludedMembers),
		Endpoint: hostOf(s.config.Names.Custom(v, e), at), Status: endpointStatus(v, at),
	}
}

// memberNames are the identifiers of those instances that are still there.
func (s *service) memberNames(ids []string) []string {
	var names []string
	for _, id := range ids {
		if item, ok := s.instances.Get(id); ok {
			names = append(names, item.Value.Spec.Identifier)
		}
	}
	return names
}

// hostOf is where clients find an endpoint: its name, if it has one, or its address.
// It is nil until the endpoint is there.
func hostOf(name string, at aurora.Address) *string {
	if at.Host == "" {
		return nil
	}
	return aws.String(cmp.Or(name, at.Host))
}

func endpointStatus(v *aurora.DBCluster, at aurora.Address) *string {
	switch {
	case at.Host == "":
		return aws.String("creating")
	case v.Spec.Stopped != nil:
		return aws.String("inactive")
	}
	return aws.String("available")
}
