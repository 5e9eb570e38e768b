// Package region assembles the AWS-compatible region: one HTTP handler for all
// its services, accounts and regions. It must not know how a request looks on the
// wire, nor what an action does.
package region

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	smapi "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/ec2"
	"github.com/daybreakdb/daybreak/internal/region/iam"
	"github.com/daybreakdb/daybreak/internal/region/kms"
	"github.com/daybreakdb/daybreak/internal/region/logs"
	"github.com/daybreakdb/daybreak/internal/region/rdsdata"
	"github.com/daybreakdb/daybreak/internal/region/secretsmanager"
	"github.com/daybreakdb/daybreak/internal/region/sns"
	"github.com/daybreakdb/daybreak/internal/region/sts"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Config is what the region works with.
type Config struct {
	Store   *state.Store
	Keyring *keyring.Keyring
	// Credentials are those of the account's root, who may do everything. Users
	// and roles have their own in the state.
	Credentials awswire.CredentialStore
	Logger      *slog.Logger
	Registry    prometheus.Registerer
	// Services are served beside EC2 and STS: RDS, made by rds.New.
	Services []*awswire.Service
	// LogEvents is the directory of CloudWatch Logs' events.
	LogEvents string
	// ServerLogs are what clusters export to CloudWatch Logs; nothing if it is nil.
	ServerLogs logs.Reader
	// Bundle has the certificates that clients check endpoints with; nothing is served
	// if it is nil.
	Bundle func() ([]byte, error)
	// Requests and Failures bound what principals may ask, and who signs wrongly; no limit if zero.
	Requests, Failures awswire.Rate
	// URL is the region's own, for links in messages of SNS.
	URL string
	// EndpointTLS is how clusters' endpoints are trusted; nil: they are spoken to in
	// the clear.
	EndpointTLS func() (*tls.Config, error)
	// NotifyAllow are addresses that messages of SNS may go to, beside public ones.
	NotifyAllow []netip.Prefix
}

// New returns the handler of the AWS API. It follows the state until ctx ends.
func New(ctx context.Context, cfg Config) (http.Handler, error) {
	directory, err := iam.NewDirectory(ctx, cfg.Store, cfg.Keyring, cfg.Credentials)
	if err != nil {
		return nil, err
	}
	topics, err := sns.New(ctx, sns.Config{
		Store: cfg.Store, Keyring: cfg.Keyring, Logger: cfg.Logger, URL: cfg.URL, Allow: cfg.NotifyAllow,
	})
	if err != nil {
		return nil, err
	}
	logService, err := startLogs(ctx, cfg)
	if err != nil {
		return nil, err
	}
	var api *awswire.Handler
	dataAPI, err := rdsdata.New(ctx, rdsdata.Config{
		Store: cfg.Store, TLS: cfg.EndpointTLS,
		Secret: func(ctx context.Context, arn string) (string, error) { return secretText(ctx, api, arn) },
	})
	if err != nil {
		return nil, err
	}
	services := append(companions(cfg, directory), append(cfg.Services, topics.Service, logService, dataAPI)...)
	for _, s := range services {
		nameResources(s)
	}
	api, err = awswire.NewHandler(awswire.Config{
		Services:    services,
		Credentials: directory,
		Authorize:   directory.Authorize,
		Logger:      cfg.Logger,
		Registry:    cfg.Registry,
		Translate:   translate,
		Requests:    cfg.Requests,
		Failures:    cfg.Failures,
	})
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Path == sns.CertificatePath {
			topics.Certificate.ServeHTTP(w, r)
			return
		}
		if r.Method == http.MethodGet && r.URL.Path == BundlePath && cfg.Bundle != nil {
			serveBundle(w, cfg)
			return
		}
		api.ServeHTTP(w, r)
	}), nil
}

// secretText reads a secret for the caller of ctx.
func secretText(ctx context.Context, api *awswire.Handler, arn string) (string, error) {
	out, err := api.Invoke(ctx, "secretsmanager", &smapi.GetSecretValueInput{SecretId: &arn})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.(*smapi.GetSecretValueOutput).SecretString), nil
}

// BundlePath is where AWS has its bundle of certificates, on another host.
const BundlePath = "/global/global-bundle.pem"

func serveBundle(w http.ResponseWriter, cfg Config) {
	text, err := cfg.Bundle()
	if err != nil {
		cfg.Logger.Error("region: no bundle of certificates", "error", err)
		http.Error(w, "the bundle cannot be read", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	_, _ = w.Write(text)
}

// How often the logs of servers are exported, and what is too old is removed.
const (
	exportEvery = 2 * time.Second
	tidyEvery   = time.Minute
)

// startLogs returns CloudWatch Logs, with the export of servers' logs to it.
func startLogs(ctx context.Context, cfg Config) (*awswire.Service, error) {
	api := logs.New(cfg.Store, cfg.LogEvents)
	if cfg.ServerLogs != nil {
		exporter, err := api.NewExporter(ctx, cfg.ServerLogs, cfg.Logger)
		if err != nil {
			return nil, err
		}
		go exporter.Run(ctx, exportEvery, tidyEvery)
	}
	return api.Service(), nil
}

// companions are the services that a database needs around it.
func companions(cfg Config, directory *iam.Directory) []*awswire.Service {
	return []*awswire.Service{ec2.New(cfg.Store), iam.New(directory), kms.New(cfg.Store, cfg.Keyring),
		secretsmanager.New(cfg.Store, cfg.Keyring), sts.New(directory)}
}

// translate turns errors of the state store that actions pass on into AWS's.
func translate(err error) *awswire.Error {
	if errors.Is(err, state.ErrUnavailable) {
		return awswire.Errorf(http.StatusServiceUnavailable, "ServiceUnavailable",
			"The region's state store does not answer at the moment. Running databases are not affected. Try again.")
	}
	return nil
}
