package node

import (
	"errors"
	"testing"
	"time"
)

// A host counts as lost when it was asked, has had its time, and did not answer.
func TestHostThatDoesNotAnswer(t *testing.T) {
	answered := func(err error) chan error { c := make(chan error, 1); c <- err; return c }
	long := time.Now().Add(-lostLimit)
	for name, c := range map[string]struct {
		asking *asking
		want   bool
	}{
		"it was not asked":                            {nil, false},
		"it is asked since just now":                  {&asking{since: time.Now(), answered: make(chan error)}, false},
		"it is asked since long":                      {&asking{since: long, answered: make(chan error)}, true},
		"it answers":                                  {&asking{since: long, answered: answered(nil)}, false},
		"it cannot be reached since long":             {&asking{since: long, answered: answered(errors.New("refused"))}, true},
		"it could not be reached just now":            {&asking{since: time.Now(), answered: answered(errors.New("refused"))}, false},
		"it answered, and is to be asked again":       {&asking{since: time.Now()}, false},
		"it did not answer, and is to be asked again": {&asking{since: long}, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := &ears{askings: map[string]*asking{}}
			if c.asking != nil {
				e.askings["b"] = c.asking
			}
			if got := e.unanswered("b"); got != c.want {
				t.Errorf("unanswered: %v", got)
			}
		})
	}
}

// Each host is asked one question at a time, until its writers are heard again.
func TestHostsAreAskedOnce(t *testing.T) {
	asked, answer := make(chan string), make(chan error)
	e := &ears{node: &node{}, askings: map[string]*asking{}, ask: func(host string) error { asked <- host; return <-answer }}
	e.askAll(map[string]bool{"b": true})
	if host := <-asked; host != "b" {
		t.Fatal(host)
	}
	e.askAll(map[string]bool{"b": true})
	answer <- nil
	e.node.running.Wait() // a second question would wait here for ever
	if e.unanswered("b") {
		t.Error("it has answered")
	}
	e.askAll(map[string]bool{"b": true})
	<-asked
	e.askAll(nil)
	if len(e.askings) != 0 {
		t.Error("it is still asked")
	}
	answer <- nil
	e.node.running.Wait()
}
