package awswire_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/rds"

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
