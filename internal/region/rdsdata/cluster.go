package rdsdata

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/region/awswire"
	"github.com/daybreakdb/daybreak/internal/state"
)

// target is where a call says that its SQL is to run.
type target struct{ resource, secret, database, transaction *string }

// place is a database of a cluster, with the credentials for it.
type place struct {
	cluster        string // resource id
	address        aurora.Address
	secret         string // ARN
	user, password string
	database       string
}

// resolve finds the place that a target names, if the caller may use it.
func (a *api) resolve(ctx context.Context, t target) (place, error) {
	cluster, err := a.cluster(ctx, aws.ToString(t.resource))
	if err != nil {
		return place{}, err
	}
	p := place{
		cluster: cluster.ResourceID, address: cluster.Status.WriterEndpoint, secret: aws.ToString(t.secret),
		database: aws.ToString(t.database),
	}
	for _, name := range []string{cluster.Spec.DatabaseName, "postgres"} {
		if p.database == "" {
			p.database = name
		}
	}
	p.user, p.password, err = a.credentials(ctx, p.secret)
	return p, err
}

// cluster finds the cluster of an ARN in the state in which it can be used.
func (a *api) cluster(ctx context.Context, arn string) (*aurora.DBCluster, error) {
	id := awswire.IdentityFrom(ctx)
	name, ok := strings.CutPrefix(arn, "arn:aws:rds:"+id.Region+":"+id.Account+":cluster:")
	if !ok {
		if strings.HasPrefix(arn, "arn:aws:rds:") && strings.Contains(arn, ":cluster:") {
			return nil, notFound(arn)
		}
		return nil, badRequest("Invalid database resource ARN %.200s. It must be the ARN of a DB cluster.", arn)
	}
	var found *aurora.DBCluster
	for _, item := range a.clusters.In(id.Account + "/" + id.Region + "/" + name) {
		if !item.Value.DeleteRequested {
			found = &item.Value
		}
	}
	switch {
	case found == nil:
		return nil, notFound(arn)
	case !found.Spec.HTTPEndpoint:
		return nil, awswire.BadRequestf("HttpEndpointNotEnabledException", "HttpEndpoint is not enabled for cluster %s.", name)
	case found.Spec.Stopped != nil:
		return nil, awswire.BadRequestf("InvalidResourceStateException", "DB cluster %s is not currently in the available state.", name)
	case found.Status.Writer == "" || !a.hasInstance(found.ResourceID):
		return nil, awswire.Errorf(http.StatusNotFound, "DatabaseNotFoundException", "DB cluster %s has no DB instance that could run statements.", name)
	}
	return found, nil
}

func (a *api) hasInstance(cluster string) bool {
	return slices.ContainsFunc(a.members.In(cluster), func(item state.Item[aurora.DBInstance]) bool { return !item.Value.DeleteRequested })
}

func notFound(what string) error {
	return awswire.Errorf(http.StatusNotFound, "NotFoundException", "%.200s is not found.", what)
}

// credentials reads user and password from a secret.
func (a *api) credentials(ctx context.Context, arn string) (user, password string, err error) {
	text, err := a.config.Secret(ctx, arn)
	var refused *awswire.Error
	if errors.As(err, &refused) {
		code := "SecretsErrorException"
		if strings.HasPrefix(refused.Code, "AccessDenied") {
			code = "AccessDeniedException"
		}
		return "", "", awswire.BadRequestf(code, "Error fetching secret %.200s: %s", arn, refused.Message)
	}
	if err != nil {
		return "", "", err
	}
	var secret struct{ Username, Password string }
	if json.Unmarshal([]byte(text), &secret) != nil || secret.Username == "" || secret.Password == "" {
		return "", "", awswire.BadRequestf("InvalidSecretException",
			"The secret %.200s must be a JSON object with username and password.", arn)
	}
	return secret.Username, secret.Password, nil
}
