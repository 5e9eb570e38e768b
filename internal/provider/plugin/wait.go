package plugin

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	firstPoll = 100 * time.Millisecond
	lastPoll  = time.Second
)

// Wait calls probe until it is done, first often, then every second. probe also tells the state that it saw, for the
// error of a wait that takes too long.
func Wait(ctx context.Context, timeout time.Duration, probe func(context.Context) (state string, done bool, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var seen string
	for pause := firstPoll; ; pause = min(pause+pause/4, lastPoll) {
		state, done, err := probe(ctx)
		if err == nil && done {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		if state != "" {
			seen = state
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("timeout while waiting (last state: %q, timeout: %s)", seen, timeout)
			}
			return fmt.Errorf("interrupted (last state: %q): %w", seen, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// Retry repeats an action while its error passes.
func Retry(ctx context.Context, timeout time.Duration, passes func(error) bool, action func(context.Context) error) error {
	var last error
	err := Wait(ctx, timeout, func(ctx context.Context) (string, bool, error) {
		err := action(ctx)
		if err != nil && passes(err) {
			last = err
			return err.Error(), false, nil
		}
		return "", err == nil, err
	})
	if err != nil && last != nil && ctx.Err() == nil {
		return last
	}
	return err
}
