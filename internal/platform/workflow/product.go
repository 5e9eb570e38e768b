package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/spec"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Filed is a run that is over, with what it was of. It outlives its deployment.
type Filed struct {
	Deployment string  `json:"deployment"` // id
	Name       string  `json:"name"`
	PlanName   string  `json:"planName"`
	Product    Product `json:"product,omitzero"`
	Run        Run     `json:"run"`
}

// fileOp keeps the deployment's last run.
func (e *Engine) fileOp(d Deployment) state.Op {
	key := fmt.Sprintf("%s/%012d", d.ID, d.Run.ID)
	return e.filed.PutOp(key, Filed{Deployment: d.ID, Name: d.Name, PlanName: d.PlanName, Product: d.Product, Run: d.Run}, 0)
}

// Pinned is a plan whose content cannot change any more.
type Pinned struct {
	Content
	Plan  *spec.Plan
	Files map[string]string // of its stack, as they were written
}

// Pin takes a plan's spec with the files of its stack, from the repository that it
// names or as they were sent, and keeps both. It tries the stack out with sample
// values, so that what could never be deployed is refused here.
func (e *Engine) Pin(ctx context.Context, specText []byte, sent []byte) (Pinned, error) {
	plan, err := spec.Decode(specName, specText)
	if err != nil {
		return Pinned{}, problemsOf("the service plan is not valid", err)
	}
	a := artifact{spec: specText, files: map[string]string{}}
	root := plan.Root()
	p := Pinned{Plan: plan}
	if root.Terraform.LocalPath != "" {
		if a.files, err = unpackFiles(sent); err != nil {
			return p, invalid("the folder that was sent cannot be read: "+err.Error(), nil)
		}
		p.Origin = root.Terraform.LocalPath
		data, err := a.pack()
		if err != nil {
			return p, err
		}
		stored, err := e.Upload(ctx, data)
		if err != nil {
			return p, err
		}
		p.Artifact = stored.Digest
	} else {
		if p.Artifact, p.Commit, err = e.fetch(ctx, &a, root); err != nil {
			return p, err
		}
		p.Origin = withoutCredentials(root.Terraform.Git.RepositoryURL) + " at " + p.Commit[:min(12, len(p.Commit))]
	}
	p.Files = a.files
	scratch := Deployment{ID: newID(), Name: "build", Target: rest.TargetEmbedded, Provider: rest.ProviderEmbedded}
	return p, e.tryOut(ctx, &scratch, a, root, samples(root))
}

// samples are values that let a stack be rendered before anybody gave some.
func samples(s *spec.Service) spec.Values {
	byType := map[spec.Type]string{spec.TypeFloat64: "1", spec.TypeBoolean: "true", spec.TypeJSON: "{}"}
	values := spec.Values{}
	for _, p := range s.Parameters {
		switch sample, ok := byType[p.Type]; {
		case p.Default != nil:
			values[p.Key] = *p.Default
		case len(p.Options) > 0:
			values[p.Key] = p.Options[0]
		case ok:
			values[p.Key] = sample
		default:
			values[p.Key] = "sample"
		}
	}
	return values
}

// PlanOf reads a plan that was pinned.
func (e *Engine) PlanOf(ctx context.Context, digest string) (*spec.Plan, map[string]string, error) {
	a, err := e.artifact(ctx, digest)
	if err != nil {
		return nil, nil, err
	}
	plan, err := spec.Decode(specName, a.spec)
	return plan, a.files, err
}

// Order is what a customer asks for.
type Order struct {
	Product     Product
	Content     Content
	Parameters  map[string]any
	Tags        map[string]string
	Breakpoints []string
	By          string
}

// Create makes a deployment of a plan's version and begins its first run.
func (e *Engine) Create(ctx context.Context, o Order) (Deployment, error) {
	d := Deployment{
		ID: newID(), CreateTime: time.Now().UTC(), Target: rest.TargetEmbedded, Product: o.Product, Tags: o.Tags,
		Run: Run{Done: true},
	}
	d.Name = d.ID
	for _, event := range o.Breakpoints {
		if err := CheckBreakpoint(event); err != nil {
			return d, err
		}
	}
	err := e.accept(ctx, &d, rest.UpRequest{
		Artifact: o.Content.Artifact, Origin: o.Content.Origin, Parameters: o.Parameters,
		Target: rest.TargetEmbedded, Provider: rest.ProviderEmbedded,
	})
	if err != nil {
		return d, err
	}
	d.setContent(o.Content)
	_, err = e.store(ctx, d, 0, Run{Operation: OperationUp, By: o.By, Breakpoints: o.Breakpoints})
	return d, err
}

// ByID returns a deployment.
func (e *Engine) ByID(ctx context.Context, id string) (Deployment, error) {
	item, err := e.table.Get(ctx, id)
	return item.Value, e.missing(err, id)
}

// All returns every deployment, oldest first.
func (e *Engine) All(ctx context.Context) ([]Deployment, error) {
	items, _, err := e.table.List(ctx, "")
	out := make([]Deployment, len(items))
	for i, item := range items {
		out[i] = item.Value
	}
	slices.SortFunc(out, func(a, b Deployment) int { return a.CreateTime.Compare(b.CreateTime) })
	return out, err
}

// View is a deployment as clients see it.
func (e *Engine) View(ctx context.Context, d Deployment, showSecrets bool) (rest.Deployment, error) {
	return e.view(ctx, &d, showSecrets)
}

// ChangeTags writes other tags: they are for people, and no run follows.
func (e *Engine) ChangeTags(ctx context.Context, id string, tags map[string]string) error {
	_, err := e.table.Update(ctx, id, func(d *Deployment) error { d.Tags = tags; return nil })
	return e.missing(err, id)
}

// ModifyByID changes parameters and begins a run.
func (e *Engine) ModifyByID(ctx context.Context, id string, parameters map[string]any, by string) error {
	item, err := e.table.Get(ctx, id)
	if err != nil {
		return e.missing(err, id)
	}
	_, err = e.modify(ctx, item, rest.ModifyRequest{Parameters: parameters}, by)
	return err
}

// Delete begins the run that removes a deployment.
func (e *Engine) Delete(ctx context.Context, id, by string) error {
	item, err := e.table.Get(ctx, id)
	if err != nil {
		return e.missing(err, id)
	}
	_, err = e.down(ctx, item, by)
	return err
}

// Operate stops, starts or restarts a deployment's databases. What is so already is
// left as it is: clients repeat their requests.
func (e *Engine) Operate(ctx context.Context, id string, op Operation, by string) error {
	item, err := e.table.Get(ctx, id)
	if err != nil {
		return e.missing(err, id)
	}
	d := item.Value
	if !d.Run.Done {
		if d.Run.Operation == op {
			return nil
		}
		return busy(&d)
	}
	if !d.Deployed {
		return refusedRun(&d, "has not succeeded, so that there is nothing to "+string(op))
	}
	if d.Stopped && op == OperationRestart {
		return idle(&d)
	}
	if !d.Run.Failed && (op == OperationStop && d.Stopped || op == OperationStart && !d.Stopped) {
		return nil
	}
	_, err = e.store(ctx, d, item.Revision, Run{Operation: op, By: by})
	return err
}

// Upgrade puts another content of the plan in the place of the one that a deployment
// has, and begins a run. Parameters that the content needs and the deployment lacks
// must be given.
func (e *Engine) Upgrade(ctx context.Context, id string, to Content, given map[string]any, by string) error {
	item, err := e.table.Get(ctx, id)
	if err != nil {
		return e.missing(err, id)
	}
	d := item.Value
	if err := idle(&d); err != nil {
		return err
	}
	if d.Product.Version == to.Version {
		return invalid(fmt.Sprintf("%s has version %s already", d.Name, to.Version), nil)
	}
	from := d.content()
	if given == nil {
		given = map[string]any{}
	}
	err = e.accept(ctx, &d, rest.UpRequest{Artifact: to.Artifact, Origin: to.Origin, Parameters: given, Provider: d.Provider})
	var refused *rest.Error
	if errors.As(err, &refused) && strings.HasPrefix(refused.Message, "the parameters") {
		refused.Hint = "Version " + to.Version + " needs values that this deployment does not have: modify it first, or give the plan's new parameters a default."
	}
	if err != nil {
		return err
	}
	d.setContent(to)
	_, err = e.store(ctx, d, item.Revision, Run{Operation: OperationUpgrade, By: by, Upgrade: &Upgrade{From: from, To: to}})
	return err
}

// Runs are a deployment's, or all deployments' if id is empty, newest first. Those
// of deployments that are gone are among them.
func (e *Engine) Runs(ctx context.Context, id string) ([]Filed, error) {
	prefix := ""
	if id != "" {
		prefix = id + "/"
	}
	filed, _, err := e.filed.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	var runs []Filed
	for _, item := range filed {
		runs = append(runs, item.Value)
	}
	current, _, err := e.table.List(ctx, id)
	for _, item := range current {
		d := item.Value
		runs = append(runs, Filed{Deployment: d.ID, Name: d.Name, PlanName: d.PlanName, Product: d.Product, Run: d.Run})
	}
	slices.SortStableFunc(runs, func(a, b Filed) int { return b.Run.Requested.Compare(a.Run.Requested) })
	return runs, err
}
