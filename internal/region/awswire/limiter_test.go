package awswire

import (
	"fmt"
	"testing"
	"time"
)

func TestALimiterLetsABurstThroughAndThenItsRate(t *testing.T) {
	now := time.Now()
	l := newLimiter(Rate{PerSecond: 2, Burst: 5})
	count := func(key string) (n int) {
		for range 100 {
			if l.take(key, now) {
				n++
			}
		}
		return n
	}
	for _, step := range []struct {
		name  string
		after time.Duration
		key   string
		want  int
	}{
		{"a burst", 0, "a", 5},
		{"another key", 0, "b", 5},
		{"a second later", time.Second, "a", 2},
		{"half a second later", time.Second / 2, "a", 1},
		{"a clock that was set back", -time.Hour, "a", 0},
		{"an hour later", 2 * time.Hour, "a", 5},
	} {
		now = now.Add(step.after)
		if got := count(step.key); got != step.want {
			t.Errorf("%s: %d, want %d", step.name, got, step.want)
		}
	}
	if l.any("a", now) || !l.any("c", now) || !l.any("c", now) {
		t.Error("who only asks is counted, or not told")
	}
}

func TestALimiterRemembersABoundedNumberOfKeys(t *testing.T) {
	l := newLimiter(Rate{PerSecond: 1, Burst: 2})
	for i := range mostBuckets + 100 {
		l.take(fmt.Sprint(i), time.Now())
	}
	if len(l.buckets) > mostBuckets {
		t.Errorf("remembers %d", len(l.buckets))
	}
}

func TestNoRateIsNoLimit(t *testing.T) {
	l := newLimiter(Rate{})
	for range 1000 {
		if !l.take("a", time.Now()) {
			t.Fatal("limited")
		}
	}
}
