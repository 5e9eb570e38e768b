package sns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/daybreakdb/daybreak/internal/state"
)

const (
	deliverers     = 8 // requests at a time
	deliverTimeout = 15 * time.Second
	maxAttempts    = 4 // as AWS: one, and three more
)

// newClient sends requests to allowed addresses only: it follows no redirects and
// uses no proxy, which would connect in its place.
func (a *API) newClient() *http.Client {
	dialer := &net.Dialer{Timeout: deliverTimeout, Control: a.allowed.control}
	return &http.Client{
		Timeout:       deliverTimeout,
		Transport:     &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: deliverTimeout, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dispatcher starts deliveries that are due, each once at a time.
type dispatcher struct {
	api      *API
	running  sync.WaitGroup
	slots    chan struct{}
	finished chan struct{} // something ended since this was read

	mu   sync.Mutex
	busy map[string]bool
}

// deliver sends what is due until ctx ends, and waits for what it began.
func (a *API) deliver(ctx context.Context) {
	d := &dispatcher{api: a, slots: make(chan struct{}, deliverers), finished: make(chan struct{}, 1), busy: map[string]bool{}}
	defer d.running.Wait()
	for ctx.Err() == nil {
		changed := a.queue.Changed()
		timer := time.NewTimer(d.startDue(ctx))
		select {
		case <-changed:
		case <-d.finished:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// startDue starts what is due, and says how long nothing else is.
func (d *dispatcher) startDue(ctx context.Context) time.Duration {
	wait := time.Hour
	for _, item := range d.api.queue.All() {
		if left := time.Until(item.Value.Next); left > 0 {
			wait = min(wait, left)
			continue
		}
		if !d.take(item.Key) {
			continue
		}
		select {
		case d.slots <- struct{}{}:
		case <-ctx.Done():
			return wait
		}
		d.running.Go(func() {
			d.api.attempt(ctx, item)
			d.release(item.Key)
		})
	}
	return wait
}

func (d *dispatcher) take(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy[key] {
		return false
	}
	d.busy[key] = true
	return true
}

func (d *dispatcher) release(key string) {
	d.mu.Lock()
	delete(d.busy, key)
	d.mu.Unlock()
	<-d.slots
	select {
	case d.finished <- struct{}{}:
	default:
	}
}

// attempt tries one delivery, and notes how it went.
func (a *API) attempt(ctx context.Context, item state.Item[Delivery]) {
	current, err := a.deliveries.Get(ctx, item.Key) // the mirror may be behind
	if errors.Is(err, state.ErrNotFound) || err == nil && time.Until(current.Value.Next) > 0 {
		return
	}
	if err != nil {
		a.stateTrouble(ctx, err)
		return
	}
	err = a.send(ctx, current.Value)
	if ctx.Err() != nil {
		return // the next process tries again
	}
	d := current.Value
	d.Attempts, d.Next = d.Attempts+1, time.Now().UTC().Add(a.retryDelay)
	op := a.deliveries.PutOp(item.Key, d, current.Revision)
	if err == nil || d.Attempts >= maxAttempts {
		op = a.deliveries.DeleteOp(item.Key, current.Revision)
	}
	if err != nil {
		a.logger.Warn("sns: a message was not delivered", "subscription", d.Subscription, "message", d.Message.ID, "attempt", d.Attempts, "error", err)
	}
	rev, err := a.store.Commit(ctx, op)
	if err == nil {
		err = a.queue.WaitRevision(ctx, rev)
	}
	if err != nil {
		a.stateTrouble(ctx, err)
	}
}

// stateTrouble lets a while pass before the state is asked again.
func (a *API) stateTrouble(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	a.logger.Warn("sns: the state does not answer; deliveries wait", "error", err)
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// send posts a message to its endpoint. A subscription that is gone, or not
// confirmed, gets none.
func (a *API) send(ctx context.Context, d Delivery) error {
	item, err := a.subscriptions.Get(ctx, d.Subscription)
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s := item.Value
	if s.Confirmed == (d.Message.Type == confirmation) {
		return nil
	}
	body, err := a.body(ctx, s, d.Message)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Endpoint, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("endpoint: %w", err)
	}
	r.Header.Set("Content-Type", "text/plain; charset=UTF-8")
	r.Header.Set("User-Agent", "Amazon Simple Notification Service Agent")
	r.Header.Set("X-Amz-Sns-Message-Type", d.Message.Type)
	r.Header.Set("X-Amz-Sns-Message-Id", d.Message.ID)
	r.Header.Set("X-Amz-Sns-Topic-Arn", d.Message.TopicARN)
	if d.Message.Type == notification {
		r.Header.Set("X-Amz-Sns-Subscription-Arn", s.arn())
	}
	if s.Attributes["RawMessageDelivery"] == "true" && d.Message.Type == notification {
		r.Header.Set("X-Amz-Sns-Rawdelivery", "true")
	}
	resp, err := a.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // what it says is of no interest
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("the endpoint answered %s", resp.Status)
	}
	return nil
}
