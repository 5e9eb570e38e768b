package rds_test

import (
	"testing"

	api "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
)

func TestCopiesOfTheLogAreChosenByATagAtCreation(t *testing.T) {
	r := start(t)
	in := clusterInput("one")
	in.Tags = []types.Tag{{Key: str("daybreak:log-copies"), Value: str("4")}}
	for _, n := range []string{"", "0", "2", "4", "06", "six"} {
		in.Tags[0].Value = &n
		_, err := r.CreateDBCluster(t.Context(), in)
		wantCode(t, n+" copies", err, "InvalidParameterValue")
	}
	in.Tags[0].Value = str("3")
	if _, err := r.CreateDBCluster(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if n := r.stored(t, "one").Spec.LogCopies; n != 3 {
		t.Errorf("%d copies", n)
	}
	arn := r.cluster(t, "one").DBClusterArn
	_, err := r.AddTagsToResource(t.Context(), &api.AddTagsToResourceInput{ResourceName: arn, Tags: []types.Tag{{Key: str("daybreak:log-copies"), Value: str("1")}}})
	wantCode(t, "another number", err, "InvalidParameterValue")
	_, err = r.RemoveTagsFromResource(t.Context(), &api.RemoveTagsFromResourceInput{ResourceName: arn, TagKeys: []string{"daybreak:log-copies"}})
	wantCode(t, "no number", err, "InvalidParameterValue")
	r.create(t, "two")
	arn = r.cluster(t, "two").DBClusterArn
	_, err = r.AddTagsToResource(t.Context(), &api.AddTagsToResourceInput{ResourceName: arn, Tags: []types.Tag{{Key: str("daybreak:log-copies"), Value: str("1")}}})
	wantCode(t, "a number for a cluster that has the default", err, "InvalidParameterValue")
	if n := r.stored(t, "two").Spec.LogCopies; n != 0 {
		t.Errorf("%d copies, want the default", n)
	}
}
