package workflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/render"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/spec"
	"github.com/daybreakdb/daybreak/internal/platform/stack"
	"github.com/daybreakdb/daybreak/internal/state"
)

// run carries out one run of a deployment. Everything it does may be done
// again: a run that was interrupted begins anew with the state it left.
type run struct {
	engine *Engine
	logger *slog.Logger
	d      Deployment

	unsure  bool // the deployment was, when the run began
	taken   bool // the state of an interrupted run is kept
	begun   int  // steps
	tool    stack.Tool
	root    *spec.Service
	values  spec.Values
	cell    cell
	tf      *stack.Run
	summary stack.Summary
	changed bool
	log     *os.File
}

// step is a named part of a run; what it returns for people is kept with it.
type step struct {
	name string
	do   func(context.Context) (detail string, err error)
}

// carryOut returns what came of the run; an error says that it is not stored. The
// steps are taken under stoppable, which ends before ctx when the run is terminated.
func (r *run) carryOut(ctx, stoppable context.Context) (result string, err error) {
	r.unsure = r.d.Unsure
	err = r.begin(ctx)
	if err == nil {
		defer r.log.Close()
		err = r.takeSteps(stoppable)
	}
	if err != nil && ctx.Err() == nil && (stoppable.Err() != nil || r.d.Run.Terminate) {
		err = r.terminated(ctx)
	}
	result = "done"
	if err != nil {
		result = "failed"
	}
	return result, r.finish(ctx, err)
}

func (r *run) takeSteps(ctx context.Context) error {
	if r.d.Run.Terminate {
		return errTerminated // before a restart of this process
	}
	for _, s := range r.steps(ctx) {
		if err := r.hold(ctx, s.name, eventStart); err != nil {
			return err
		}
		err := r.step(ctx, s)
		event := eventComplete
		if err != nil {
			event = eventFail
		}
		if err := errors.Join(err, r.hold(ctx, s.name, event)); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) steps(ctx context.Context) []step {
	if do, ok := r.onDatabases(); ok {
		return []step{{string(r.d.Run.Operation), do}}
	}
	down := r.d.Run.Operation == OperationDown
	if down && !r.madeAnything(ctx) {
		return nil // even a plan that cannot be initialized can be removed
	}
	var steps []step
	if r.lacksTool(ctx) {
		steps = append(steps, step{"opentofu", r.buildTool})
	}
	steps = append(steps, step{"render", r.render}, step{"init", r.init})
	if !down {
		return append(steps, step{"validate", r.validate}, step{"plan", r.plan}, step{"apply", r.apply},
			step{"outputs", r.outputs}, step{"endpoints", r.endpoints})
	}
	if r.d.Stopped {
		steps = append(steps, step{"start", r.start}) // what is stopped cannot be removed
	}
	steps = append(steps, step{"plan", r.planDestroy}, step{"destroy", r.apply})
	if r.unsure {
		steps = append(steps, step{"leftovers", r.nothingLeft})
	}
	return steps
}

// madeAnything reports whether an apply was ever begun.
func (r *run) madeAnything(ctx context.Context) bool {
	kept, err := r.engine.lastState(ctx, r.d.ID)
	return r.d.Unsure || kept != nil || err != nil
}

// begin opens the log and clears the steps of an interrupted attempt.
func (r *run) begin(ctx context.Context) error {
	path := r.engine.logPath(r.d.ID, r.d.Run.ID)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	r.log = log
	if len(r.d.Run.Steps) > 0 {
		fmt.Fprintf(log, "\n── the run was interrupted and begins anew ──\n")
	}
	return r.save(ctx, func(d *Deployment) { d.Run.Steps = nil })
}

// save writes a change of the deployment, which may be made twice; it waits
// while etcd is away.
func (r *run) save(ctx context.Context, change func(*Deployment)) error {
	for waited := false; ; waited = true {
		item, err := r.engine.table.Update(ctx, r.d.ID, func(d *Deployment) error { change(d); return nil })
		if err == nil {
			r.d = item.Value
		}
		if !errors.Is(err, state.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		if !waited {
			r.logger.Warn("waiting for the state store", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryDelay):
		}
	}
}

func (r *run) step(ctx context.Context, s step) error {
	fmt.Fprintf(r.log, "\n── %s ──\n", s.name)
	n, started := r.begun, time.Now().UTC()
	r.begun++
	err := r.save(ctx, func(d *Deployment) {
		d.Run.Steps = append(d.Run.Steps[:n], Step{Name: s.name, Status: rest.StepRunning, Started: started})
	})
	if err != nil {
		return err
	}
	detail, err := s.do(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // it stays "running": it will be repeated
	}
	status, ended := rest.StepDone, time.Now().UTC()
	if err != nil {
		status = rest.StepFailed
	}
	saveErr := r.save(ctx, func(d *Deployment) {
		d.Run.Steps[n].Status, d.Run.Steps[n].Ended, d.Run.Steps[n].Detail = status, ended, detail
	})
	return errors.Join(err, saveErr)
}

// finish ends the run: its files go, and what came of it is stored.
func (r *run) finish(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err = errors.Join(err, r.removeFiles(ctx, err))
	if r.log != nil && err != nil {
		fmt.Fprintf(r.log, "\n%v\n", err)
	}
	if err == nil && r.d.Run.Operation == OperationDown {
		return r.engine.forget(ctx, r.d)
	}
	if err := r.end(ctx, err); err != nil {
		return err
	}
	return r.engine.rollBack(ctx, r.d.ID)
}

// end stores what came of the run.
func (r *run) end(ctx context.Context, err error) error {
	return r.save(ctx, func(d *Deployment) {
		d.Run.Done, d.Run.Failed, d.Run.Ended, d.Run.Held = true, err != nil, time.Now().UTC(), ""
		if err != nil {
			if u := d.Run.Upgrade; u != nil {
				d.setContent(u.From) // what a later run begins from
			}
			d.Run.Message = err.Error()
			var refused *rest.Error
			if errors.As(err, &refused) {
				d.Run.Message, d.Run.Problems, d.Run.Hint = refused.Message, refused.Problems, refused.Hint
			}
			return
		}
		d.Run.Changed = r.changed
		d.Deployed = true
		switch d.Run.Operation {
		case OperationStop:
			d.Stopped = true
		case OperationStart:
			d.Stopped = false
		}
	})
}

// removeFiles removes the run's directory, unless the only copy of the newest
// state is in it: the next run takes it from there.
func (r *run) removeFiles(ctx context.Context, failure error) error {
	if failure != nil {
		stack.EndLeftovers(r.dir()) // providers of a Terraform that was killed
	}
	switch {
	case r.tf != nil:
		if err := r.keepState(ctx); err != nil {
			return fmt.Errorf("the state of Terraform cannot be kept; it stays in %s: %w", r.dir(), err)
		}
	case failure != nil && !r.taken:
		return nil
	}
	return os.RemoveAll(r.dir())
}

func (r *run) dir() string { return filepath.Join(r.engine.Layout.Runs(), r.d.ID) }

// lacksTool looks for Terraform, and reports whether one is to be built.
func (r *run) lacksTool(ctx context.Context) bool {
	var err error
	r.tool, err = r.engine.Tool(ctx)
	return errors.Is(err, stack.ErrNoTool) && r.engine.BuildTool != nil
}

func (r *run) buildTool(ctx context.Context) (string, error) {
	r.engine.building.Lock()
	defer r.engine.building.Unlock()
	var err error
	if r.tool, err = r.engine.Tool(ctx); err == nil {
		return r.tool.String(), nil // another run has built it meanwhile
	}
	if r.tool, err = r.engine.BuildTool(ctx, r.log); err != nil {
		return "", invalid(stack.ErrNoTool.Error()+"; "+err.Error(), nil, "Install one of them, or Go 1.21 or newer to build OpenTofu with.")
	}
	return r.tool.String(), nil
}

// render writes the stack's files, with the newest state beside them.
func (r *run) render(ctx context.Context) (string, error) {
	a, err := r.engine.artifact(ctx, r.d.Artifact)
	if err != nil {
		return "", err
	}
	plan, err := spec.Decode(specName, a.spec)
	if err != nil {
		return "", problemsOf("the service plan is not valid", err)
	}
	r.root = plan.Root()
	terraformState, err := r.takeState(ctx)
	if err != nil {
		return "", err
	}
	if r.values, err = r.engine.values(&r.d); err != nil {
		return "", err
	}
	var sys render.System
	if r.cell, sys, err = r.engine.place(ctx, &r.d); err != nil {
		return "", err
	}
	files, err := render.Files(a.files, scope(r.root, sys, r.values))
	if err != nil {
		return "", invalid("the stack cannot be rendered: "+err.Error(), nil)
	}
	if err := writeFiles(stack.Files(r.dir()), files); err != nil {
		return "", err
	}
	if err := r.open(ctx); err != nil {
		return "", err
	}
	detail := fmt.Sprintf("%s, provider %s", r.tool, r.d.Provider)
	if err := r.save(ctx, func(d *Deployment) { d.Tool = r.tool.String() }); err != nil {
		return "", err
	}
	return detail, r.tf.PutState(terraformState)
}

// open prepares Terraform's run in the directory.
func (r *run) open(ctx context.Context) (err error) {
	e := r.engine
	if r.tool.Path == "" {
		if r.tool, err = e.Tool(ctx); err != nil {
			return invalid(err.Error(), nil, "Install one, or build OpenTofu: make setup")
		}
	}
	secrets, err := r.secrets()
	if err != nil {
		return err
	}
	r.tf, err = stack.New(stack.Config{
		Dir: r.dir(), Path: r.root.Terraform.Path, Owner: r.d.ID, Tool: r.tool, Target: r.cell.target,
		Installation: stack.Installation{Embedded: e.Mirror, Mirror: e.RealMirror, UseEmbedded: r.d.Provider == rest.ProviderEmbedded},
		Secrets:      secrets, Log: r.log,
	})
	return err
}

// secrets are the values that must not be in a log: those given, and those that
// the last apply made.
func (r *run) secrets() ([]string, error) {
	secrets := []string{r.cell.target.SecretKey}
	for _, key := range r.root.Sensitive() {
		secrets = append(secrets, r.values[key])
	}
	outputs := map[string]storedOutput{}
	if err := r.engine.open(r.d.ID, r.d.Outputs, &outputs); err != nil {
		return nil, err
	}
	for _, o := range outputs {
		if text, ok := o.Value.(string); ok && o.Sensitive {
			secrets = append(secrets, text)
		}
	}
	return secrets, nil
}

// writeFiles writes a rendered stack, which holds secrets.
func writeFiles(dir string, files map[string]string) error {
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) init(ctx context.Context) (string, error) {
	err := r.tf.Init(ctx)
	var failed *stack.Error
	if errors.As(err, &failed) && r.d.Provider == rest.ProviderRegistry {
		return "", &rest.Error{Code: rest.CodeInvalid, Message: failed.Error(),
			Hint: "Is a registry reachable? DAYBREAK_PROVIDER_MIRROR names a filesystem mirror; --provider embedded needs neither."}
	}
	if err != nil {
		return "", err
	}
	providers, err := r.tf.Providers()
	if err != nil {
		return "", err
	}
	var names []string
	for _, name := range sortedKeys(providers) {
		names = append(names, name+" "+providers[name])
	}
	return strings.Join(names, ", "), r.save(ctx, func(d *Deployment) { d.Providers = providers })
}

func (r *run) validate(ctx context.Context) (string, error) { return "", r.tf.Validate(ctx) }

func (r *run) plan(ctx context.Context) (string, error) {
	if err := r.makePlan(ctx, false); err != nil {
		return "", err
	}
	if r.d.Unsure {
		foreign, err := r.adopt(ctx)
		if err != nil {
			return "", err
		}
		if len(foreign) > 0 {
			return "", invalid(fmt.Sprintf("in the way, and not made by this deployment: %v; nothing was changed", foreign), nil,
				"Remove them, or choose other names in the stack.")
		}
	}
	return r.summary.String(), r.approved(ctx)
}

// approved stops a plan that would destroy or replace databases, unless somebody has
// said of these that they may go.
func (r *run) approved(ctx context.Context) error {
	unasked := slices.DeleteFunc(slices.Clone(r.summary.Databases), func(address string) bool { return slices.Contains(r.d.Run.Approved, address) })
	if len(unasked) == 0 || !r.d.Deployed || r.d.Run.AllowReplace {
		return nil
	}
	all := r.summary.Databases
	err := r.save(ctx, func(d *Deployment) { d.Run.Databases = all })
	return errors.Join(invalid(fmt.Sprintf("the Terraform plan would destroy or replace databases: %v; nothing was changed", all), nil,
		"If their data may go, approve it: --allow-replace, or resume the workflow."), err)
}

// planDestroy plans to remove what the state knows, and, where an apply was
// interrupted, what is found by planning that one again. A stack that cannot be
// planned any more does not stand in the way: nothingLeft looks in the end.
func (r *run) planDestroy(ctx context.Context) (string, error) {
	if r.unsure {
		err := r.makePlan(ctx, false)
		if err == nil {
			_, err = r.adopt(ctx) // what is foreign stays
		}
		var failed *stack.Error
		if err != nil && !errors.As(err, &failed) {
			return "", err
		}
	}
	err := r.makePlan(ctx, true)
	return r.summary.String(), err
}

// nothingLeft sees to it that AWS has nothing more of the deployment.
func (r *run) nothingLeft(ctx context.Context) (string, error) {
	left, err := r.cell.finder(r.d.ID).Owned(ctx)
	if err == nil && len(left) > 0 {
		err = invalid(fmt.Sprintf("left in AWS, where Terraform does not know of it: %s", strings.Join(left, ", ")), nil,
			"Remove it by hand, or bring the stack back to what made it; then repeat the command.")
	}
	if err != nil {
		return "", errors.Join(err, r.save(ctx, func(d *Deployment) { d.Unsure = true }))
	}
	return "none", nil
}

func (r *run) makePlan(ctx context.Context, destroy bool) (err error) {
	r.summary, r.changed, err = r.tf.Plan(ctx, destroy)
	return errors.Join(err, r.keepState(ctx))
}

// adopt takes into the state what an interrupted apply made without noting it,
// and plans again if there was any. It returns what is there but not ours.
func (r *run) adopt(ctx context.Context) ([]stack.Foreign, error) {
	n, foreign, err := r.tf.Adopt(ctx, r.cell.finder(r.d.ID), r.summary.Creates)
	if err := errors.Join(err, r.keepState(ctx)); err != nil || n == 0 {
		return foreign, err
	}
	return foreign, r.makePlan(ctx, false)
}

func (r *run) apply(ctx context.Context) (string, error) {
	if !r.changed {
		return "nothing to do", nil
	}
	if err := r.save(ctx, func(d *Deployment) { d.Unsure = true }); err != nil {
		return "", err
	}
	if err := errors.Join(r.tf.Apply(ctx), r.keepState(ctx)); err != nil {
		return "", err // it stays unsure: Terraform may have been killed
	}
	return r.summary.String(), r.save(ctx, func(d *Deployment) { d.Unsure = false })
}

func (r *run) outputs(ctx context.Context) (string, error) {
	outputs, err := r.tf.Outputs(ctx)
	if err != nil {
		return "", err
	}
	var names []string
	for name := range outputs {
		names = append(names, name)
	}
	if ps := r.root.Terraform.MissingOutputs(specName, names); len(ps) > 0 {
		return "", invalid("required outputs are missing after apply", ps)
	}
	sealed, err := r.engine.seal(r.d.ID, outputs)
	if err != nil {
		return "", err
	}
	endpoints, err := endpointsOf(r.root, outputs)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d outputs", len(outputs)), r.save(ctx, func(d *Deployment) { d.Outputs, d.Endpoints = sealed, endpoints })
}
