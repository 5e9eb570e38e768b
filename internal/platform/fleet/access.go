package fleet

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/daybreakdb/daybreak/internal/platform/catalog"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/workflow"
)

// A customer sees what is public, what their organisation has subscribed to, and
// their own instances. Whatever else there is answers as if it were not there.

// A deployment that was made from a local folder was bought as nothing; it is shown
// to the provider under these ids.
const (
	localService     = "s-local"
	localEnvironment = "se-local"
	localPlan        = "pt-local"
	localVersion     = "0.0"
)

// subscribed are the environments that the caller's organisation has subscriptions in.
func (s *Server) subscribed(c *call) (map[string]bool, error) {
	all, err := s.Catalog.Subscriptions(c.ctx())
	in := map[string]bool{}
	for _, sub := range all {
		if sub.OrgID == c.who.OrgID {
			in[sub.EnvironmentID] = true
		}
	}
	return in, err
}

// environments are those of a service that the caller sees, or of all services.
func (s *Server) environments(c *call, service string) ([]catalog.Environment, error) {
	all, err := s.Catalog.Environments(c.ctx(), service)
	if err != nil || c.who.Provider {
		return all, err
	}
	in, err := s.subscribed(c)
	var seen []catalog.Environment
	for _, e := range all {
		if e.Visibility == "PUBLIC" || in[e.ID] {
			seen = append(seen, e)
		}
	}
	return seen, err
}

// service returns one that the caller sees, and its environments.
func (s *Server) service(c *call, id string) (catalog.Service, []catalog.Environment, error) {
	c.about.service = id
	svc, err := s.Catalog.Service(c.ctx(), id)
	if err != nil {
		return svc, nil, err
	}
	environments, err := s.environments(c, id)
	if err == nil && len(environments) == 0 && !c.who.Provider {
		return catalog.Service{}, nil, notFound("service", id)
	}
	return svc, environments, err
}

// environment returns one of a service that the caller sees.
func (s *Server) environment(c *call, service, id string) (catalog.Environment, error) {
	_, environments, err := s.service(c, service)
	if err != nil {
		return catalog.Environment{}, err
	}
	for _, e := range environments {
		if e.ID == id {
			return e, nil
		}
	}
	return catalog.Environment{}, notFound("environment", id)
}

// visible returns p if the caller sees its environment.
func (s *Server) visible(c *call, p catalog.Plan, err error) (catalog.Plan, error) {
	c.about.service = p.ServiceID
	if err != nil {
		return p, err
	}
	if _, err := s.environment(c, p.ServiceID, p.EnvironmentID); err != nil {
		return catalog.Plan{}, notFound("service plan", p.ID)
	}
	return p, nil
}

func (s *Server) plan(c *call, service, id string) (catalog.Plan, error) {
	p, err := s.Catalog.Plan(c.ctx(), service, id)
	return s.visible(c, p, err)
}

// productOf is what a deployment was bought as, for people.
func productOf(d workflow.Deployment) workflow.Product {
	if d.Product.ServiceID == "" {
		return workflow.Product{ServiceID: localService, EnvironmentID: localEnvironment, PlanID: localPlan, Version: localVersion, OrgID: "org-provider"}
	}
	return d.Product
}

// owns reports whether the caller sees a deployment.
func (c *call) owns(p workflow.Product) bool { return c.who.Provider || p.OrgID == c.who.OrgID }

// instance returns the deployment of the path. One of another organisation, service
// or environment is not there.
func (s *Server) instance(c *call) (workflow.Deployment, error) {
	id := c.PathValue("instanceId")
	d, err := s.Engine.ByID(c.ctx(), id)
	if err != nil {
		return d, err
	}
	p := productOf(d)
	if !c.owns(p) || p.ServiceID != c.PathValue("serviceId") || p.EnvironmentID != c.PathValue("environmentId") {
		return workflow.Deployment{}, notFound("instance", id)
	}
	c.about.service, c.about.instance, c.about.owner = p.ServiceID, id, p.OrgID
	return d, nil
}

func isNotFound(err error) bool {
	var refused *rest.Error
	return errors.As(err, &refused) && refused.HTTPStatus == http.StatusNotFound
}

// withoutCredentials is a repository's URL as it may be shown.
func withoutCredentials(repository string) string {
	u, err := url.Parse(repository)
	if err != nil || u.User == nil {
		return repository
	}
	u.User = nil
	return u.String()
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
