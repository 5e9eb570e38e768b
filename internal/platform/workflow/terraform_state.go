package workflow

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/stack"
)

// keptStates is how many versions of a deployment's Terraform state are kept.
const keptStates = 20

func stateFolder(id string) string { return "states/" + id + "/" }

// takeState returns the newest Terraform state: the last one kept, or the one an
// interrupted run left behind. The leftovers of that run are ended and removed.
func (r *run) takeState(ctx context.Context) ([]byte, error) {
	stack.EndLeftovers(r.dir())
	left, err := stack.LeftState(r.dir(), r.root.Terraform.Path)
	if err != nil {
		return nil, err
	}
	kept, err := r.engine.lastState(ctx, r.d.ID)
	if err != nil {
		return nil, err
	}
	newest := stack.Newer(kept, left)
	if err := r.engine.putState(ctx, r.d.ID, newest); err != nil {
		return nil, err
	}
	r.taken = true
	return newest, os.RemoveAll(r.dir())
}

// keepState keeps the state as the last command left it.
func (r *run) keepState(ctx context.Context) error {
	data, err := r.tf.State()
	if err != nil {
		return err
	}
	return r.engine.putState(context.WithoutCancel(ctx), r.d.ID, data)
}

func (e *Engine) lastState(ctx context.Context, id string) ([]byte, error) {
	names, err := e.Blobs.List(ctx, stateFolder(id))
	if err != nil || len(names) == 0 {
		return nil, err
	}
	sealed, err := e.Blobs.Get(ctx, names[len(names)-1])
	if err != nil {
		return nil, err
	}
	return e.Keyring.Open(sealed, stateFolder(id))
}

// putState keeps a state as a new version, sealed, unless it is the last one.
func (e *Engine) putState(ctx context.Context, id string, data []byte) error {
	last, err := e.lastState(ctx, id)
	if err != nil || data == nil || string(last) == string(data) {
		return err
	}
	names, err := e.Blobs.List(ctx, stateFolder(id))
	if err != nil {
		return err
	}
	next := 1
	if len(names) > 0 {
		if _, err := fmt.Sscanf(strings.TrimPrefix(names[len(names)-1], stateFolder(id)), "%d", &next); err != nil {
			return fmt.Errorf("state versions of %s: %w", id, err)
		}
		next++
	}
	// A version is never written twice: two writers would be two runs.
	if err := e.Blobs.Create(ctx, fmt.Sprintf("%s%012d", stateFolder(id), next), e.Keyring.Seal(data, stateFolder(id))); err != nil {
		return err
	}
	for len(names) >= keptStates {
		if err := e.Blobs.Delete(ctx, names[0]); err != nil {
			return err
		}
		names = names[1:]
	}
	return nil
}

// forget removes a deployment that Terraform has destroyed.
func (e *Engine) forget(ctx context.Context, d Deployment) error {
	names, err := e.Blobs.List(ctx, stateFolder(d.ID))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := e.Blobs.Delete(ctx, name); err != nil {
			return err
		}
	}
	d.Run.Done, d.Run.Ended = true, time.Now().UTC()
	return e.table.Delete(ctx, d.ID, claim(d.Name).Release(d.ID), e.fileOp(d))
}
