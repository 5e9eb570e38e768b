package endpoint

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/daybreakdb/daybreak/internal/aurora"
)

func TestSecurityGroupRules(t *testing.T) {
	loopbackAs := netip.MustParseAddr("172.31.255.254")
	tcp := func(from, to int, cidr string) aurora.SecurityGroupRule {
		return aurora.SecurityGroupRule{Protocol: "tcp", FromPort: from, ToPort: to, CIDR: cidr}
	}
	cases := map[string]struct {
		rule   aurora.SecurityGroupRule
		client string
		want   bool
	}{
		"address in range":               {tcp(5432, 5432, "203.0.113.0/24"), "203.0.113.9", true},
		"address out of range":           {tcp(5432, 5432, "203.0.113.0/24"), "203.0.114.9", false},
		"another port":                   {tcp(5433, 5500, "203.0.113.0/24"), "203.0.113.9", false},
		"port in range":                  {tcp(5000, 6000, "203.0.113.0/24"), "203.0.113.9", true},
		"all ports":                      {tcp(-1, -1, "203.0.113.0/24"), "203.0.113.9", true},
		"all traffic":                    {aurora.SecurityGroupRule{Protocol: "-1", CIDR: "0.0.0.0/0"}, "203.0.113.9", true},
		"udp":                            {aurora.SecurityGroupRule{Protocol: "udp", FromPort: 0, ToPort: 65535, CIDR: "0.0.0.0/0"}, "203.0.113.9", false},
		"IPv6":                           {tcp(5432, 5432, "2001:db8::/32"), "2001:db8::1", true},
		"IPv4 rule for IPv6 client":      {tcp(5432, 5432, "0.0.0.0/0"), "2001:db8::1", false},
		"mapped IPv4":                    {tcp(5432, 5432, "203.0.113.9/32"), "::ffff:203.0.113.9", true},
		"loopback counts as in the VPC":  {tcp(5432, 5432, "172.31.0.0/16"), "127.0.0.1", true},
		"loopback is not loopback":       {tcp(5432, 5432, "127.0.0.0/8"), "127.0.0.1", false},
		"IPv6 loopback too":              {tcp(5432, 5432, "172.31.0.0/16"), "::1", true},
		"loopback in the default group":  {aurora.SecurityGroupRule{Protocol: "-1", SourceGroupID: "sg-default"}, "127.0.0.1", true},
		"loopback in no other group":     {aurora.SecurityGroupRule{Protocol: "-1", SourceGroupID: "sg-1"}, "127.0.0.1", false},
		"others are members of no group": {aurora.SecurityGroupRule{Protocol: "-1", SourceGroupID: "sg-default"}, "203.0.113.9", false},
		"prefix list":                    {aurora.SecurityGroupRule{Protocol: "-1", PrefixListID: "pl-1"}, "203.0.113.9", false},
		"unreadable range":               {tcp(5432, 5432, "everything"), "203.0.113.9", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			groups := map[string]aurora.SecurityGroup{
				"sg-1":       {GroupID: "sg-1", VpcID: "vpc-1", Name: "db", Ingress: []aurora.SecurityGroupRule{tc.rule}},
				"sg-default": {GroupID: "sg-default", VpcID: "vpc-1", Name: "default"},
			}
			f := newFirewall([]string{"sg-1"}, groups)
			if got := f.Allows(newClient(netip.MustParseAddr(tc.client), loopbackAs), 5432); got != tc.want {
				t.Errorf("%s with %s: %v", tc.client, f.Describe(), got)
			}
		})
	}
}

func TestWithoutAGroupNobodyGetsInAndTheUnionOfGroupsCounts(t *testing.T) {
	client := Client{Addr: netip.MustParseAddr("203.0.113.9")}
	groups := map[string]aurora.SecurityGroup{"sg-open": openGroup(), "sg-empty": {GroupID: "sg-empty", VpcID: "vpc-1"}}
	if newFirewall(nil, groups).Allows(client, 5432) || newFirewall([]string{"sg-missing"}, groups).Allows(client, 5432) {
		t.Error("allowed without a rule")
	}
	both := newFirewall([]string{"sg-empty", "sg-open"}, groups)
	if !both.Allows(client, 5432) {
		t.Error("refused although one group allows it")
	}
	for _, part := range []string{"sg-empty (no ingress rules)", "sg-open (tcp 0-65535 from 0.0.0.0/0)"} {
		if !strings.Contains(both.Describe(), part) {
			t.Errorf("%q does not contain %q", both.Describe(), part)
		}
	}
}
