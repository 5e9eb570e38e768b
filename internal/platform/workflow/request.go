package workflow

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/render"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/spec"
	"github.com/daybreakdb/daybreak/internal/platform/stack"
	"github.com/daybreakdb/daybreak/internal/provider"
	"github.com/daybreakdb/daybreak/internal/state"
)

func invalid(message string, ps spec.Problems, hint ...string) *rest.Error {
	return &rest.Error{HTTPStatus: http.StatusBadRequest, Code: rest.CodeInvalid, Message: message, Problems: Problems(ps), Hint: strings.Join(hint, "\n")}
}

func notFound(name string) *rest.Error {
	return &rest.Error{HTTPStatus: http.StatusNotFound, Code: rest.CodeNotFound,
		Message: fmt.Sprintf("there is no deployment %q", name), Hint: "Those that there are: daybreak list"}
}

func busy(d *Deployment) *rest.Error {
	return &rest.Error{HTTPStatus: http.StatusConflict, Code: rest.CodeConflict,
		Message: fmt.Sprintf("a run of %s is under way on %s", d.Run.Operation, d.Name),
		Hint:    "See it: daybreak logs " + d.Name + ". Repeat the command when it is done."}
}

// idle refuses what can only be done while no run is under way and the databases
// run.
func idle(d *Deployment) error {
	if !d.Run.Done {
		return busy(d)
	}
	if d.Stopped {
		return &rest.Error{HTTPStatus: http.StatusConflict, Code: rest.CodeConflict, Message: d.Name + " is stopped", Hint: "Start it first."}
	}
	return nil
}

// deploymentName keeps names usable in paths and commands.
var deploymentName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$`)

// Up stores what is asked for and begins a run. Everything that can be known to
// be wrong is refused before anything is stored.
func (e *Engine) Up(ctx context.Context, name string, req rest.UpRequest) (rest.Run, error) {
	if !deploymentName.MatchString(name) {
		return rest.Run{}, invalid(fmt.Sprintf("%q cannot be a deployment's name: want at most 40 lower-case letters, digits and -, a letter first", name), nil, "Choose one: --name")
	}
	if err := defaults(&req); err != nil {
		return rest.Run{}, err
	}
	existing, err := e.byName(ctx, name)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return rest.Run{}, err
	}
	d := existing.Value
	if errors.Is(err, state.ErrNotFound) {
		d = Deployment{ID: newID(), Name: name, CreateTime: time.Now().UTC(), Target: req.Target, Run: Run{Done: true}}
	}
	if err := idle(&d); err != nil {
		return rest.Run{}, err
	}
	if d.Target != req.Target {
		return rest.Run{}, invalid(fmt.Sprintf("%s stands on target %s and cannot move to %s", name, d.Target, req.Target), nil, "Choose another --name.")
	}
	if err := e.accept(ctx, &d, req); err != nil {
		return rest.Run{}, err
	}
	return e.store(ctx, d, existing.Revision, Run{Operation: OperationUp, AllowReplace: req.AllowReplace})
}

func defaults(req *rest.UpRequest) error {
	if req.Target == "" {
		req.Target = rest.TargetEmbedded
	}
	if req.Target != rest.TargetEmbedded && req.Target != rest.TargetAWS {
		return invalid(fmt.Sprintf("target %q: want embedded or aws", req.Target), nil)
	}
	if req.Provider == "" {
		req.Provider = rest.ProviderEmbedded
		if req.Target == rest.TargetAWS {
			req.Provider = rest.ProviderRegistry
		}
	}
	if req.Provider != rest.ProviderEmbedded && req.Provider != rest.ProviderRegistry {
		return invalid(fmt.Sprintf("provider %q: want embedded or registry", req.Provider), nil)
	}
	if req.Target == rest.TargetAWS && req.Provider == rest.ProviderEmbedded {
		return invalid("target aws needs the real provider: --provider registry", nil)
	}
	return nil
}

// accept checks a plan and its parameters and puts them into the deployment.
func (e *Engine) accept(ctx context.Context, d *Deployment, req rest.UpRequest) error {
	a, err := e.artifact(ctx, req.Artifact)
	if err != nil {
		return err
	}
	plan, err := spec.Decode(specName, a.spec)
	if err != nil {
		return problemsOf("the service plan is not valid", err)
	}
	root := plan.Root()
	d.Artifact, d.Origin, d.PlanName, d.Provider, d.Commit = req.Artifact, req.Origin, plan.Name, req.Provider, ""
	if len(a.files) == 0 {
		if d.Artifact, d.Commit, err = e.fetch(ctx, &a, root); err != nil {
			return err
		}
		d.Origin = withoutCredentials(root.Terraform.Git.RepositoryURL) + " at " + d.Commit[:min(12, len(d.Commit))]
	}
	values, err := e.resolve(d, root, req.Parameters)
	if err != nil {
		return problemsOf("the parameters are not valid", err)
	}
	if d.Values, err = e.seal(d.ID, values); err != nil {
		return err
	}
	return e.tryOut(ctx, d, a, root, values)
}

// fetch gets the stack of a plan from its repository and pins it.
func (e *Engine) fetch(ctx context.Context, a *artifact, root *spec.Service) (digest, commit string, err error) {
	g := root.Terraform.Git
	if g == nil {
		return "", "", invalid("the plan's stack was not sent, and the plan names no repository", nil)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if a.files, commit, err = clone(ctx, *g); err != nil {
		return "", "", invalid(err.Error(), nil, "If you have a checkout: --source "+withoutCredentials(g.RepositoryURL)+"=PATH")
	}
	data, err := a.pack()
	if err != nil {
		return "", "", err
	}
	artifact, err := e.Upload(ctx, data)
	return artifact.Digest, commit, err
}

// resolve checks what was given. Until a first run has succeeded nothing is
// fixed.
func (e *Engine) resolve(d *Deployment, root *spec.Service, given map[string]any) (spec.Values, error) {
	if d.Values == nil {
		return root.Create(given)
	}
	have, err := e.values(d)
	if err != nil {
		return nil, err
	}
	if d.Deployed {
		return root.Modify(given, have)
	}
	for key, value := range have {
		if _, ok := given[key]; !ok && slices.ContainsFunc(root.Parameters, func(p spec.Parameter) bool { return p.Key == key }) {
			if given == nil {
				given = map[string]any{}
			}
			given[key] = value
		}
	}
	return root.Create(given)
}

// tryOut renders the stack and looks at what it declares, before anything is
// stored.
func (e *Engine) tryOut(ctx context.Context, d *Deployment, a artifact, root *spec.Service, values spec.Values) error {
	_, sys, err := e.place(ctx, d)
	if err != nil {
		return err
	}
	d.Region, d.Vpc = sys.Region, sys.NetworkID
	files, err := render.Files(a.files, scope(root, sys, values))
	if err != nil {
		return invalid("the stack cannot be rendered: "+err.Error(), nil)
	}
	contents, err := stack.Inspect(files, root.Terraform.Path)
	if err != nil {
		return invalid(err.Error(), nil, "The plan says terraformPath: /"+root.Terraform.Path)
	}
	if ps := root.Terraform.MissingOutputs(specName, contents.Outputs); len(ps) > 0 {
		return invalid("the stack lacks required outputs", ps)
	}
	return supported(d, contents)
}

// supported says early that the embedded provider does not do.
func supported(d *Deployment, c stack.Contents) error {
	if d.Provider != rest.ProviderEmbedded {
		return nil
	}
	var missing []string
	for _, t := range c.Resources {
		if embeddable(t) && !provider.Supports(t) {
			missing = append(missing, t)
		}
	}
	for _, t := range c.DataSources {
		if embeddable(t) && !provider.SupportsData(t) {
			missing = append(missing, "data "+t)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return invalid("the embedded provider does not have "+strings.Join(missing, ", "), nil,
		"Use the real hashicorp/aws: --provider registry (DAYBREAK_PROVIDER_MIRROR names a mirror of it, where there is no network)")
}

func embeddable(t string) bool {
	return strings.HasPrefix(t, "aws_") || strings.HasPrefix(t, "random_")
}

// scope is what the stack's templates may name.
func scope(root *spec.Service, sys render.System, values spec.Values) render.Scope {
	vars := map[string]any{}
	for key, value := range values {
		vars[key] = value
	}
	return render.Scope{"var": vars, "sys": sys.Tree()}
}

// Modify changes parameters and begins a run.
func (e *Engine) Modify(ctx context.Context, name string, req rest.ModifyRequest) (rest.Run, error) {
	item, err := e.byName(ctx, name)
	if errors.Is(err, state.ErrNotFound) {
		return rest.Run{}, notFound(name)
	}
	if err != nil {
		return rest.Run{}, err
	}
	return e.modify(ctx, item, req, "")
}

func (e *Engine) modify(ctx context.Context, item state.Item[Deployment], req rest.ModifyRequest, by string) (rest.Run, error) {
	d := item.Value
	if err := idle(&d); err != nil {
		return rest.Run{}, err
	}
	a, err := e.artifact(ctx, d.Artifact)
	if err != nil {
		return rest.Run{}, err
	}
	plan, err := spec.Decode(specName, a.spec)
	if err != nil {
		return rest.Run{}, problemsOf("the service plan is not valid", err)
	}
	values, err := e.resolve(&d, plan.Root(), req.Parameters)
	if err != nil {
		return rest.Run{}, problemsOf("the parameters are not valid", err)
	}
	if d.Values, err = e.seal(d.ID, values); err != nil {
		return rest.Run{}, err
	}
	return e.store(ctx, d, item.Revision, Run{Operation: OperationModify, AllowReplace: req.AllowReplace, By: by})
}

// Down begins the run that removes a deployment. A removal that is under way
// already is taken for it.
func (e *Engine) Down(ctx context.Context, name string) (rest.Run, error) {
	item, err := e.byName(ctx, name)
	if errors.Is(err, state.ErrNotFound) {
		return rest.Run{}, notFound(name)
	}
	if err != nil {
		return rest.Run{}, err
	}
	return e.down(ctx, item, "")
}

func (e *Engine) down(ctx context.Context, item state.Item[Deployment], by string) (rest.Run, error) {
	d := item.Value
	if !d.Run.Done {
		if d.Run.Operation == OperationDown {
			return rest.Run{ID: d.Run.ID, Deployment: d.Name}, nil
		}
		return rest.Run{}, busy(&d)
	}
	return e.store(ctx, d, item.Revision, Run{Operation: OperationDown, AllowReplace: true, By: by})
}

// store writes the intent of a run, and files the one before it; revision 0 is a
// new deployment.
func (e *Engine) store(ctx context.Context, d Deployment, revision int64, next Run) (rest.Run, error) {
	var ops []state.Op
	if d.Run.ID > 0 {
		ops = append(ops, e.fileOp(d))
	}
	next.ID, next.Requested = d.Run.ID+1, time.Now().UTC()
	d.Run = next
	ops = append(ops, e.table.PutOp(d.ID, d, revision))
	if revision == 0 {
		ops = append(ops, claim(d.Name).Claim(d.ID))
	}
	_, err := e.Store.Commit(ctx, ops...)
	if errors.Is(err, state.ErrConflict) {
		return rest.Run{}, busy(&d)
	}
	return rest.Run{ID: d.Run.ID, Deployment: d.Name}, err
}

func claim(name string) state.Name {
	return state.Name{Kind: "deployment", Account: "platform", Region: "platform", Name: name}
}

func (e *Engine) byName(ctx context.Context, name string) (state.Item[Deployment], error) {
	id, err := e.Store.Lookup(ctx, claim(name))
	if err != nil {
		return state.Item[Deployment]{}, err
	}
	return e.table.Get(ctx, id)
}

// newID is an id that can be part of every AWS identifier.
func newID() string { return "instance-" + strings.ToLower(rand.Text()[:9]) }

func (e *Engine) seal(id string, value any) ([]byte, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return e.Keyring.Seal(data, "deployment/"+id), nil
}

func (e *Engine) open(id string, sealed []byte, value any) error {
	if sealed == nil {
		return nil
	}
	data, err := e.Keyring.Open(sealed, "deployment/"+id)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, value)
}

func (e *Engine) values(d *Deployment) (spec.Values, error) {
	values := spec.Values{}
	return values, e.open(d.ID, d.Values, &values)
}

func problemsOf(message string, err error) error {
	var ps spec.Problems
	if errors.As(err, &ps) {
		return invalid(message, ps)
	}
	return err
}
