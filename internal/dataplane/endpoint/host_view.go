package endpoint

import (
	"context"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/daybreakdb/daybreak/internal/aurora"
	"github.com/daybreakdb/daybreak/internal/layout"
)

// hostView is what one host knows beside the state.
type hostView struct {
	host    string
	layout  layout.Layout
	publish string          // IP address that endpoints are published at here
	stalled map[string]bool // writers of this host whose logs have no quorum
	lost    map[string]bool // hosts
}

// of is the state as this host sees it: servers of other hosts are reached
// through the link, and those of lost hosts not at all. A lost writer stays one
// until there is another, for it may only be cut off from the state.
func (v hostView) of(s Snapshot) Snapshot {
	writers := map[string]bool{}
	for i := range s.Clusters {
		st := &s.Clusters[i].Status
		writers[st.Writer] = true
		st.WriterEndpoint, st.ReaderEndpoint = v.address(st.WriterEndpoint), v.address(st.ReaderEndpoint)
		st.CustomEndpoints = slices.Clone(st.CustomEndpoints)
		for j := range st.CustomEndpoints {
			st.CustomEndpoints[j].Address = v.address(st.CustomEndpoints[j].Address)
		}
	}
	for i := range s.Instances {
		in := &s.Instances[i]
		in.Status.Endpoint = v.address(in.Status.Endpoint)
		in.Server.Stalled = in.Server.Stalled || v.stalled[in.ResourceID]
		at := in.Status.Host
		if at == "" || at == v.host {
			continue
		}
		if in.Server.SocketDir != "" {
			in.Server.SocketDir = v.layout.Via(at).InstanceSocketDir(in.ResourceID)
		}
		if v.lost[at] && !writers[in.ResourceID] {
			in.Server.Phase, in.Server.Message = aurora.PhaseNone, "its host does not answer"
		}
	}
	return s
}

// address is where this host publishes an endpoint.
func (v hostView) address(a aurora.Address) aurora.Address {
	_, port, err := net.SplitHostPort(a.Published)
	switch {
	case err != nil:
	case v.publish == "":
		a.Published = ""
	default:
		a.Published = net.JoinHostPort(v.publish, port)
	}
	return a
}

// stallInterval is how often it is looked for writers without a quorum.
const stallInterval = 250 * time.Millisecond

// stalls are the writers of this host of which the node says, without the state,
// that their logs have no quorum.
type stalls struct {
	mu      sync.Mutex
	now     map[string]bool
	changed chan struct{}
}

func watchStalls(ctx context.Context, l layout.Layout) *stalls {
	s := &stalls{changed: make(chan struct{})}
	s.look(l)
	go func() {
		tick := time.NewTicker(stallInterval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.look(l)
			case <-ctx.Done():
				return
			}
		}
	}()
	return s
}

func (s *stalls) get() (map[string]bool, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now, s.changed
}

func (s *stalls) look(l layout.Layout) {
	entries, _ := os.ReadDir(l.Stalls()) // before the first one there is none
	now := map[string]bool{}
	for _, e := range entries {
		now[e.Name()] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	same := len(now) == len(s.now)
	for id := range now {
		same = same && s.now[id]
	}
	if !same {
		s.now = now
		close(s.changed)
		s.changed = make(chan struct{})
	}
}
