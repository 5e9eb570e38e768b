package awswire_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/smithy-go"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
)

func TestWhoAsksTooMuchIsThrottled(t *testing.T) {
	r := awswire.RDS()
	awswire.Register(r, func(context.Context, *rds.DescribeDBClustersInput) (*rds.DescribeDBClustersOutput, error) {
		return &rds.DescribeDBClustersOutput{}, nil
	})
	const burst = 5
	h, err := awswire.NewHandler(awswire.Config{
		Services: []*awswire.Service{r}, Credentials: wiretest.Credentials(), Logger: slog.New(slog.DiscardHandler),
		Requests: awswire.Rate{PerSecond: 1e-9, Burst: burst}, Failures: awswire.Rate{PerSecond: 1e-9, Burst: burst},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	good := wiretest.ClientConfig(server.URL)
	good.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	with := func(key, secret string) aws.Config {
		cfg := good.Copy()
		cfg.Credentials = credentials.NewStaticCredentialsProvider(key, secret, "")
		return cfg
	}
	ask := func(cfg aws.Config) string {
		_, err := rds.NewFromConfig(cfg).DescribeDBClusters(t.Context(), nil)
		var e smithy.APIError
		if errors.As(err, &e) {
			return e.ErrorCode()
		}
		return ""
	}
	for _, step := range []struct {
		name, before, after string
		cfg                 aws.Config
	}{
		{"a key that is not there", "InvalidClientTokenId", "Throttling", with("AKIAOTHER", "x")},
		{"who may", "", "Throttling", good},
		{"a wrong secret", "SignatureDoesNotMatch", "Throttling", with(wiretest.AccessKey, "x")},
	} {
		for i := range burst + 2 {
			want := step.before
			if i >= burst {
				want = step.after
			}
			if got := ask(step.cfg); got != want {
				t.Errorf("%s, request %d: %q, want %q", step.name, i, got, want)
			}
		}
	}
}
