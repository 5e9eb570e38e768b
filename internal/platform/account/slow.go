package account

import (
	"errors"
	"net/http"
	"time"

	"github.com/daybreakdb/daybreak/internal/platform/rest"
)

// attempts are failed sign-ins of one user, or from one address.
type attempts struct {
	failed int
	last   time.Time
}

// freeAttempts may fail before the next has to wait: a second, then twice as
// long each time.
const (
	freeAttempts = 5
	longestWait  = 5 * time.Minute
	forgetAfter  = time.Hour
	// manyNames bounds the memory that guesses of many names can take.
	manyNames = 100_000
)

func (t attempts) wait() time.Duration {
	if t.failed < freeAttempts {
		return 0
	}
	return min(longestWait, time.Second<<min(t.failed-freeAttempts, 10))
}

// mustWait is how long until the next attempt under these names is looked at.
func (a *Accounts) mustWait(names []string) (longest time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range names {
		t := a.attempts[name]
		longest = max(longest, t.wait()-a.Now().Sub(t.last))
	}
	return longest
}

func (a *Accounts) failed(names []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.Now()
	if len(a.attempts) > manyNames {
		for name, t := range a.attempts {
			if now.Sub(t.last) > t.wait() {
				delete(a.attempts, name)
			}
		}
	}
	for _, name := range names {
		t := a.attempts[name]
		if now.Sub(t.last) > forgetAfter {
			t.failed = 0
		}
		a.attempts[name] = attempts{failed: t.failed + 1, last: now}
	}
}

// succeeded forgets the user's failures. Those of the address stay: who has one
// password could otherwise guess others between two sign-ins of their own.
func (a *Accounts) succeeded(names []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range names[:len(names)-1] {
		delete(a.attempts, name)
	}
}

func hasStatus(err error, status int) bool {
	var refused *rest.Error
	return errors.As(err, &refused) && refused.HTTPStatus == status
}

func isNotFound(err error) bool     { return hasStatus(err, http.StatusNotFound) }
func isUnauthorized(err error) bool { return hasStatus(err, http.StatusUnauthorized) }
