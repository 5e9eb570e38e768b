package workflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
	"github.com/daybreakdb/daybreak/internal/platform/spec"
	"github.com/daybreakdb/daybreak/internal/state"
)

// List returns every deployment, by name.
func (e *Engine) List(ctx context.Context) ([]rest.Deployment, error) {
	items, _, err := e.table.List(ctx, "")
	if err != nil {
		return nil, err
	}
	out := make([]rest.Deployment, 0, len(items))
	for _, item := range items {
		d, err := e.view(ctx, &item.Value, false)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b rest.Deployment) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Describe returns one deployment.
func (e *Engine) Describe(ctx context.Context, name string, showSecrets bool) (rest.Deployment, error) {
	item, err := e.byName(ctx, name)
	if errors.Is(err, state.ErrNotFound) {
		return rest.Deployment{}, notFound(name)
	}
	if err != nil {
		return rest.Deployment{}, err
	}
	return e.view(ctx, &item.Value, showSecrets)
}

func (e *Engine) view(ctx context.Context, d *Deployment, showSecrets bool) (rest.Deployment, error) {
	v := rest.Deployment{
		ID: d.ID, Name: d.Name, Status: d.Status(), Changed: d.Run.Changed,
		Message: d.Run.Message, Problems: d.Run.Problems, Hint: d.Run.Hint,
		Plan:   rest.Plan{Name: d.PlanName, Artifact: d.Artifact, Origin: d.Origin, Commit: d.Commit},
		Target: d.Target, Provider: d.Provider, Tool: d.Tool, Providers: d.Providers, Region: d.Region, CreateTime: d.CreateTime,
		Parameters: map[string]any{}, Outputs: map[string]any{}, Endpoints: d.Endpoints,
		Run:   rest.RunState{ID: d.Run.ID, Operation: string(d.Run.Operation), Done: d.Run.Done, Failed: d.Run.Failed},
		Steps: []rest.Step{},
	}
	if v.Endpoints == nil {
		v.Endpoints = map[string]rest.Endpoint{}
	}
	for _, s := range d.Run.Steps {
		end := s.Ended
		if end.IsZero() {
			end = time.Now()
		}
		v.Steps = append(v.Steps, rest.Step{Name: s.Name, Status: s.Status, Seconds: end.Sub(s.Started).Seconds(), Detail: s.Detail})
	}
	if err := e.viewParameters(ctx, d, &v, showSecrets); err != nil {
		return v, err
	}
	outputs := map[string]storedOutput{}
	if err := e.open(d.ID, d.Outputs, &outputs); err != nil {
		return v, err
	}
	for name, o := range outputs {
		v.Outputs[name] = o.Value
		if o.Sensitive && !showSecrets {
			v.Outputs[name] = rest.Masked
		}
	}
	return v, nil
}

// viewParameters shows the values as the plan knows them; what the plan does not
// know is masked.
func (e *Engine) viewParameters(ctx context.Context, d *Deployment, v *rest.Deployment, showSecrets bool) error {
	values, err := e.values(d)
	if err != nil {
		return err
	}
	shown := map[string]bool{}
	if a, err := e.artifact(ctx, d.Artifact); err == nil {
		if plan, err := spec.Decode(specName, a.spec); err == nil {
			for _, p := range plan.Root().Parameters {
				shown[p.Key] = !p.Sensitive()
			}
		}
	}
	for key, value := range values {
		v.Parameters[key] = value
		if !shown[key] && !showSecrets {
			v.Parameters[key] = rest.Masked
		}
	}
	return nil
}

func (e *Engine) logPath(id string, runID int64) string {
	return filepath.Join(e.Layout.Logs(), "runs", id, fmt.Sprintf("%06d.log", runID))
}

// Log writes Terraform's words of the last run to w; with follow, until the run
// is done. flush is called when there is nothing more for now.
func (e *Engine) Log(ctx context.Context, name string, follow bool, w io.Writer, flush func()) error {
	item, err := e.byName(ctx, name)
	if errors.Is(err, state.ErrNotFound) {
		return notFound(name)
	}
	if err != nil {
		return err
	}
	id, runID := item.Value.ID, item.Value.Run.ID
	var offset int64
	for {
		// Done is read before the file, so that nothing written last is missed.
		current, err := e.table.Get(ctx, id)
		gone := errors.Is(err, state.ErrNotFound)
		if err != nil && !gone {
			return err
		}
		n, err := copyFrom(w, e.logPath(id, runID), offset)
		if err != nil {
			return err
		}
		offset += n
		flush()
		if !follow || gone || current.Value.Run.Done || current.Value.Run.ID != runID {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func copyFrom(w io.Writer, path string, offset int64) (int64, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	return io.Copy(w, file)
}
