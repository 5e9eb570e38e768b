package backup

import (
	"context"
	"sync"
	"time"
)

// pace keeps those who read to a number of bytes a second.
type pace struct {
	rate int64 // 0: none
	mu   sync.Mutex
	free time.Time // when the next may read
}

func newPace(rate int64) *pace { return &pace{rate: rate, free: time.Now()} }

// wait returns when n bytes more may be read.
func (p *pace) wait(ctx context.Context, n int64) error {
	if p.rate <= 0 {
		return ctx.Err()
	}
	p.mu.Lock()
	at := p.free
	if now := time.Now(); at.Before(now) {
		at = now
	}
	p.free = at.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	p.mu.Unlock()
	select {
	case <-time.After(time.Until(at)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
