package rds_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
)

func (r region) endpoints(t testing.TB, in *api.DescribeDBClusterEndpointsInput) []types.DBClusterEndpoint {
	t.Helper()
	out, err := r.DescribeDBClusterEndpoints(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out.DBClusterEndpoints
}

func endpointInput(id string) *api.CreateDBClusterEndpointInput {
	return &api.CreateDBClusterEndpointInput{DBClusterIdentifier: aws.String("demo"), DBClusterEndpointIdentifier: &id, EndpointType: aws.String("READER")}
}

func TestCustomEndpointIsMadeChangedAndDeleted(t *testing.T) {
	r := available(t)
	if _, err := r.CreateDBInstance(t.Context(), instanceInput("demo", "r")); err != nil {
		t.Fatal(err)
	}
	in := endpointInput("Reports")
	in.StaticMembers, in.Tags = []string{"r"}, []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}
	made, err := r.CreateDBClusterEndpoint(t.Context(), in)
	if err != nil || *made.Status != "creating" || *made.DBClusterEndpointIdentifier != "reports" || !strings.HasPrefix(*made.DBClusterEndpointResourceIdentifier, "cluster-endpoint-") {
		t.Fatalf("%+v, %v", made, err)
	}
	byName := &api.DescribeDBClusterEndpointsInput{DBClusterEndpointIdentifier: aws.String("reports")}
	wait(t, "the endpoint is available", func() bool { return *r.endpoints(t, byName)[0].Status == "available" })
	e := r.endpoints(t, byName)[0]
	if *e.Endpoint != "reports.custom.test" || *e.EndpointType != "CUSTOM" || *e.CustomEndpointType != "READER" || !slices.Equal(e.StaticMembers, []string{"r"}) {
		t.Errorf("%+v", e)
	}
	if c := r.cluster(t, "demo"); !slices.Equal(c.CustomEndpoints, []string{"reports.custom.test"}) || *c.Status != "available" {
		t.Errorf("the cluster: %+v", c)
	}
	tags, err := r.ListTagsForResource(t.Context(), &api.ListTagsForResourceInput{ResourceName: e.DBClusterEndpointArn})
	if err != nil || len(tags.TagList) != 1 {
		t.Errorf("tags: %+v, %v", tags, err)
	}
	if _, err := r.AddTagsToResource(t.Context(), &api.AddTagsToResourceInput{ResourceName: e.DBClusterEndpointArn, Tags: []types.Tag{{Key: aws.String("c"), Value: aws.String("d")}}}); err != nil {
		t.Error(err)
	}

	// Terraform clears a list by sending it empty.
	changed, err := r.ModifyDBClusterEndpoint(t.Context(), &api.ModifyDBClusterEndpointInput{
		DBClusterEndpointIdentifier: aws.String("reports"), EndpointType: aws.String("ANY"), StaticMembers: []string{}, ExcludedMembers: []string{"w"},
	})
	if err != nil || *changed.CustomEndpointType != "ANY" || len(changed.StaticMembers) > 0 || !slices.Equal(changed.ExcludedMembers, []string{"w"}) {
		t.Fatalf("%+v, %v", changed, err)
	}
	if stored := r.stored(t, "demo").Spec.CustomEndpoints[0]; len(stored.Tags) != 2 || stored.Chooses(*r.instance(t, "w").DbiResourceId) || !stored.Chooses(*r.instance(t, "r").DbiResourceId) {
		t.Errorf("stored: %+v", stored)
	}
	gone, err := r.DeleteDBClusterEndpoint(t.Context(), &api.DeleteDBClusterEndpointInput{DBClusterEndpointIdentifier: aws.String("reports")})
	if err != nil || *gone.Status != "deleting" {
		t.Fatalf("%+v, %v", gone, err)
	}
	if left := r.endpoints(t, byName); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
	if _, err := r.CreateDBClusterEndpoint(t.Context(), endpointInput("reports")); err != nil {
		t.Errorf("its name is not free: %v", err)
	}
}

func TestEndpointsAreListedByTypeAndCluster(t *testing.T) {
	r := available(t)
	r.create(t, "other")
	if _, err := r.CreateDBClusterEndpoint(t.Context(), endpointInput("mine")); err != nil {
		t.Fatal(err)
	}
	filter := func(name, value string) []types.Filter {
		return []types.Filter{{Name: &name, Values: []string{value}}}
	}
	for _, c := range []struct {
		name string
		in   api.DescribeDBClusterEndpointsInput
		want int
	}{
		{"all", api.DescribeDBClusterEndpointsInput{}, 5},
		{"one cluster's", api.DescribeDBClusterEndpointsInput{DBClusterIdentifier: aws.String("demo")}, 3},
		{"writers", api.DescribeDBClusterEndpointsInput{Filters: filter("db-cluster-endpoint-type", "writer")}, 2},
		{"custom", api.DescribeDBClusterEndpointsInput{Filters: filter("db-cluster-endpoint-type", "custom")}, 1},
		{"custom for any", api.DescribeDBClusterEndpointsInput{Filters: filter("db-cluster-endpoint-custom-type", "any")}, 0},
		{"one that is not there", api.DescribeDBClusterEndpointsInput{DBClusterEndpointIdentifier: aws.String("none")}, 0},
	} {
		if got := r.endpoints(t, &c.in); len(got) != c.want {
			t.Errorf("%s: %d, want %d: %+v", c.name, len(got), c.want, got)
		}
	}
	_, err := r.DescribeDBClusterEndpoints(t.Context(), &api.DescribeDBClusterEndpointsInput{DBClusterIdentifier: aws.String("none")})
	wantCode(t, "of a cluster that is not there", err, "DBClusterNotFoundFault")
}

func TestEndpointsThatAreRefused(t *testing.T) {
	type in = api.CreateDBClusterEndpointInput
	r := available(t)
	r.create(t, "other", "elsewhere")
	if _, err := r.CreateDBClusterEndpoint(t.Context(), endpointInput("taken")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []refused[in]{
		{"a taken identifier", func(i *in) { i.DBClusterEndpointIdentifier = str("TAKEN") }, "DBClusterEndpointAlreadyExistsFault", "taken"},
		{"an identifier that is none", func(i *in) { i.DBClusterEndpointIdentifier = str("a--b") }, "InvalidParameterValue", "DBClusterEndpointIdentifier is not a valid identifier"},
		{"another type", func(i *in) { i.EndpointType = str("SOME") }, "InvalidParameterValue", "SOME"},
		{"a cluster that is not there", func(i *in) { i.DBClusterIdentifier = str("none") }, "DBClusterNotFoundFault", "none"},
		{"a member that is not there", func(i *in) { i.StaticMembers = []string{"none"} }, "DBInstanceNotFound", "none"},
		{"a member of another cluster", func(i *in) { i.ExcludedMembers = []string{"elsewhere"} }, "InvalidDBInstanceState", "not a member"},
		{"two lists", func(i *in) { i.StaticMembers, i.ExcludedMembers = []string{"w"}, []string{"w"} }, "InvalidParameterCombination", "not both"},
	} {
		given := endpointInput("new")
		c.change(given)
		_, err := r.CreateDBClusterEndpoint(t.Context(), given)
		if wantCode(t, c.name, err, c.code); err != nil && !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v, want %q", c.name, err, c.message)
		}
	}
	for i := range 4 {
		if _, err := r.CreateDBClusterEndpoint(t.Context(), endpointInput(fmt.Sprint("more", i))); err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.CreateDBClusterEndpoint(t.Context(), endpointInput("sixth"))
	wantCode(t, "a sixth one", err, "DBClusterEndpointQuotaExceededFault")
	_, err = r.ModifyDBClusterEndpoint(t.Context(), &api.ModifyDBClusterEndpointInput{DBClusterEndpointIdentifier: str("none")})
	wantCode(t, "modify what is not there", err, "DBClusterEndpointNotFoundFault")
	_, err = r.DeleteDBClusterEndpoint(t.Context(), &api.DeleteDBClusterEndpointInput{DBClusterEndpointIdentifier: str("none")})
	wantCode(t, "delete what is not there", err, "DBClusterEndpointNotFoundFault")
}
