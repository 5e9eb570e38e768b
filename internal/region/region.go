// Package region assembles the AWS-compatible region: one HTTP handler for all
// its services, accounts and regions. It must not know how a request looks on the
// wire, nor what an action does.
package region

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/ec2"
	"github.com/daybreakdb/daybreak/internal/region/iam"
	"github.com/daybreakdb/daybreak/internal/region/kms"
	"github.com/daybreakdb/daybreak/internal/region/secretsmanager"
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
}

// New returns the handler of the AWS API. It follows the state until ctx ends.
func New(ctx context.Context, cfg Config) (http.Handler, error) {
	directory, err := iam.NewDirectory(ctx, cfg.Store, cfg.Keyring, cfg.Credentials)
	if err != nil {
		return nil, err
	}
	services := append(companions(cfg, directory), cfg.Services...)
	for _, s := range services {
		nameResources(s)
	}
	return awswire.NewHandler(awswire.Config{
		Services:    services,
		Credentials: directory,
		Authorize:   directory.Authorize,
		Logger:      cfg.Logger,
		Registry:    cfg.Registry,
		Translate:   translate,
	})
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
