// Package regiontest serves a whole region on a real etcd to the real SDK
// clients, for the tests of its services. It is for tests only.
package regiontest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/region"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/awswire/wiretest"
	"github.com/daybreakdb/daybreak/internal/state"
	"github.com/daybreakdb/daybreak/internal/state/statetest"
)

// RootARN is that of the clients of Serve.
const RootARN = "arn:aws:iam::" + wiretest.Account + ":root"

// Region is a region that is served until the test ends.
type Region struct {
	Store   *state.Store
	Keyring *keyring.Keyring
	Root    aws.Config // of the account's root, who may do everything
	Handler http.Handler
}

// Serve starts a region; more services may be made on its store.
func Serve(t testing.TB, more ...func(context.Context, *state.Store) (*awswire.Service, error)) Region {
	t.Helper()
	keys, err := keyring.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	r := Region{Store: statetest.Start(t), Keyring: keys}
	server := httptest.NewUnstartedServer(nil)
	cfg := region.Config{
		URL: "http://" + server.Listener.Addr().String(), NotifyAllow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Store: r.Store, Keyring: keys, Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), LogEvents: t.TempDir(),
		Credentials: awswire.StaticCredentials{{
			AccessKeyID: wiretest.AccessKey, SecretAccessKey: wiretest.SecretKey, Account: wiretest.Account, UserARN: RootARN,
		}},
	}
	for _, service := range more {
		s, err := service(t.Context(), r.Store)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Services = append(cfg.Services, s)
	}
	handler, err := region.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = handler
	server.Start()
	t.Cleanup(server.Close)
	r.Handler = handler
	r.Root = wiretest.ClientConfig(server.URL)
	return r
}

// As is the configuration of clients with other credentials.
func (r Region) As(key, secret, token *string) aws.Config {
	cfg := r.Root.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(aws.ToString(key), aws.ToString(secret), aws.ToString(token))
	return cfg
}

// Code is the code of an error of AWS; empty if it is none.
func Code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}
