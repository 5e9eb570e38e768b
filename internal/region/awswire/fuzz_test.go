package awswire_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rdsdata"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

func FuzzQueryDecoderRefusesOrDecodes(f *testing.F) {
	for _, seed := range []string{
		"Action=CreateDBCluster&Version=2014-10-31&DBClusterIdentifier=a&Engine=b&ServerlessV2ScalingConfiguration.MinCapacity=0.5",
		"Action=CreateDBCluster&Version=2014-10-31&VpcSecurityGroupIds=&Tags.Tag.1.Key=a&Tags.Tag.1.Value=b",
		"Action=CreateDBCluster&Version=2014-10-31&AvailabilityZones.AvailabilityZone.7=x&AvailabilityZones.member.1=y",
		"Action=CreateDBCluster&Version=2014-10-31&Tags.1.Key=%41&EncryptionContextMap.entry.1.key=k", "a.b.c=&=&..=1",
	} {
		f.Add(seed)
	}
	s := awswire.RDS()
	awswire.RegisterClient(s, &rds.Client{}, func(name string) bool { return name == "CreateDBCluster" })
	f.Fuzz(func(t *testing.T, form string) {
		in, err := awswire.DecodeQuery(s, "CreateDBCluster", []byte(form))
		if err != nil {
			if e, ok := err.(*awswire.Error); !ok || e.Status != 400 {
				t.Fatalf("error %v", err)
			}
			return
		}
		if got := in.(*rds.CreateDBClusterInput); aws.ToString(got.DBClusterIdentifier) == "" {
			t.Fatalf("no identifier in %+v", got)
		}
	})
}

func FuzzJSONDecoderRefusesOrDecodes(f *testing.F) {
	for _, seed := range []string{
		`{"KeyId":"a","Plaintext":"AAEC","EncryptionContext":{"k":"v"},"GrantTokens":["x"]}`,
		`{"KeyId":null}`, `{"KeyId":1}`, `[]`, `{"KeyId":"a","Plaintext":"!"} {}`, `{"KeyId":"\ud800","DryRun":"true"}`,
		`{"KeyId":"a","Plaintext":"","EncryptionContext":{"k":null},"GrantTokens":[[]]}`,
	} {
		f.Add(seed)
	}
	s := awswire.KMS()
	awswire.RegisterClient(s, &kms.Client{}, func(name string) bool { return name == "Encrypt" })
	f.Fuzz(func(t *testing.T, body string) {
		in, err := awswire.DecodeJSON(s, "Encrypt", []byte(body))
		if err != nil {
			if e, ok := err.(*awswire.Error); !ok || e.Status != 400 {
				t.Fatalf("error %v", err)
			}
			return
		}
		if got := in.(*kms.EncryptInput); got.KeyId == nil || got.Plaintext == nil {
			t.Fatalf("a required member is missing in %+v", got)
		}
	})
}

func FuzzEC2DecoderRefusesOrDecodes(f *testing.F) {
	for _, seed := range []string{
		"GroupId=sg-1&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=1&IpPermissions.1.ToPort=65535&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8",
		"IpPermissions.1.Groups.1.GroupId=a&IpPermissions.1.Groups.2=", "IpPermissions=&DryRun=true", "groupId=a", "IpPermissions.1.FromPort=1e9",
		"TagSpecification.1.ResourceType=x&TagSpecification.1.Tag.1.Key=a&X-Amz-Date=1", "IpPermissions.01.FromPort=1&IpPermissions.1.FromPort=2",
	} {
		f.Add(seed)
	}
	s := awswire.EC2()
	awswire.RegisterClient(s, &ec2.Client{}, func(name string) bool { return name == "AuthorizeSecurityGroupIngress" })
	f.Fuzz(func(t *testing.T, form string) {
		in, err := awswire.DecodeQuery(s, "AuthorizeSecurityGroupIngress", []byte("Action=AuthorizeSecurityGroupIngress&Version=2016-11-15&"+form))
		if err != nil {
			if e, ok := err.(*awswire.Error); !ok || e.Status != 400 {
				t.Fatalf("error %v", err)
			}
			return
		}
		// EC2 leaves nothing out: what was not refused has become something.
		got := in.(*ec2.AuthorizeSecurityGroupIngressInput)
		if strings.Contains(form, "GroupId=sg-1") && got.GroupId == nil && !strings.Contains(form, ".GroupId=sg-1") && !strings.Contains(form, "X-Amz-") {
			t.Fatalf("%q became %+v", form, got)
		}
	})
}

func FuzzRESTJSONDecoderRefusesOrDecodes(f *testing.F) {
	for _, seed := range []string{
		`{"resourceArn":"a","secretArn":"b","sql":"c","parameters":[{"name":"d","value":{"longValue":1},"typeHint":"DATE"}]}`,
		`{"resourceArn":"a","secretArn":"b","sql":"c","parameters":[{"value":{"arrayValue":{"arrayValues":[{"stringValues":["x",null]}]}}}]}`,
		`{"resourceArn":"a","secretArn":"b","sql":"c","parameters":[{"value":{"longValue":1,"isNull":true}}]}`, `{"parameters":[null]}`,
		`{"resourceArn":"a","secretArn":"b","sql":"c","parameters":[{"value":{"doubleValue":"NaN"}},{"value":{}}]}`, `[]`, `{"sql":[]}`,
	} {
		f.Add("/Execute", seed)
	}
	f.Add("/Execute/", "{}")
	s := awswire.RDSData()
	awswire.RegisterClient(s, &rdsdata.Client{}, func(name string) bool { return name != "ExecuteSql" })
	f.Fuzz(func(t *testing.T, path, body string) {
		if path == "/ExecuteSql" {
			return // which is refused before it is decoded
		}
		in, err := awswire.DecodeRESTJSON(s, path, []byte(body))
		if err != nil {
			if e, ok := err.(*awswire.Error); !ok || e.Status != 400 && e.Status != 404 {
				t.Fatalf("error %v", err)
			}
			return
		}
		got, ok := in.(*rdsdata.ExecuteStatementInput)
		if ok && (got.ResourceArn == nil || got.SecretArn == nil || got.Sql == nil) {
			t.Fatalf("a required member is missing in %+v", got)
		}
	})
}

func FuzzOnlyTheSignerOfAPresignedRequestPasses(f *testing.F) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	const secret, host = "a secret that no input has", "127.0.0.1:4566"
	r, err := http.NewRequest(http.MethodGet, "http://"+host+"/?Action=DescribeDBClusters&Version=2014-10-31&X-Amz-Expires=60", nil)
	if err != nil {
		f.Fatal(err)
	}
	signed, _, err := v4.NewSigner().PresignHTTP(f.Context(), aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: secret}, r, awswire.Hash(""), "rds", "us-west-2", now)
	if err != nil {
		f.Fatal(err)
	}
	_, good, _ := strings.Cut(signed, "?")
	f.Add(good, int64(0))
	f.Add(good, int64(61))
	f.Add(good+"&DBClusterIdentifier=a;b", int64(0))
	f.Add(good+"&DBClusterIdentifier=%zz", int64(0))
	f.Add(good+"&X-Amz-Signature=0", int64(0))
	f.Add(strings.Replace(good, "X-Amz-Expires=60", "X-Amz-Expires=600", 1), int64(0))
	f.Fuzz(func(t *testing.T, query string, later int64) {
		at := now.Add(time.Duration(later%100000) * time.Second)
		r := &http.Request{Method: http.MethodGet, Host: host, URL: &url.URL{Path: "/", RawQuery: query}, Header: http.Header{}}
		passes := awswire.CheckSignature(r, nil, secret, at)
		same := slices.Equal(pairs(query), pairs(good))
		if passes && (!same || at.After(now.Add(time.Minute)) || at.Before(now.Add(-5*time.Minute))) {
			t.Fatalf("%q passed at %v", query, at)
		}
		if !passes && query == good && later == 0 {
			t.Fatal("the signer was refused")
		}
	})
}

// pairs are the parameters of a query, as somebody reads them who knows no better
// than to split it.
func pairs(query string) []string {
	var all []string
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if k, err := url.QueryUnescape(key); err == nil {
			key = k
		}
		if v, err := url.QueryUnescape(value); err == nil {
			value = v
		}
		if pair != "" {
			all = append(all, key+"="+value)
		}
	}
	slices.Sort(all)
	return all
}

func FuzzOnlyTheSignerOfARequestPasses(f *testing.F) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	const secret = "a secret that no input has"
	r, err := http.NewRequest(http.MethodPost, "http://127.0.0.1:4566/", nil)
	if err != nil {
		f.Fatal(err)
	}
	err = v4.NewSigner().SignHTTP(f.Context(), aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: secret}, r, awswire.Hash(""), "rds", "us-west-2", now)
	if err != nil {
		f.Fatal(err)
	}
	good := r.Header.Get("Authorization")
	f.Add(good, "20261123T100000Z", "")
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host;;, Signature=,", "x", "")
	f.Add("", "", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/20261123/c/d/aws4_request&X-Amz-Date=20261123T100000Z&X-Amz-Expires=9&X-Amz-SignedHeaders=host&X-Amz-Signature=0")
	f.Fuzz(func(t *testing.T, authorization, date, query string) {
		r := &http.Request{
			Method: http.MethodPost, Host: "127.0.0.1:4566", URL: &url.URL{Path: "/", RawQuery: query},
			Header: http.Header{"Authorization": {authorization}, "X-Amz-Date": {date}},
		}
		passes := awswire.CheckSignature(r, nil, secret, now)
		signature := good[strings.LastIndex(good, "=")+1:]
		if passes && (!strings.Contains(authorization, signature) || date != "20261123T100000Z" || query != "") {
			t.Fatalf("%q %q %q passed", authorization, date, query)
		}
		if !passes && authorization == good && date == "20261123T100000Z" && query == "" {
			t.Fatal("the signer was refused")
		}
	})
}
