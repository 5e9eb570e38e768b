package aws

import (
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/daybreakdb/daybreak/internal/provider/plugin"
)

func TestRulesStayGroupedAsConfigured(t *testing.T) {
	g := &types.SecurityGroup{GroupId: aws.String("sg-1"), OwnerId: aws.String("1")}
	there := []types.IpPermission{{
		IpProtocol: aws.String("tcp"), FromPort: aws.Int32(5432), ToPort: aws.Int32(5432),
		IpRanges:         []types.IpRange{{CidrIp: aws.String("10.0.0.0/8")}, {CidrIp: aws.String("127.0.0.0/8")}, {CidrIp: aws.String("192.168.0.0/16")}},
		UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: aws.String("sg-1"), UserId: aws.String("1")}, {GroupId: aws.String("sg-2"), UserId: aws.String("2")}},
	}}
	rule := func(cidrs, groups []any, self bool) plugin.Object {
		return plugin.Object{
			"protocol": "tcp", "from_port": 5432.0, "to_port": 5432.0, "description": "", "cidr_blocks": cidrs,
			"ipv6_cidr_blocks": []any{}, "prefix_list_ids": []any{}, "security_groups": groups, "self": self,
		}
	}
	first, second, gone := rule([]any{"127.0.0.0/8"}, []any{}, false), rule([]any{"10.0.0.0/8"}, []any{}, true), rule([]any{"172.16.0.0/12"}, []any{}, false)
	got := readRules(g, there, []plugin.Object{first, gone, second})
	want := []any{first, second, rule([]any{"192.168.0.0/16"}, []any{"2/sg-2"}, false)}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v\nwant\n%v", got, want)
	}
}

func TestGeneratedNamesTellTheirPrefix(t *testing.T) {
	var n names
	first := n.choose(plugin.Object{"p": "mine-"}, "n", "p", "tf-")
	second := n.choose(plugin.Object{}, "n", "p", "tf-")
	if prefixOf(first) != "mine-" || prefixOf(second) != "tf-" || first[5:] == second[3:] {
		t.Errorf("%s, %s", first, second)
	}
	if chosen := n.choose(plugin.Object{"n": "chosen"}, "n", "p", "tf-"); chosen != "chosen" || prefixOf(chosen) != "" {
		t.Error(chosen)
	}
}
