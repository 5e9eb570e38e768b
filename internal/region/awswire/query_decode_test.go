package awswire_test

import (
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

func TestListsAreReadWhateverTheirItemsAreCalled(t *testing.T) {
	s := awswire.RDS()
	awswire.RegisterClient(s, &rds.Client{}, all)
	decode := func(operation, form string) any {
		t.Helper()
		in, err := awswire.DecodeQuery(s, operation, []byte("Action="+operation+"&Version=2014-10-31&"+form))
		if err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		return in
	}
	cluster := func(form string) *rds.CreateDBClusterInput {
		return decode("CreateDBCluster", "DBClusterIdentifier=a&Engine=b&"+form).(*rds.CreateDBClusterInput)
	}
	for form, want := range map[string][]string{
		"":                               nil,
		"VpcSecurityGroupIds=":           {},
		"VpcSecurityGroupIds.member.1=x": {"x"},
		"VpcSecurityGroupIds.1=x":        {"x"},
		"VpcSecurityGroupIds.Any.2=y&VpcSecurityGroupIds.Any.1=x":    {"x", "y"},
		"VpcSecurityGroupIds.Any.10=y&VpcSecurityGroupIds.Any.9=x":   {"x", "y"},
		"VpcSecurityGroupIds.VpcSecurityGroupId.4000000000=x%26%3D+": {"x&= "},
	} {
		if got := cluster(form).VpcSecurityGroupIds; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, want %#v", form, got, want)
		}
	}
	if got := cluster("Tags.Tag.1.Key=k&Tags.Tag.1.Value=").Tags; len(got) != 1 || *got[0].Key != "k" || *got[0].Value != "" {
		t.Errorf("tags %+v", got)
	}
	got := cluster("ServerlessV2ScalingConfiguration.MinCapacity=0.5&DeletionProtection=true&EngineVersion=")
	want := &types.ServerlessV2ScalingConfiguration{MinCapacity: aws.Float64(0.5)}
	if !reflect.DeepEqual(got.ServerlessV2ScalingConfiguration, want) || !*got.DeletionProtection || *got.EngineVersion != "" || got.StorageEncrypted != nil {
		t.Errorf("input %+v", got)
	}
	for _, text := range []string{"2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z", "2026-01-02T04:04:05+01:00"} {
		in := decode("RestoreDBClusterToPointInTime", "DBClusterIdentifier=a&RestoreToTime="+url.QueryEscape(text)).(*rds.RestoreDBClusterToPointInTimeInput)
		if !in.RestoreToTime.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
			t.Errorf("%s: %v", text, in.RestoreToTime)
		}
	}
}

func TestAListWithAValueOfItsOwnIsRefused(t *testing.T) {
	s := awswire.EC2()
	awswire.RegisterClient(s, &ec2.Client{}, func(name string) bool { return name == "CreateTags" })
	for _, form := range []string{"ResourceId.x=vpc-1", "ResourceId=vpc-1", "ResourceId.1=a&ResourceId.x=b"} {
		in, err := awswire.DecodeQuery(s, "CreateTags", []byte("Action=CreateTags&Version=2016-11-15&Tag.1.Key=k&"+form))
		if e, ok := err.(*awswire.Error); !ok || e.Status != 400 {
			t.Errorf("%s: %+v, %v", form, in, err)
		}
	}
}
