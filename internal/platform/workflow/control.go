package workflow

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/render"
	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/state"
)

// errTerminated ends a run that somebody wants to end.
var errTerminated = errors.New("the workflow was terminated")

// Events of a step, at which a run can be held.
const (
	eventStart    = "Start"
	eventComplete = "Complete"
	eventFail     = "Fail"
)

// Breakpoints that there are: steps of Terraform, before and after them.
var breakpointSteps = map[string]string{"plan": "TerraformPlan", "apply": "TerraformApply", "destroy": "TerraformApply"}

// CheckBreakpoint refuses an event that no run has.
func CheckBreakpoint(event string) error {
	for _, step := range []string{"TerraformPlan", "TerraformApply"} {
		for _, e := range []string{eventStart, eventComplete, eventFail} {
			if event == step+":"+e {
				return nil
			}
		}
	}
	return invalid(fmt.Sprintf("there is no breakpoint %q; want TerraformPlan or TerraformApply with Start, Complete or Fail", event), nil)
}

// setEnd keeps what ends a deployment's run in this process.
func (e *Engine) setEnd(id string, end context.CancelCauseFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if end == nil {
		delete(e.ends, id)
		return
	}
	e.ends[id] = end
}

// Terminate asks for the end of a deployment's run. Terraform is told to stop,
// which leaves a state that the next run goes on from.
func (e *Engine) Terminate(ctx context.Context, id string) error {
	_, err := e.table.Update(ctx, id, func(d *Deployment) error {
		if d.Run.Done {
			return refusedRun(d, "is done")
		}
		d.Run.Terminate = true
		return nil
	})
	if err != nil {
		return e.missing(err, id)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if end := e.ends[id]; end != nil {
		end(errTerminated)
	}
	return nil
}

func refusedRun(d *Deployment, what string) error {
	return &rest.Error{HTTPStatus: http.StatusConflict, Code: rest.CodeConflict,
		Message: fmt.Sprintf("the workflow of %s on %s %s", d.Run.Operation, d.Name, what)}
}

// missing says in plain words that there is no such deployment.
func (e *Engine) missing(err error, id string) error {
	if errors.Is(err, state.ErrNotFound) {
		return &rest.Error{HTTPStatus: http.StatusNotFound, Code: rest.CodeNotFound, Message: fmt.Sprintf("there is no instance %q", id)}
	}
	return err
}

// terminated is the run's error once it was told to end.
func (r *run) terminated(ctx context.Context) error {
	err := r.save(ctx, func(d *Deployment) {
		for i := range d.Run.Steps {
			if s := &d.Run.Steps[i]; s.Status == rest.StepRunning {
				s.Status, s.Ended = rest.StepFailed, time.Now().UTC()
			}
		}
	})
	return errors.Join(errTerminated, err)
}

// hold waits at a breakpoint until the run is resumed. The place among the runs
// that are carried out at once is for another one meanwhile.
func (r *run) hold(ctx context.Context, step, event string) error {
	event = breakpointSteps[step] + ":" + event
	if !slices.Contains(r.d.Run.Breakpoints, event) || slices.Contains(r.d.Run.Passed, event) || ctx.Err() != nil {
		return nil
	}
	if err := r.save(ctx, func(d *Deployment) { d.Run.Held = event }); err != nil {
		return err
	}
	<-r.engine.free
	defer func() { r.engine.free <- struct{}{} }()
	for {
		item, err := r.engine.table.Get(ctx, r.d.ID)
		if err != nil && !errors.Is(err, state.ErrUnavailable) {
			return err
		}
		if err == nil && item.Value.Run.Held == "" {
			r.d = item.Value
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Resume lets a run go on that is held at a breakpoint. One that was stopped because
// it would destroy databases is begun again with the approval for these.
func (e *Engine) Resume(ctx context.Context, id, by string) error {
	item, err := e.table.Get(ctx, id)
	if err != nil {
		return e.missing(err, id)
	}
	d := item.Value
	if d.Run.Done && d.Run.Failed && len(d.Run.Databases) > 0 {
		_, err := e.again(ctx, item, d.Run.Databases, by)
		return err
	}
	if d.Run.Held == "" {
		return refusedRun(&d, "does not wait for anything")
	}
	_, err = e.table.Update(ctx, id, func(d *Deployment) error {
		if d.Run.Held != "" {
			d.Run.Passed, d.Run.Held = append(d.Run.Passed, d.Run.Held), ""
		}
		return nil
	})
	return err
}

// Retry begins a failed run again.
func (e *Engine) Retry(ctx context.Context, id, by string) error {
	item, err := e.table.Get(ctx, id)
	if err != nil {
		return e.missing(err, id)
	}
	if !item.Value.Run.Done || !item.Value.Run.Failed {
		return refusedRun(&item.Value, "has not failed")
	}
	_, err = e.again(ctx, item, nil, by)
	return err
}

func (e *Engine) again(ctx context.Context, item state.Item[Deployment], approved []string, by string) (rest.Run, error) {
	d := item.Value
	if u := d.Run.Upgrade; u != nil {
		d.setContent(u.To)
	}
	return e.store(ctx, d, item.Revision, Run{
		Operation: d.Run.Operation, AllowReplace: d.Run.AllowReplace, Approved: approved, By: by, Upgrade: d.Run.Upgrade, Breakpoints: d.Run.Breakpoints,
	})
}

// rollBack begins a run with the content that was there before an upgrade, if that
// failed after it had begun to change something.
func (e *Engine) rollBack(ctx context.Context, id string) error {
	item, err := e.table.Get(ctx, id)
	if err != nil {
		return err
	}
	d := item.Value
	if d.Run.Upgrade == nil || !d.Run.Done || !d.Run.Failed || !d.Unsure {
		return nil
	}
	_, err = e.store(ctx, d, item.Revision, Run{Operation: OperationModify, By: "rollback of " + d.Run.Upgrade.To.Version})
	return err
}

// Evaluate returns what an expression of a deployment's templates stands for.
func (e *Engine) Evaluate(ctx context.Context, d Deployment, expression string) (any, error) {
	plan, _, err := e.PlanOf(ctx, d.Artifact)
	if err != nil {
		return nil, err
	}
	values, err := e.values(&d)
	if err != nil {
		return nil, err
	}
	_, sys, err := e.place(ctx, &d)
	if err != nil {
		return nil, err
	}
	root := plan.Root()
	tree := scope(root, sys, values)
	outputs := map[string]storedOutput{}
	if err := e.open(d.ID, d.Outputs, &outputs); err != nil {
		return nil, err
	}
	out := map[string]any{}
	for name, o := range outputs {
		out[name] = o.Value
	}
	tree[root.Key] = map[string]any{"out": out}
	value, err := render.Eval(expression, tree)
	if err != nil {
		return nil, invalid(err.Error(), nil)
	}
	return value, nil
}
