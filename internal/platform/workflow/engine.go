package workflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/daybreakdb/daybreak/internal/blob"
	"github.com/daybreakdb/daybreak/internal/keyring"
	"github.com/daybreakdb/daybreak/internal/layout"
	"github.com/daybreakdb/daybreak/internal/platform/stack"
	"github.com/daybreakdb/daybreak/internal/state"
)

// Config of the engine.
type Config struct {
	Store   *state.Store
	Keyring *keyring.Keyring
	Blobs   blob.Store
	Layout  layout.Layout
	Region  stack.Target // the embedded region
	// Resolve returns the address of a host of the embedded region, whose names only
	// the installation itself may know.
	Resolve func(ctx context.Context, host string) (string, error)
	// Tool finds Terraform or OpenTofu at each run, so that one can be installed
	// meanwhile.
	Tool func(context.Context) (stack.Tool, error)
	// BuildTool builds one where none is found.
	BuildTool func(ctx context.Context, log io.Writer) (stack.Tool, error)
	// Mirror is the folder of the embedded providers; RealMirror one of real
	// providers, or empty for the registry.
	Mirror, RealMirror string
	Logger             *slog.Logger
	Metrics            prometheus.Registerer
}

// Engine takes requests and carries out runs.
type Engine struct {
	Config
	table state.Table[Deployment]
	filed state.Table[Filed]
	runs  *prometheus.CounterVec

	building sync.Mutex // one build of a tool at a time

	mu     sync.Mutex
	active map[string]bool // deployments with a run in this process
	ends   map[string]context.CancelCauseFunc
	free   chan struct{} // a token for each run that may be carried out at once
	wg     sync.WaitGroup
}

// maxRuns is how many runs are carried out at once.
const maxRuns = 4

// New returns an engine. Run carries out what is stored.
func New(c Config) *Engine {
	e := &Engine{
		Config: c, table: state.NewTable[Deployment](c.Store, "platform/deployments"),
		filed:  state.NewTable[Filed](c.Store, "platform/runs"),
		active: map[string]bool{}, ends: map[string]context.CancelCauseFunc{}, free: make(chan struct{}, maxRuns),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "daybreak_deployment_runs_total", Help: "Runs of deployments that ended, by operation and result.",
		}, []string{"operation", "result"}),
	}
	if c.Metrics != nil {
		c.Metrics.MustRegister(e.runs)
	}
	return e
}

// Run takes up every run that is not done, and those that come, until ctx ends.
// Runs are then interrupted; the next engine takes them up again.
func (e *Engine) Run(ctx context.Context) error {
	mirror, err := state.NewMirror(ctx, e.table)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deployments: %w", err)
	}
	defer e.wg.Wait()
	for {
		changed := mirror.Changed()
		for _, item := range mirror.All() {
			if !item.Value.Run.Done {
				e.begin(ctx, item.Key)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// begin carries out the deployment's run unless this process does already.
func (e *Engine) begin(ctx context.Context, id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.active[id] {
		return
	}
	e.active[id] = true
	e.wg.Go(func() {
		select {
		case e.free <- struct{}{}:
			e.execute(ctx, id)
			<-e.free
		case <-ctx.Done():
		}
		e.mu.Lock()
		delete(e.active, id)
		e.mu.Unlock()
		if e.unfinished(ctx, id) {
			e.begin(ctx, id)
		}
	})
}

// retryDelay is the pause before a run is taken up that is there when one ends.
const retryDelay = 100 * time.Millisecond

// unfinished reports whether there is a run to do after one has ended: it was
// stored before this process was ready for it, or the end of the last one could
// not be stored.
func (e *Engine) unfinished(ctx context.Context, id string) bool {
	item, err := e.table.Get(ctx, id)
	if !errors.Is(err, state.ErrUnavailable) && (err != nil || item.Value.Run.Done) {
		return false
	}
	select {
	case <-time.After(retryDelay):
		return true
	case <-ctx.Done():
		return false
	}
}

// execute reads the deployment anew: what the mirror saw may be done by now.
func (e *Engine) execute(ctx context.Context, id string) {
	item, err := e.table.Get(ctx, id)
	if errors.Is(err, state.ErrNotFound) || (err == nil && item.Value.Run.Done) {
		return
	}
	logger := e.Logger.With("deployment", item.Value.Name, "run", item.Value.Run.ID, "operation", string(item.Value.Run.Operation))
	if err != nil {
		logger.Error("run not begun", "error", err)
		return
	}
	logger.Info("run begins")
	r := &run{engine: e, d: item.Value, logger: logger}
	stoppable, end := context.WithCancelCause(ctx)
	e.setEnd(id, end)
	result, err := r.carryOut(ctx, stoppable)
	e.setEnd(id, nil)
	end(nil)
	switch {
	case ctx.Err() != nil:
		logger.Info("run interrupted; the next process goes on")
	case err != nil:
		logger.Error("the run's end could not be stored; it is taken up again", "error", err)
	default:
		e.runs.WithLabelValues(string(item.Value.Run.Operation), result).Inc()
		logger.Info("run ended", "result", result)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
