package awswire

import (
	"sync"
	"time"
)

// Rate is how often something may happen.
type Rate struct {
	PerSecond float64
	Burst     float64 // how often at once; 0: there is no limit at all
}

// limiter counts what happens for each of many keys. Each has a bucket, which fills
// by the time and which what happens takes from.
type limiter struct {
	rate Rate

	mu      sync.Mutex
	buckets map[string]bucket
}

type bucket struct {
	left float64
	at   time.Time
}

// mostBuckets bounds the memory of a limiter. Full buckets are as good as none.
const mostBuckets = 10_000

func newLimiter(r Rate) *limiter { return &limiter{rate: r, buckets: map[string]bucket{}} }

// take says whether the thing may happen now, and counts it then.
func (l *limiter) take(key string, now time.Time) bool { return l.spend(key, now, 1) }

// any says whether it may, and does not count it.
func (l *limiter) any(key string, now time.Time) bool { return l.spend(key, now, 0) }

func (l *limiter) spend(key string, now time.Time, cost float64) bool {
	if l.rate.Burst == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.filled(l.buckets[key], now)
	if b.left < 1 {
		return false
	}
	if b.left -= cost; cost == 0 {
		return true
	}
	if len(l.buckets) >= mostBuckets {
		l.tidy(now)
	}
	l.buckets[key] = b
	return true
}

func (l *limiter) filled(b bucket, now time.Time) bucket {
	if b.at.IsZero() {
		return bucket{l.rate.Burst, now}
	}
	if passed := now.Sub(b.at); passed > 0 {
		b.left, b.at = min(l.rate.Burst, b.left+passed.Seconds()*l.rate.PerSecond), now
	}
	return b
}

// tidy forgets those that are full, and when that is not enough, some.
func (l *limiter) tidy(now time.Time) {
	for key, b := range l.buckets {
		if l.filled(b, now).left >= l.rate.Burst {
			delete(l.buckets, key)
		}
	}
	for key := range l.buckets {
		if len(l.buckets) < mostBuckets {
			return
		}
		delete(l.buckets, key)
	}
}
