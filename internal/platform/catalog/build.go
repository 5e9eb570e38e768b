package catalog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/spec"
	"github.com/daybreakdb/daybreak/internal/platform/workflow"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Types of an environment.
var environmentTypes = []string{"PROD", "PRIVATE", "CANARY", "STAGING", "QA", "DEV", "GLOBAL"}

// Build is a service plan's spec on its way into the catalog.
type Build struct {
	Service, ServiceDescription, LogoURL string
	Environment, EnvironmentType         string
	OrgID                                string
	Spec                                 []byte
	DryRun, Force                        bool
	Release                              *Release // nil: not released
}

// Release says how a version is made of what was built.
type Release struct {
	Name, Description         string
	Preferred                 bool
	By, ByName                string // user
	ResourceName, ResourceKey string
}

// Built is where a spec has its place.
type Built struct {
	Service     Service
	Environment Environment
	Plan        Plan
	// LocalPath is a folder of the client that must be sent.
	LocalPath string
	// NewVersion says that a version was made, or would have been.
	NewVersion bool
}

// Prepare checks a spec and finds or makes its service, environment and plan.
func (c *Catalog) Prepare(ctx context.Context, b Build) (Built, error) {
	plan, err := spec.Decode("spec.yaml", b.Spec)
	if err != nil {
		return Built{}, problemsOf(err)
	}
	out := Built{LocalPath: plan.Root().Terraform.LocalPath}
	if out.Service, err = c.ensureService(ctx, b); err != nil {
		return out, err
	}
	if out.Environment, err = c.ensureEnvironment(ctx, out.Service.ID, b); err != nil {
		return out, err
	}
	out.Plan, err = c.ensurePlan(ctx, out.Environment, plan.Name)
	return out, err
}

// Build takes a spec in and pins its content. It makes a version only of content
// that is new, unless it is told to.
func (c *Catalog) Build(ctx context.Context, b Build) (Built, error) {
	out, err := c.Prepare(ctx, b)
	if err != nil {
		return out, err
	}
	var sent []byte
	if out.LocalPath != "" {
		if sent, err = c.sent(ctx, out); err != nil {
			return out, err
		}
	}
	pinned, err := c.Pin(ctx, b.Spec, sent)
	if err != nil {
		return out, err
	}
	out.NewVersion = b.Force
	if !b.Force {
		if out.NewVersion, err = c.isNew(ctx, out.Plan, pinned.Content); err != nil {
			return out, err
		}
	}
	if b.DryRun {
		return out, nil
	}
	if out.NewVersion {
		content := pinned.Content
		item, err := c.plans.Update(ctx, out.Plan.ID, func(p *Plan) error { p.Pending = &content; return nil })
		if err != nil {
			return out, err
		}
		out.Plan = item.Value
	}
	if b.Release == nil {
		out.NewVersion = false
		return out, nil
	}
	root := pinned.Plan.Root()
	b.Release.ResourceName, b.Release.ResourceKey = root.Name, root.Key
	before := out.Plan.Latest
	v, err := c.Release(ctx, out.Plan.ID, *b.Release)
	out.NewVersion = err == nil && v.Number > before
	return out, err
}

// isNew reports whether content differs from the newest there is.
func (c *Catalog) isNew(ctx context.Context, p Plan, content workflow.Content) (bool, error) {
	same := func(o workflow.Content) bool { return o.Artifact == content.Artifact && o.Commit == content.Commit }
	if p.Pending != nil {
		return !same(*p.Pending), nil
	}
	if p.Latest == 0 {
		return true, nil
	}
	v, err := c.Version(ctx, p, "latest")
	return err == nil && !same(v.Content), err
}

func problemsOf(err error) error {
	var ps spec.Problems
	if !errors.As(err, &ps) {
		return err
	}
	refused := invalid("the service plan is not valid")
	refused.Problems = workflow.Problems(ps)
	return refused
}

// ensureService returns the service of a name, and makes it if there is none.
func (c *Catalog) ensureService(ctx context.Context, b Build) (Service, error) {
	if err := checkName("service", b.Service); err != nil {
		return Service{}, err
	}
	s := Service{ID: newID("s-"), Name: b.Service, Description: b.ServiceDescription, LogoURL: b.LogoURL, OrgID: b.OrgID, CreateTime: time.Now().UTC()}
	return ensure(ctx, c, c.services, s.ID, s, claim("service", b.OrgID, b.Service), "service")
}

func (c *Catalog) ensureEnvironment(ctx context.Context, service string, b Build) (Environment, error) {
	e := Environment{ServiceID: service, Name: b.Environment, Type: b.EnvironmentType, AutoApprove: true}
	if e.Name == "" {
		e.Name = "Dev"
	}
	if e.Type == "" {
		e.Type = "DEV"
	}
	return c.environment(ctx, e, true)
}

// environment makes one; one of that name is taken for it if reuse says so.
func (c *Catalog) environment(ctx context.Context, e Environment, reuse bool) (Environment, error) {
	if err := checkName("environment", e.Name); err != nil {
		return e, err
	}
	e.Type = strings.ToUpper(e.Type)
	if !slices.Contains(environmentTypes, e.Type) {
		return e, invalid("environment type %q: want %s", e.Type, strings.Join(environmentTypes, ", "))
	}
	if e.Visibility == "" {
		e.Visibility = "PRIVATE"
		if e.Type == "PROD" {
			e.Visibility = "PUBLIC"
		}
	}
	if e.Visibility != "PUBLIC" && e.Visibility != "PRIVATE" {
		return e, invalid("visibility %q: want PUBLIC or PRIVATE", e.Visibility)
	}
	e.ID, e.CreateTime = newID("se-"), time.Now().UTC()
	made, err := ensure(ctx, c, c.environments, e.ID, e, claim("environment", e.ServiceID, e.Name), "environment")
	if err == nil && made.ID != e.ID && !reuse {
		return made, conflict("there is an environment %q already", e.Name)
	}
	return made, err
}

func (c *Catalog) ensurePlan(ctx context.Context, e Environment, name string) (Plan, error) {
	if err := checkName("plan", name); err != nil {
		return Plan{}, err
	}
	p := Plan{
		ID: newID("pt-"), ServiceID: e.ServiceID, EnvironmentID: e.ID, Name: name, ModelID: newID("sm-"), APIID: newID("sa-"),
		ResourceID: newID("r-"), ModelType: "CUSTOMER_HOSTED", TierType: "CUSTOM_TENANCY", CreateTime: time.Now().UTC(),
	}
	return ensure(ctx, c, c.plans, p.ID, p, claim("plan", e.ID, name), "service plan")
}

// ensure returns what has a name, and makes it if nothing has.
func ensure[T any](ctx context.Context, c *Catalog, table state.Table[T], id string, value T, name state.Name, what string) (T, error) {
	for {
		found, err := c.Store.Lookup(ctx, name)
		if err == nil {
			return get(ctx, table, what, found)
		}
		if !errors.Is(err, state.ErrNotFound) {
			return value, err
		}
		_, err = table.Create(ctx, id, value, name.Claim(id))
		if err == nil || !errors.Is(err, state.ErrExists) {
			return value, err
		}
	}
}
