// Package region assembles the AWS-compatible region: one HTTP handler for all
// its services, accounts and regions. It must not know how a request looks on the
// wire, nor what an action does.
package region

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/region/ec2"
	"github.com/daybreakdb/daybreak/internal/region/sts"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Config is what the region works with.
type Config struct {
	Store       *state.Store
	Credentials awswire.CredentialStore
	Logger      *slog.Logger
	Registry    prometheus.Registerer
	// Services are served beside EC2 and STS: RDS, made by rds.New.
	Services []*awswire.Service
}

// New returns the handler of the AWS API.
func New(cfg Config) (http.Handler, error) {
	return awswire.NewHandler(awswire.Config{
		Services:    append([]*awswire.Service{sts.New(), ec2.New(cfg.Store)}, cfg.Services...),
		Credentials: cfg.Credentials,
		Logger:      cfg.Logger,
		Registry:    cfg.Registry,
		Translate:   translate,
	})
}

// translate turns errors of the state store that actions pass on into AWS's.
func translate(err error) *awswire.Error {
	if errors.Is(err, state.ErrUnavailable) {
		return awswire.Errorf(http.StatusServiceUnavailable, "ServiceUnavailable",
			"The region's state store does not answer at the moment. Running databases are not affected. Try again.")
	}
	return nil
}
