// Package catalog keeps what the provider offers and who has bought it: services,
// their environments, plans and the plans' versions, whose content never changes,
// and subscriptions. It must not know HTTP, and of deployments only what a plan's
// content is.
package catalog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/daybreakdb/daybreak/internal/blob"
	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/workflow"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Service is a product.
type Service struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	LogoURL     string    `json:"logoUrl,omitempty"`
	OrgID       string    `json:"orgId"`
	CreateTime  time.Time `json:"createTime"`
}

// Environment of a service, with plans of its own.
type Environment struct {
	ID          string    `json:"id"`
	ServiceID   string    `json:"serviceId"`
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Type        string    `json:"type"`       // PROD, DEV…
	Visibility  string    `json:"visibility"` // PUBLIC: customers see it
	SourceID    string    `json:"sourceId,omitempty"`
	AutoApprove bool      `json:"autoApprove"`
	PublicKey   string    `json:"publicKey,omitempty"`
	CreateTime  time.Time `json:"createTime"`
}

// Plan is what customers subscribe to.
type Plan struct {
	ID            string `json:"id"`
	ServiceID     string `json:"serviceId"`
	EnvironmentID string `json:"environmentId"`
	Name          string `json:"name"`
	ModelID       string `json:"modelId"`
	APIID         string `json:"apiId"`
	ResourceID    string `json:"resourceId"`
	ModelType     string `json:"modelType"`
	TierType      string `json:"tierType"`
	// Latest is the number of the newest version, and Preferred that of the one that
	// new deployments get; 0 is none.
	Latest    int `json:"latest"`
	Preferred int `json:"preferred"`
	// Pending was built and is not released.
	Pending    *workflow.Content `json:"pending,omitempty"`
	CreateTime time.Time         `json:"createTime"`
}

// Version of a plan. Its content never changes.
type Version struct {
	PlanID      string           `json:"planId"`
	Number      int              `json:"number"`
	Name        string           `json:"name,omitempty"`
	Description string           `json:"description,omitempty"`
	Content     workflow.Content `json:"content"`
	// Resource is the plan's service that customers ask for.
	ResourceName string    `json:"resourceName"`
	ResourceKey  string    `json:"resourceKey"`
	ReleaseTime  time.Time `json:"releaseTime"`
	ChangeTime   time.Time `json:"changeTime"`
	By           string    `json:"by"`     // user id
	ByName       string    `json:"byName"` // their name
}

// String is the version as clients spell it: 1.0.
func (v Version) String() string { return numberText(v.Number) }

func numberText(n int) string { return fmt.Sprintf("%d.0", n) }

// Config of the catalog.
type Config struct {
	Store   *state.Store
	Keyring *keyring.Keyring
	Blobs   blob.Store
	// Pin keeps a plan's content for good; see workflow.Engine.
	Pin func(ctx context.Context, spec, sent []byte) (workflow.Pinned, error)
	// Deployments are those there are.
	Deployments func(ctx context.Context) ([]workflow.Deployment, error)
}

// Catalog is all that is offered.
type Catalog struct {
	Config
	services      state.Table[Service]
	environments  state.Table[Environment]
	plans         state.Table[Plan]
	versions      state.Table[Version]
	artifacts     state.Table[Artifact]
	subscriptions state.Table[Subscription]
	secrets       state.Table[[]byte]

	ordering sync.Mutex // one order at a time, so that quotas hold
}

// New returns the catalog.
func New(c Config) *Catalog {
	return &Catalog{
		Config:        c,
		services:      state.NewTable[Service](c.Store, "platform/services"),
		environments:  state.NewTable[Environment](c.Store, "platform/environments"),
		plans:         state.NewTable[Plan](c.Store, "platform/plans"),
		versions:      state.NewTable[Version](c.Store, "platform/versions"),
		artifacts:     state.NewTable[Artifact](c.Store, "platform/artifacts"),
		subscriptions: state.NewTable[Subscription](c.Store, "platform/subscriptions"),
		secrets:       state.NewTable[[]byte](c.Store, "platform/secrets"),
	}
}

func newID(prefix string) string { return prefix + strings.ToLower(rand.Text()[:10]) }

func refuse(status int, code, format string, args ...any) *rest.Error {
	return &rest.Error{HTTPStatus: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *rest.Error {
	return refuse(http.StatusBadRequest, rest.CodeInvalid, format, args...)
}

func conflict(format string, args ...any) *rest.Error {
	return refuse(http.StatusConflict, rest.CodeConflict, format, args...)
}

func notFound(what, id string) *rest.Error {
	return refuse(http.StatusNotFound, rest.CodeNotFound, "there is no %s %q", what, id)
}

// Key is a name as it stands in URLs.
func Key(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return strings.Join(words, "-")
}

// checkName refuses names that nobody could tell apart or type.
func checkName(what, name string) error {
	if name == "" || len(name) > 100 || strings.TrimSpace(name) != name || strings.ContainsFunc(name, unicode.IsControl) || Key(name) == "" {
		return invalid("%q cannot be a %s's name: want 1 to 100 characters, some of them letters or digits", name, what)
	}
	return nil
}

// claim is a name that only one of a kind can have in a scope, whatever its case.
func claim(kind, scope, name string) state.Name {
	return state.Name{Kind: kind, Account: "platform", Region: scope, Name: url.PathEscape(strings.ToLower(name))}
}

// get reads one value, and says in plain words that it is not there.
func get[T any](ctx context.Context, table state.Table[T], what, id string) (T, error) {
	item, err := table.Get(ctx, id)
	if errors.Is(err, state.ErrNotFound) {
		return item.Value, notFound(what, id)
	}
	return item.Value, err
}

func list[T any](ctx context.Context, table state.Table[T], prefix string) ([]T, error) {
	items, _, err := table.List(ctx, prefix)
	out := make([]T, len(items))
	for i, item := range items {
		out[i] = item.Value
	}
	return out, err
}

// Services are all, oldest first.
func (c *Catalog) Services(ctx context.Context) ([]Service, error) {
	all, err := list(ctx, c.services, "")
	slices.SortFunc(all, func(a, b Service) int { return a.CreateTime.Compare(b.CreateTime) })
	return all, err
}

// Service returns one by id.
func (c *Catalog) Service(ctx context.Context, id string) (Service, error) {
	return get(ctx, c.services, "service", id)
}

// Environments are those of a service, or all, oldest first.
func (c *Catalog) Environments(ctx context.Context, service string) ([]Environment, error) {
	all, err := list(ctx, c.environments, "")
	all = slices.DeleteFunc(all, func(e Environment) bool { return service != "" && e.ServiceID != service })
	slices.SortFunc(all, func(a, b Environment) int { return a.CreateTime.Compare(b.CreateTime) })
	return all, err
}

// Environment returns one of a service.
func (c *Catalog) Environment(ctx context.Context, service, id string) (Environment, error) {
	e, err := get(ctx, c.environments, "environment", id)
	if err == nil && e.ServiceID != service {
		return Environment{}, notFound("environment", id)
	}
	return e, err
}

// Plans are those of an environment, or all, oldest first.
func (c *Catalog) Plans(ctx context.Context, environment string) ([]Plan, error) {
	all, err := list(ctx, c.plans, "")
	all = slices.DeleteFunc(all, func(p Plan) bool { return environment != "" && p.EnvironmentID != environment })
	slices.SortFunc(all, func(a, b Plan) int { return a.CreateTime.Compare(b.CreateTime) })
	return all, err
}

// Plan returns one of a service.
func (c *Catalog) Plan(ctx context.Context, service, id string) (Plan, error) {
	p, err := get(ctx, c.plans, "service plan", id)
	if err == nil && p.ServiceID != service {
		return Plan{}, notFound("service plan", id)
	}
	return p, err
}

// find returns the plan of a service for which is says yes.
func (c *Catalog) find(ctx context.Context, service, what, id string, is func(Plan) bool) (Plan, error) {
	all, err := c.Plans(ctx, "")
	if err != nil {
		return Plan{}, err
	}
	for _, p := range all {
		if p.ServiceID == service && is(p) {
			return p, nil
		}
	}
	return Plan{}, notFound(what, id)
}

// PlanOfModel returns the plan with this service model.
func (c *Catalog) PlanOfModel(ctx context.Context, service, id string) (Plan, error) {
	return c.find(ctx, service, "service model", id, func(p Plan) bool { return p.ModelID == id })
}

// PlanOfAPI returns the plan with this service API.
func (c *Catalog) PlanOfAPI(ctx context.Context, service, id string) (Plan, error) {
	return c.find(ctx, service, "service API", id, func(p Plan) bool { return p.APIID == id })
}

// PlanOfResource returns the plan with this resource.
func (c *Catalog) PlanOfResource(ctx context.Context, service, id string) (Plan, error) {
	return c.find(ctx, service, "resource", id, func(p Plan) bool { return p.ResourceID == id })
}

// deployed refuses what would leave a deployment without what it was bought as.
func (c *Catalog) deployed(ctx context.Context, what string, is func(workflow.Product) bool) error {
	all, err := c.Deployments(ctx)
	if err != nil {
		return err
	}
	for _, d := range all {
		if is(d.Product) {
			return conflict("%s has instances, as %s: delete them first", what, d.ID)
		}
	}
	return nil
}
