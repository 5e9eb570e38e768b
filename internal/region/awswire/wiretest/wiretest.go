// Package wiretest serves AWS services to the real SDK clients in tests, and
// shows that what a service registers is understood by them. It is for tests
// only and knows nothing of single actions.
package wiretest

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// Who a test's requests come from.
const (
	Account   = "111122223333"
	Region    = "us-west-2"
	AccessKey = "AKIATESTTESTTESTTEST"
	SecretKey = "test-secret"
	UserARN   = "arn:aws:iam::111122223333:user/test"
)

// Credentials are those of Config.
func Credentials() awswire.StaticCredentials {
	return awswire.StaticCredentials{{
		AccessKeyID: AccessKey, SecretAccessKey: SecretKey, Account: Account, UserARN: UserARN, UserID: "AIDATEST",
	}}
}

// Context is that of a request, to call actions without the wire.
func Context(ctx context.Context) context.Context {
	return awswire.WithIdentity(ctx, awswire.Identity{
		Account: Account, Region: Region, AccessKeyID: AccessKey, ARN: UserARN, UserID: "AIDATEST", RequestID: "test",
	})
}

// Serve serves the services until the test ends and returns the configuration of
// clients for them. Clients do not retry.
func Serve(t testing.TB, services ...*awswire.Service) aws.Config {
	t.Helper()
	h, err := awswire.NewHandler(awswire.Config{
		Services: services, Credentials: Credentials(), Registry: prometheus.NewRegistry(),
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return ClientConfig(server.URL)
}

// ClientConfig is the configuration of clients of the region at an address.
func ClientConfig(url string) aws.Config {
	return aws.Config{
		Region:       Region,
		BaseEndpoint: aws.String(url),
		Credentials:  credentials.NewStaticCredentialsProvider(AccessKey, SecretKey, ""),
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
	}
}
