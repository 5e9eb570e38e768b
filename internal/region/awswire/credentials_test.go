package awswire_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
)

// sessions has one set of temporary credentials.
type sessions struct{ expires time.Time }

func (s sessions) Credential(id, token string) (awswire.Credential, bool) {
	return awswire.Credential{
		AccessKeyID: id, SecretAccessKey: wiretest.SecretKey, Account: wiretest.Account, UserARN: "arn", Expires: s.expires,
	}, id == wiretest.AccessKey && token == "the token"
}

func TestTemporaryCredentialsNeedTheirTokenAndExpire(t *testing.T) {
	now := time.Now()
	store := sessions{expires: now.Add(time.Hour)}
	who, keys, network := awswire.STS(), keys(), awswire.EC2()
	awswire.Register(who, func(context.Context, *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
		return nil, nil
	})
	awswire.Register(network, func(context.Context, *ec2.DescribeVpcsInput) (*ec2.DescribeVpcsOutput, error) { return nil, nil })
	for name, test := range map[string]struct {
		token          string
		after          time.Duration
		sts, kms, ecII string
	}{
		"valid":         {"the token", 0, "", "", ""},
		"no token":      {"", 0, "InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure"},
		"another token": {"another", 0, "InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure"},
		"expired":       {"the token", 61 * time.Minute, "ExpiredToken", "ExpiredTokenException", "RequestExpired"},
	} {
		t.Run(name, func(t *testing.T) {
			// The client signs for now, and the clock may be off by a few minutes: it is
			// the credentials' end that is moved.
			h, err := awswire.NewHandler(awswire.Config{
				Services: []*awswire.Service{who, keys, network}, Logger: slog.New(slog.DiscardHandler),
				Credentials: sessions{store.expires.Add(-test.after)},
			})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(h)
			defer server.Close()
			cfg := wiretest.ClientConfig(server.URL)
			cfg.Credentials = credentials.NewStaticCredentialsProvider(wiretest.AccessKey, wiretest.SecretKey, test.token)
			_, errSTS := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil)
			_, errKMS := kms.NewFromConfig(cfg).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("k")})
			_, errEC2 := ec2.NewFromConfig(cfg).DescribeVpcs(t.Context(), nil)
			if code(errSTS) != test.sts || code(errKMS) != test.kms || code(errEC2) != test.ecII {
				t.Errorf("%v; %v; %v", errSTS, errKMS, errEC2)
			}
		})
	}
}

func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}
