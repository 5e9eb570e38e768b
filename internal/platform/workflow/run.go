package workflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/render"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/spec"
	"github.com/daybreakdb/daybreak/internal/platform/stack"
)

// run carries out one run of a deployment. Everything it does may be done
// again: a run that was interrupted begins anew with the state it left.
type run struct {
	engine *Engine
	logger *slog.Logger
	d      Deployment

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

func (r *run) carryOut(ctx context.Context) error {
	if err := r.begin(ctx); err != nil {
		return r.finish(ctx, err)
	}
	defer r.log.Close()
	steps := []step{{"render", r.render}, {"init", r.init}}
	switch {
	case r.d.Run.Operation == OperationDown && !r.madeAnything(ctx):
		// Even a plan that cannot be initialized can be removed.
		steps = nil
	case r.d.Run.Operation == OperationDown:
		steps = append(steps, step{"plan", r.planDestroy}, step{"destroy", r.apply})
	default:
		steps = append(steps, step{"validate", r.validate}, step{"plan", r.plan}, step{"apply", r.apply},
			step{"outputs", r.outputs}, step{"endpoints", r.endpoints})
	}
	var err error
	for _, s := range steps {
		if err = r.step(ctx, s); err != nil {
			break
		}
	}
	return r.finish(ctx, err)
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

// save writes a change of the deployment.
func (r *run) save(ctx context.Context, change func(*Deployment)) error {
	item, err := r.engine.table.Update(ctx, r.d.ID, func(d *Deployment) error { change(d); return nil })
	if err == nil {
		r.d = item.Value
	}
	return err
}

func (r *run) step(ctx context.Context, s step) error {
	fmt.Fprintf(r.log, "\n── %s ──\n", s.name)
	started := time.Now().UTC()
	err := r.save(ctx, func(d *Deployment) {
		d.Run.Steps = append(d.Run.Steps, Step{Name: s.name, Status: rest.StepRunning, Started: started})
	})
	if err != nil {
		return err
	}
	detail, err := s.do(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // it stays "running": it will be repeated
	}
	status := rest.StepDone
	if err != nil {
		status = rest.StepFailed
	}
	saveErr := r.save(ctx, func(d *Deployment) {
		last := &d.Run.Steps[len(d.Run.Steps)-1]
		last.Status, last.Ended, last.Detail = status, time.Now().UTC(), detail
	})
	return errors.Join(err, saveErr)
}

// finish ends the run: its files go, and what came of it is stored.
func (r *run) finish(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if r.log != nil && err != nil {
		fmt.Fprintf(r.log, "\n%v\n", err)
	}
	if removeErr := os.RemoveAll(r.dir()); err == nil {
		err = removeErr
	}
	if err == nil && r.d.Run.Operation == OperationDown {
		return r.engine.forget(ctx, r.d)
	}
	saveErr := r.save(ctx, func(d *Deployment) {
		d.Run.Done, d.Run.Failed = true, err != nil
		if err != nil {
			d.Run.Message = err.Error()
			var refused *rest.Error
			if errors.As(err, &refused) {
				d.Run.Message, d.Run.Problems, d.Run.Hint = refused.Message, refused.Problems, refused.Hint
			}
			return
		}
		d.Run.Changed = r.changed
		d.Deployed = true
	})
	return errors.Join(err, saveErr)
}

func (r *run) dir() string { return filepath.Join(r.engine.Layout.Runs(), r.d.ID) }

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
	if r.values, err = r.engine.values(&r.d); err != nil {
		return "", err
	}
	if r.cell, err = r.engine.cellOf(ctx, r.d.Target); err != nil {
		return "", err
	}
	sys, err := r.cell.system(ctx, r.d.ID, r.d.Name)
	if err != nil {
		return "", err
	}
	files, err := render.Files(a.files, scope(r.root, sys, r.values))
	if err != nil {
		return "", invalid("the stack cannot be rendered: "+err.Error(), nil)
	}
	terraformState, err := r.takeState(ctx)
	if err != nil {
		return "", err
	}
	if err := writeFiles(stack.Files(r.dir()), files); err != nil {
		return "", err
	}
	tool, err := r.open()
	if err != nil {
		return "", err
	}
	detail := fmt.Sprintf("%s, provider %s", tool, r.d.Provider)
	if err := r.save(ctx, func(d *Deployment) { d.Tool = tool.String() }); err != nil {
		return "", err
	}
	return detail, r.tf.PutState(terraformState)
}

// open prepares Terraform's run in the directory.
func (r *run) open() (stack.Tool, error) {
	e := r.engine
	tool, err := e.Tool(context.WithoutCancel(context.Background()))
	if err != nil {
		return tool, invalid(err.Error(), nil, "Install one, or build OpenTofu: make setup")
	}
	r.tf, err = stack.New(stack.Config{
		Dir: r.dir(), Path: r.root.Terraform.Path, Owner: r.d.ID, Tool: tool, Target: r.cell.target,
		Installation: stack.Installation{Embedded: e.Mirror, Mirror: e.RealMirror, UseEmbedded: r.d.Provider == rest.ProviderEmbedded},
		Secrets:      r.secrets(), Log: r.log,
	})
	return tool, err
}

// secrets are the values that must not be in a log.
func (r *run) secrets() []string {
	secrets := []string{r.cell.target.SecretKey}
	for _, key := range r.root.Sensitive() {
		secrets = append(secrets, r.values[key])
	}
	return secrets
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
	return "", err
}

func (r *run) validate(ctx context.Context) (string, error) { return "", r.tf.Validate(ctx) }

func (r *run) plan(ctx context.Context) (string, error) {
	if err := r.makePlan(ctx, false); err != nil {
		return "", err
	}
	if r.d.Unsure {
		if err := r.adopt(ctx); err != nil {
			return "", err
		}
	}
	if len(r.summary.Databases) > 0 && r.d.Deployed && !r.d.Run.AllowReplace {
		return "", invalid(fmt.Sprintf("the Terraform plan would destroy or replace databases: %v; nothing was changed", r.summary.Databases), nil,
			"If their data may go, approve it: --allow-replace")
	}
	return r.summary.String(), nil
}

func (r *run) planDestroy(ctx context.Context) (string, error) {
	if r.d.Unsure {
		if err := r.makePlan(ctx, false); err != nil {
			return "", err
		}
		if err := r.adopt(ctx); err != nil {
			return "", err
		}
	}
	err := r.makePlan(ctx, true)
	return r.summary.String(), err
}

func (r *run) makePlan(ctx context.Context, destroy bool) (err error) {
	r.summary, r.changed, err = r.tf.Plan(ctx, destroy)
	return errors.Join(err, r.keepState(ctx))
}

// adopt takes into the state what an interrupted apply made without noting it,
// and plans again if there was any.
func (r *run) adopt(ctx context.Context) error {
	n, err := r.tf.Adopt(ctx, r.cell.finder(r.d.ID), r.summary.Creates)
	if err := errors.Join(err, r.keepState(ctx)); err != nil || n == 0 {
		return err
	}
	return r.makePlan(ctx, false)
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
