package rdsdata

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"sync"
	"time"

	"github.com/daybreakdb/daybreak/internal/region/awswire"
)

// maxTransactions bounds the connections that callers may leave open.
const maxTransactions = 500

// transactions are the sessions in which one is open, by its id.
type transactions struct {
	limits Limits
	mu     sync.Mutex
	open   map[string]*session
}

func newTransactions(limits Limits) *transactions {
	return &transactions{limits: limits, open: map[string]*session{}}
}

func (t *transactions) add(s *session) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.open) >= maxTransactions {
		return "", awswire.Errorf(http.StatusServiceUnavailable, "ServiceUnavailableError", "There are %d open transactions. End some, and try again.", len(t.open))
	}
	var random [48]byte
	_, _ = rand.Read(random[:]) // never fails
	id := base64.StdEncoding.EncodeToString(random[:])
	t.open[id] = s
	return id, nil
}

// get finds the session of a transaction that p may use.
func (t *transactions) get(id string, p target, cluster string) (*session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.open[id]
	if s == nil || s.place.cluster != cluster {
		return nil, awswire.Errorf(http.StatusNotFound, "TransactionNotFoundException", "Transaction %.100s is not found", id)
	}
	if p.secret != nil && *p.secret != s.place.secret {
		return nil, badRequest("The secret ARN is not that which the transaction was begun with.")
	}
	if p.database != nil && *p.database != s.place.database {
		return nil, badRequest("Database name is not the same as transaction's")
	}
	return s, nil
}

func (t *transactions) remove(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, id)
}

// reap ends transactions that have been idle or open for too long, until ctx ends,
// when it ends all.
func (t *transactions) reap(ctx context.Context) {
	tick := time.NewTicker(reapEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
			t.closeAll(func(s *session) bool {
				return s.idle() > t.limits.Idle || time.Since(s.begun) > t.limits.Transaction
			})
		case <-ctx.Done():
			t.closeAll(func(*session) bool { return true })
		}
	}
}

// closeAll ends the transactions that are to end. PostgreSQL rolls them back.
func (t *transactions) closeAll(ends func(*session) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, s := range t.open {
		if ends(s) {
			delete(t.open, id)
			go s.close()
		}
	}
}
