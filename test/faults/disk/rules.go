package disk

import (
	"regexp"
	"sync"
	"syscall"
	"time"
)

// table has the rules that hold, and what is not synced.
type table struct {
	mu      sync.Mutex
	rules   []compiled
	changed chan struct{} // closed when the rules change

	tracking bool
	files    map[uint64]*unsynced // by inode
}

type compiled struct {
	Rule
	path *regexp.Regexp
}

func (t *table) take(r request) (lost int, err error) {
	switch {
	case r.Track != nil:
		t.track(*r.Track)
		return 0, nil
	case r.Crash != 0:
		return t.crash(r.Crash)
	}
	var rules []compiled
	for _, rule := range r.Rules {
		path, err := regexp.Compile(rule.Path)
		if err != nil {
			return 0, err
		}
		rules = append(rules, compiled{rule, path})
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rules = rules
	close(t.changed)
	t.changed = make(chan struct{})
	return 0, nil
}

// weigh has an operation wait or fail as the rules say. It is of each of the kinds.
func (t *table) weigh(path func() string, kinds ...Op) syscall.Errno {
	for {
		rule, changed, ok := t.find(path, kinds)
		if !ok {
			return 0
		}
		if rule.Delay > 0 {
			time.Sleep(rule.Delay)
		}
		if !rule.Hang {
			return rule.Errno
		}
		<-changed
	}
}

func (t *table) find(path func() string, kinds []Op) (Rule, <-chan struct{}, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rules) == 0 {
		return Rule{}, nil, false
	}
	name := path()
	for _, rule := range t.rules {
		for _, kind := range kinds {
			if (rule.Op == kind || rule.Op == All) && rule.path.MatchString(name) {
				return rule.Rule, t.changed, true
			}
		}
	}
	return Rule{}, nil, false
}
