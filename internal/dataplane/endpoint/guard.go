package endpoint

import (
	"net/netip"
	"sync"
	"time"
)

// guard slows those who guess passwords. Whoever fails a few times has to wait before
// the next try, longer each time, however many connections they have; a success, or
// some minutes without a failure, ends that.
type guard struct {
	mu   sync.Mutex
	seen map[attempt]*failures
}

// attempt is who tries to become whom. One without a user is an address that tries
// many.
type attempt struct {
	from          netip.Addr
	cluster, user string
}

type failures struct {
	count int
	last  time.Time
	next  time.Time // when another try may begin
}

const (
	freeFailures     = 5  // of one user
	freeUserFailures = 25 // of all users of an address
	firstDelay       = 200 * time.Millisecond
	longestDelay     = 10 * time.Second
	longestQueue     = 30 * time.Second
	forgetAfter      = 5 * time.Minute
	mostRemembered   = 20_000
)

// delay says how long an attempt has to wait; false: there are too many before it.
func (g *guard) delay(a attempt, now time.Time) (time.Duration, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	longest := time.Duration(0)
	for key, free := range a.counted() {
		f := g.seen[key]
		if f == nil || f.count < free || now.Sub(f.last) > forgetAfter {
			continue
		}
		step := min(firstDelay<<min(f.count-free, 10), longestDelay)
		if f.next = maxTime(f.next, now).Add(step); f.next.Sub(now) > longestQueue {
			f.next = f.next.Add(-step)
			return 0, false
		}
		longest = max(longest, f.next.Sub(now))
	}
	return longest, true
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// counted are the keys that an attempt counts for, with how many failures are free.
func (a attempt) counted() map[attempt]int {
	return map[attempt]int{a: freeFailures, {from: a.from, cluster: a.cluster}: freeUserFailures}
}

func (g *guard) failed(a attempt, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key := range a.counted() {
		f := g.seen[key]
		if f == nil {
			g.makeRoom(now)
			f = &failures{}
			g.seen[key] = f
		}
		if now.Sub(f.last) > forgetAfter {
			f.count = 0
		}
		f.count++
		f.last = now
	}
}

// makeRoom forgets what is old, and when nothing is, somebody.
func (g *guard) makeRoom(now time.Time) {
	if len(g.seen) < mostRemembered {
		return
	}
	for key, f := range g.seen {
		if now.Sub(f.last) > forgetAfter {
			delete(g.seen, key)
		}
	}
	for key := range g.seen {
		if len(g.seen) < mostRemembered {
			return
		}
		delete(g.seen, key)
	}
}

// succeeded forgets what was tried before. What an address has tried with other users
// is not forgotten.
func (g *guard) succeeded(a attempt) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.seen, a)
}
