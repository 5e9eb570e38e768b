package catalog

import (
	"context"
	"errors"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/workflow"
	"github.com/daybreakdb/daybreak/internal/state"
)

// CreateEnvironment makes one, which can take over what another has.
func (c *Catalog) CreateEnvironment(ctx context.Context, e Environment) (Environment, error) {
	if _, err := c.Service(ctx, e.ServiceID); err != nil {
		return e, err
	}
	if e.SourceID != "" {
		if _, err := c.Environment(ctx, e.ServiceID, e.SourceID); err != nil {
			return e, err
		}
	}
	made, err := c.environment(ctx, e, false)
	if err != nil || made.SourceID == "" {
		return made, err
	}
	source, err := c.Environment(ctx, e.ServiceID, e.SourceID)
	if err != nil {
		return made, err
	}
	return made, c.promoteTo(ctx, source, made, "", "")
}

// Targets are the environments that an environment is promoted to, with whether
// they have what it has.
func (c *Catalog) Targets(ctx context.Context, source Environment) (targets []Environment, inSync []bool, err error) {
	all, err := c.Environments(ctx, source.ServiceID)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range all {
		if e.SourceID != source.ID {
			continue
		}
		same, err := c.same(ctx, source, e)
		if err != nil {
			return nil, nil, err
		}
		targets, inSync = append(targets, e), append(inSync, same)
	}
	return targets, inSync, nil
}

// same reports whether every plan's preferred version is the target's too.
func (c *Catalog) same(ctx context.Context, source, target Environment) (bool, error) {
	plans, err := c.Plans(ctx, source.ID)
	if err != nil {
		return false, err
	}
	for _, p := range plans {
		if p.Preferred == 0 {
			continue
		}
		v, err := c.Version(ctx, p, "preferred")
		if err != nil {
			return false, err
		}
		id, err := c.Store.Lookup(ctx, claim("plan", target.ID, p.Name))
		if errors.Is(err, state.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		other, err := c.Plan(ctx, target.ServiceID, id)
		if err != nil || other.Preferred == 0 {
			return false, err
		}
		w, err := c.Version(ctx, other, "preferred")
		if err != nil || w.Content.Artifact != v.Content.Artifact || w.Content.Commit != v.Content.Commit {
			return false, err
		}
	}
	return true, nil
}

// Promote gives the environments that come after this one its plans' preferred
// versions, or one version of one plan.
func (c *Catalog) Promote(ctx context.Context, source Environment, plan, version string) error {
	targets, _, err := c.Targets(ctx, source)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return invalid("no environment has %s as its source", source.Name)
	}
	for _, target := range targets {
		if err := c.promoteTo(ctx, source, target, plan, version); err != nil {
			return err
		}
	}
	return nil
}

func (c *Catalog) promoteTo(ctx context.Context, source, target Environment, plan, version string) error {
	plans, err := c.Plans(ctx, source.ID)
	if err != nil {
		return err
	}
	found := false
	for _, p := range plans {
		if plan != "" && p.ID != plan || plan == "" && p.Preferred == 0 {
			continue
		}
		found = true
		v, err := c.Version(ctx, p, version)
		if err != nil {
			return err
		}
		if err := c.copyVersion(ctx, v, p.Name, target); err != nil {
			return err
		}
	}
	if plan != "" && !found {
		return notFound("service plan", plan)
	}
	return nil
}

// copyVersion releases a version's content in another environment.
func (c *Catalog) copyVersion(ctx context.Context, v Version, name string, target Environment) error {
	p, err := c.ensurePlan(ctx, target, name)
	if err != nil {
		return err
	}
	isNew, err := c.isNew(ctx, p, v.Content)
	if err != nil {
		return err
	}
	if isNew {
		content := workflow.Content{Artifact: v.Content.Artifact, Origin: v.Content.Origin, Commit: v.Content.Commit}
		if _, err := c.plans.Update(ctx, p.ID, func(p *Plan) error { p.Pending = &content; return nil }); err != nil {
			return err
		}
	}
	_, err = c.Release(ctx, p.ID, Release{
		Name: v.Name, Description: v.Description, Preferred: true, By: v.By, ByName: v.ByName, ResourceName: v.ResourceName, ResourceKey: v.ResourceKey,
	})
	return err
}

// DeleteService removes a service with what it has, unless there are instances.
func (c *Catalog) DeleteService(ctx context.Context, id string) error {
	s, err := c.Service(ctx, id)
	if err != nil {
		return err
	}
	if err := c.deployed(ctx, s.Name, func(p workflow.Product) bool { return p.ServiceID == id }); err != nil {
		return err
	}
	environments, err := c.Environments(ctx, id)
	if err != nil {
		return err
	}
	for _, e := range environments {
		if err := c.DeleteEnvironment(ctx, id, e.ID); err != nil {
			return err
		}
	}
	return c.services.Delete(ctx, id, claim("service", s.OrgID, s.Name).Release(id))
}

// DeleteEnvironment removes an environment with its plans, unless there are
// instances.
func (c *Catalog) DeleteEnvironment(ctx context.Context, service, id string) error {
	e, err := c.Environment(ctx, service, id)
	if err != nil {
		return err
	}
	if err := c.deployed(ctx, e.Name, func(p workflow.Product) bool { return p.EnvironmentID == id }); err != nil {
		return err
	}
	plans, err := c.Plans(ctx, id)
	if err != nil {
		return err
	}
	for _, p := range plans {
		if err := c.DeletePlan(ctx, service, p.ID); err != nil {
			return err
		}
	}
	return c.environments.Delete(ctx, id, claim("environment", e.ServiceID, e.Name).Release(id))
}

// DeletePlan removes a plan with its versions and subscriptions, unless there are
// instances.
func (c *Catalog) DeletePlan(ctx context.Context, service, id string) error {
	p, err := c.Plan(ctx, service, id)
	if err != nil {
		return err
	}
	if err := c.deployed(ctx, p.Name, func(d workflow.Product) bool { return d.PlanID == id }); err != nil {
		return err
	}
	subscriptions, err := c.Subscriptions(ctx)
	if err != nil {
		return err
	}
	for _, s := range subscriptions {
		if s.PlanID == id {
			if err := c.subscriptions.Delete(ctx, s.ID, c.releases(s)...); err != nil {
				return err
			}
		}
	}
	for n := 1; n <= p.Latest; n++ {
		if err := c.versions.Delete(ctx, versionKey(id, n)); err != nil {
			return err
		}
	}
	return c.plans.Delete(ctx, id, claim("plan", p.EnvironmentID, p.Name).Release(id))
}

// Artifact is a client's folder that was sent for a build.
type Artifact struct {
	ID          string    `json:"id"`
	Path        string    `json:"path"`
	Plan        string    `json:"plan"` // name
	Service     string    `json:"service"`
	Environment string    `json:"environment"` // type
	AccountID   string    `json:"accountId"`
	Data        string    `json:"data"` // name of the object
	CreateTime  time.Time `json:"createTime"`
}
