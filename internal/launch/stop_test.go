package launch

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestStopGoesOnWhenDatabasesCannotBeStopped(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	never := make(chan struct{})
	defer close(never)
	err := bounded(ctx, func(context.Context) error { <-never; return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it says %v", err)
	}
}
